"""The bytes of an element of each dtype that layers are measured in."""

ITEM_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
