"""Classification of table rows: binary, multi-class, multi-label."""
