"""How far rounding in a half type may move a gradient: as far as operands that are off by one rounding move it.

A layer in a half type gives the exact answer to a question that differs by roundings (Higham, Accuracy and Stability of
Numerical Algorithms, section 1.5). So the reference is asked again with every operand, and every state of a recurrence,
moved at random by at most half a rounding. Where terms cancel, as those of a halting unit or of the scalars of
alternating updates do, its gradient moves by much more than a rounding of its own.
"""

import torch

# Four deviations tell their typical size within a factor of 8, but for one in 2,000 (chi-square of 4 degrees).
RUNS = 4


def moved(value: torch.Tensor, eps: float, generator: torch.Generator) -> torch.Tensor:
    """Each element times 1 + u, u uniform within ± eps / 2. Args: generator: of a CPU."""
    drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64).to(value.device)
    return value * (1 + eps * (drawn - 0.5))


def squared_distance(exact: torch.Tensor, run: torch.Tensor) -> torch.Tensor:
    """How far each row of a run lies from the exact one, squared: (..., d), (..., d) -> (...)."""
    distance: torch.Tensor = torch.linalg.vector_norm(run - exact, dim=-1)
    return distance.square()
