"""Decodes what clients upload as audio, and hears what is in it."""
