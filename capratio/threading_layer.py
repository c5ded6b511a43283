"""Whether compiled kernels may run on several threads here: only on numba's OpenMP layer.

Its workqueue layer aborts the process when two Python threads call it at once, and spins against torch's threads.
"""

from importlib import import_module


def missing_layer() -> str | None:
    """Why numba's OpenMP layer cannot be loaded, or None where it can."""
    try:
        import_module("numba.np.ufunc.omppool")
    except ImportError as error:
        return " ".join(str(error).split())
    return None
