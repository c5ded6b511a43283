"""The answer of each system in float64, from its formulas, token by token: one file a system."""
