"""Readers of what clients upload: one module a format, each checks before it reads and reads within bounds."""
