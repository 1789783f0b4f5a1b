"""Models that rank items for a listener: learned from plays, answered with NumPy; TensorFlow in one module alone."""
