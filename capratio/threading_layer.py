"""Whether compiled kernels may run on several threads here: only on numba's OpenMP layer.

Its workqueue layer aborts the process when two Python threads call it at once, and spins against torch's threads.
"""

import os
from importlib import import_module


def missing_layer() -> str | None:
    """Why numba's OpenMP layer cannot be taken, or None where it can."""
    chosen = os.environ.get("NUMBA_THREADING_LAYER", "default")
    if chosen not in ("default", "omp"):
        return f"NUMBA_THREADING_LAYER={chosen} names another layer"
    try:
        import_module("numba.np.ufunc.omppool")
    except ImportError as error:
        return " ".join(str(error).split())
    return None
