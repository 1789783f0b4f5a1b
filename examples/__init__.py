"""Examples that run: the demo, and the data that it trains on."""
