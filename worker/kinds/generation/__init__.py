"""Music: pieces are learned from, and composed."""
