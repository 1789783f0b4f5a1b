"""Regression on table rows: one number, or several, for each."""
