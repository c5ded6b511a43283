"""Whether visited nodes are possible for a layer, so that a wrong count is refused and not costed."""

from capratio.cost.spec import LayerSpec, VisitedNodes
from capratio.errors import InputError


def check_visited(spec: LayerSpec, visited: VisitedNodes) -> None:
    """Refuse visited nodes that no batch of N tokens can have.

    With t trees: k + 1 levels, t min(N, 1) roots, at most t min(2^l, N) nodes at level l, and from a level to the next
    no fewer and at most twice as many.

    Raises InputError for the first of these that does not hold.
    """
    levels, tokens = visited.levels, visited.tokens
    if tokens < 0:
        raise InputError(f"{tokens} tokens were given; a batch has 0 or more.")
    if len(levels) != spec.depth + 1:
        raise InputError(
            f"{len(levels)} visited levels were given for depth={spec.depth}; there must be {spec.depth + 1}."
        )
    if levels[0] != spec.trees * min(tokens, 1):
        raise InputError(f"{levels[0]} visited roots were given; {tokens} tokens visit {spec.trees * min(tokens, 1)}.")
    for level, count in enumerate(levels):
        if count > spec.trees * min(2**level, tokens):
            raise InputError(
                f"{count} visited nodes were given at level {level}; {tokens} tokens visit at most "
                f"{spec.trees * min(2**level, tokens)}."
            )
        if level and not levels[level - 1] <= count <= 2 * levels[level - 1]:
            raise InputError(
                f"{count} visited nodes were given at level {level} under {levels[level - 1]} parents; "
                "every parent has one or two visited children."
            )
