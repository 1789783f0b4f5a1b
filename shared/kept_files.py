"""What the files are called that a model of table rows keeps so that its answers can be explained and compared."""

# How the inputs of the training were distributed, and some of its rows.
INPUTS, EXAMPLES = "inputs.safetensors", "examples.arrow"
# What it said of each row that it has held out.
HELD_OUT = "held_out.safetensors"
# They are of single rows, and go with these.
OF_ROWS = (EXAMPLES, HELD_OUT)
