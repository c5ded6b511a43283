"""capratio: what a parameter costs in conditional-computation layers, measured and held against its law."""

__version__ = "0.1.0"
