"""What the files of every model are called, and the version of what stands in them."""

SPEC, WEIGHTS = "spec.json", "weights.safetensors"
VERSION = 1
