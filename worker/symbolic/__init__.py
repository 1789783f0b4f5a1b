"""Pieces as notes: read, judged, gridded, compared, written. NumPy and no TensorFlow."""
