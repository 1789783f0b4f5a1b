"""The HTTP process: thin, and without TensorFlow, NumPy or Arrow."""
