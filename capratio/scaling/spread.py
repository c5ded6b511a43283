"""The standard error of each size from the spread between its processes, steadied by the spread of all sizes."""

from collections.abc import Sequence

import numpy as np

from capratio.scaling.bootstrap import Floats, location

# With three processes a size's own spread is off by half, and one that comes out small by luck would outweigh all other
# sizes. Six processes' worth of the common relative spread are mixed in; with many processes the size's own decides.
_PRIOR_DEGREES = 6.0
# A line without any spread (counted bytes) still needs weights; this is far under any clock's noise.
_LEAST_RELATIVE_SPREAD = 1e-9


def standard_errors(values: Sequence[Floats], levels: Floats) -> Floats:
    """s(x) = sqrt((d0·(ρ·level)² + (n - 1)·s²) / (d0 + n - 1) / n), for each size.

    ρ is the relative spread between processes of all sizes together, s the spread of the size itself.

    Args: values: for each size one value a process. levels: (n,) what noise is in proportion to, positive.
    """
    squares = np.array([np.sum((each - location(each)) ** 2) for each in values])
    counts = np.array([len(each) for each in values], dtype=float)
    degrees = np.maximum(counts - 1.0, 0.0)
    common = np.sum(squares / levels**2) / max(degrees.sum(), 1.0)
    prior = np.maximum(common, _LEAST_RELATIVE_SPREAD**2) * levels**2
    variance = (_PRIOR_DEGREES * prior + squares) / (_PRIOR_DEGREES + degrees)
    return np.asarray(np.sqrt(variance / counts))
