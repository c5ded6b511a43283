"""The bytes that a call of a system must move at least, where it has no side inputs of its own."""

from capratio.cost.systems.contract import SystemSpec, Visits


def plain_compulsory_bytes(spec: SystemSpec, visits: Visits, pass_: str, itemsize: int) -> int:
    """(N p + touched parameters + N q) s; train: the tokens' gradients once more, and those of all parameters.

    Args: as ``SystemSpec.compulsory_bytes``, s its itemsize.
    """
    tokens = visits.tokens * (spec.in_features + spec.out_features)
    elements = tokens + spec.touched_parameters(visits)
    if pass_ == "train":
        elements += tokens + spec.parameters
    return elements * itemsize
