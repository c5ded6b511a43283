"""Which points are measured: case files, the isolated worker, verification, resume."""
