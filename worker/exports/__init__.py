"""A dense network in formats that other programs run: each is written, and run as those would run it."""
