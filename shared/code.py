"""Which code this is: part of every lineage, and of what makes two jobs the same."""

CODE_VERSION = "0.1.0"
