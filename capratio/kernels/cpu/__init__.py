"""What the compiled CPU kernels of several operations share; each operation has its own in its folder."""
