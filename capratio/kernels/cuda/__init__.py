"""What the Triton kernels of several operations share; each operation has its own in its folder."""
