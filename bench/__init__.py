"""Measured comparisons with peers and limits: `make bench`. Never a timed test."""
