"""Counts what a call executes, operation by operation as torch runs it, by written rules.

1 multiply-add = 2 FLOP. Each operation is counted once, by the first that is there of: the formula that it registered
with torch as an :class:`~capratio.cost.operation.OperationFormula`; a rule of the tables here; its own decomposition
into smaller operations; the view that its schema says it is; another formula registered with torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost, OperationFormula
from capratio.errors import UnknownOperationError
from capratio.measure.arithmetic_rules import ARITHMETIC_RULES
from capratio.measure.movement_rules import MOVEMENT_RULES
from capratio.measure.observed_call import ObservedCall, Rule, is_sparse, observe, tensors
from capratio.measure.product_rules import PRODUCT_RULES, RULES_OF_SPARSE

RULES: dict[str, Rule] = {**MOVEMENT_RULES, **ARITHMETIC_RULES, **PRODUCT_RULES}


@dataclass(frozen=True, slots=True)
class OperationCount:
    """What one call executed.

    cost: the sum over operations. unknown: names of operations without a rule, whose cost is missing from the sum, so
    that it is a lower bound; empty when the count is exact. operations: what is summed, by name, and, where it was
    asked for, what ran inside of operations that bring a formula, which is in no sum.
    """

    cost: OperationCost
    unknown: tuple[str, ...] = ()
    operations: tuple["CountedOperation", ...] = ()


@dataclass(frozen=True, slots=True)
class CountedOperation:
    """All calls of one operation.

    name: with its namespace, as torch's profiler shows it. within: the operation inside of which it ran, None for one
    that the call itself ran. cost: of all its calls together, None where it has no rule.
    """

    name: str
    within: str | None
    calls: int
    cost: OperationCost | None


def count_operations(call: Callable[[], object], strict: bool, inside: bool = False) -> OperationCount:
    """Run a call once and count what it executes, gradients included if it takes them.

    The call's result is dropped: results of a run under a counter are not to be used.

    Args: strict: whether an operation without a rule is an error (else it is listed in ``unknown``). inside: whether
    ``operations`` also lists what the implementation of an operation with a formula of its own runs.

    Raises UnknownOperationError, which names the operation, if ``strict``.
    """
    counter = _Counter(strict, inside)
    with counter:
        call()
    operations = tuple(
        CountedOperation(name, within, calls, cost) for (within, name), (calls, cost) in counter.operations.items()
    )
    return OperationCount(counter.cost, tuple(sorted(counter.unknown)), operations)


class _Counter(TorchDispatchMode):
    """Adds up the cost of each operation that torch dispatches while it is on."""

    def __init__(self, strict: bool, inside: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cost = OperationCost()
        self.unknown: set[str] = set()
        # (within, name) → calls and their cost.
        self.operations: dict[tuple[str | None, str], tuple[int, OperationCost | None]] = {}
        self._strict = strict
        self._inside = inside
        self._within: str | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch imports its compiler at the first operation, which takes longer than most counts.
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        registered = flop_registry.get(func._overloadpacket)
        rule = rule_of(func)
        if not isinstance(registered, OperationFormula) and rule is None:
            with self:
                out = func.decompose(*args, **given)
            if out is not NotImplemented:
                return out
        if isinstance(registered, OperationFormula):
            out = self._run(func, args, given)
            self._add(func, registered.cost(*args, **given, out_val=out))
            return out
        out = func(*args, **given)
        call = observe(func, args, given, out)
        if any(tensor.is_complex() for tensor in tensors([list(args), out])):
            self._unknown(func, " on complex numbers")
        elif rule is not None and not _knows_layouts(func, call):
            self._unknown(func, " on sparse tensors")
        elif rule is not None:
            self._add(func, rule(call))
        elif is_view(func):
            self._add(func, OperationCost())
        elif registered is not None:
            self._add(func, call.cost(Flop(product=int(registered(*args, **given, out_val=out)))))
        else:
            self._unknown(func)
        return out

    def _run(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        """Run an operation with a formula, and list what its implementation runs where that is asked for."""
        if not self._inside or self._within is not None:
            return func(*args, **given)
        on_cuda = any(tensor.is_cuda for tensor in tensors([list(args), given]))
        key = torch._C.DispatchKey.CUDA if on_cuda else torch._C.DispatchKey.CPU
        self._within = func._schema.name
        try:
            # Straight to the implementation: a plain call would come back here, since the counter is on.
            with self:
                return func.redispatch(torch._C.DispatchKeySet(key), *args, **given)
        finally:
            self._within = None

    def _add(self, func: Any, cost: OperationCost | None) -> None:
        key = (self._within, func._schema.name)
        calls, before = self.operations.get(key, (0, OperationCost()))
        self.operations[key] = (calls + 1, None if cost is None or before is None else before + cost)
        # The formula of the operation stands for all that runs inside of it.
        if cost is not None and self._within is None:
            self.cost += cost

    def _unknown(self, func: Any, how: str = "") -> None:
        self._add(func, None)
        if self._within is not None:
            return
        name = f"{_name(func)}{how}"
        if self._strict:
            raise UnknownOperationError(
                f"the operation {name} ran and its FLOP are not known, so a count would be wrong; give it a rule, or "
                "register a formula for it with torch.utils.flop_counter.register_flop_formula."
            )
        self.unknown.add(name)


def rule_of(func: Any) -> Rule | None:
    """The rule of an overload; an operation in place (``add_``) costs what its twin does."""
    name = func._schema.name
    if name not in RULES and name.endswith("_") and not name.endswith("__"):
        name = name[:-1]
    return RULES.get(name)


def _knows_layouts(func: Any, call: ObservedCall) -> bool:
    """Whether what an operation was given is dense, only moved, or one sparse factor of a product."""
    sparse = sum(map(is_sparse, tensors(list(call.arguments.values()))))
    name = func._schema.name
    return not sparse or name in MOVEMENT_RULES or (sparse == 1 and name in RULES_OF_SPARSE)


def is_view(func: Any) -> bool:
    """Whether an overload's schema says that it only shows the memory of an argument: it is aliased and not written."""
    aliases = [argument.alias_info for argument in func._schema.arguments if argument.alias_info is not None]
    return bool(aliases) and not any(alias.is_write for alias in aliases)


def _name(func: Any) -> str:
    return str(func._schema.name).replace("::", ".")
