"""Layers across commits, under asv: what was tracked by a sweep, and asv's own time and memory."""
