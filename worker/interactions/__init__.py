"""Who has played what: read, judged, stored, and rid of a listener. NumPy and Arrow, no TensorFlow."""
