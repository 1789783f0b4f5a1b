"""Music that the demo makes on the spot: instruments, a tiny composer, bands, and the recordings that they leave."""
