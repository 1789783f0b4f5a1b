"""A table of musical features of real scores, and how it was made."""
