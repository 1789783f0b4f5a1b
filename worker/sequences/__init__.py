"""Sequences of steps, each of several fields: networks that learn them, step by step; trained with TensorFlow, sampled
with NumPy. What the fields mean is for worker/symbolic to say.
"""
