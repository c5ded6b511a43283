"""Closed forms of the systems that are no tree of gated weights: one file a system."""
