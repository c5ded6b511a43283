"""Where one way of computing overtakes another, as it was measured, and on which machine."""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CpuCrossovers:
    """Of the CPU kernels.

    machine: where they were measured. library_product_from_tokens: a group of so many tokens goes to the library,
    library_transposed_from_tokens: as for its gradient to the input, library_outer_from_tokens: to the matrix.
    library_path_from_tokens: so many tokens a leaf in the mean, and its formed matrix goes to the library.
    library_bag_under_features: bags of narrower rows go to the library.
    """

    machine: str
    library_product_from_tokens: int
    library_transposed_from_tokens: int
    library_outer_from_tokens: int
    library_path_from_tokens: int
    library_bag_under_features: int


_MEASURED = tomllib.loads(Path(__file__).with_name("crossovers.toml").read_text(encoding="utf-8"))

CPU_CROSSOVERS = CpuCrossovers(**_MEASURED["cpu"])
# Device type → operation's folder → the implementation that ``auto`` takes there.
AUTO_CHOICES: dict[str, dict[str, str]] = _MEASURED["auto"]
