"""Differentially private training: its units, its steps, its account; and what a version tells of both."""
