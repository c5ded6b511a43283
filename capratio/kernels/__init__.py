"""The hot products of the layers: one folder an operation, its plain reference beside its definition for torch."""
