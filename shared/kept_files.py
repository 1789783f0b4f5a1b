"""What the files are called that a model of table rows keeps so that its answers can be explained."""

# How the inputs of the training were distributed, and some of its rows.
INPUTS, EXAMPLES = "inputs.safetensors", "examples.arrow"
