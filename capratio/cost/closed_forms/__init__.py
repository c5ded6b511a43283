"""The closed form of each layer: its parameters, the law a token, and what a batch executes; one file a layer."""
