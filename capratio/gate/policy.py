"""What a gate allows: budgets by case and quantity, each with its reason, read from TOML."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capratio.errors import InputError
from capratio.names import check_keys, fits

LATENCY = "latency"
# Integers of a record, which are compared exactly.
EXACT = (
    "flop",
    "op_bytes",
    "compulsory_bytes",
    "parameters",
    "touched_parameters",
    "routing_operations",
    "allocated_peak_bytes",
)
QUANTITIES = (LATENCY, *EXACT)
# Above what one binary differs from itself inside one job (0.3 %), and below what a reviewer would want to know.
DEFAULT_LATENCY_BUDGET = 0.02
DEFAULT_ALPHA = 0.05
DEFAULT_ANCHOR = 0.1
# Looks at the data: twelve pairs are the least for 200 cases at 5 %, and forty-eight find a slowdown of 5 % where
# processes spread by 3 %.
DEFAULT_BLOCKS = (12, 24, 48)
MOST_BLOCKS = 1000


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a quantity may rise in some cases.

    cases: a pattern of case ids, with ``*`` and ``?``. quantity: one of ``QUANTITIES``. budget: a share, 0.02 for 2 %.
    reason: why so much.
    """

    cases: str
    quantity: str
    budget: float
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers behind a decision.

    alpha: the chance of a false regression in a whole run, and of each bound of an interval. anchor: how far what no
    commit can change, such as the machine's ceilings, may differ. budgets: the first that fits counts. latency: the
    budget of a latency that none fits. blocks: pairs of processes after which the data are looked at, ascending. cases:
    the file of the cases that ``gate commits`` measures, beside the policy's, or None.
    """

    alpha: float = DEFAULT_ALPHA
    anchor: float = DEFAULT_ANCHOR
    budgets: tuple[Budget, ...] = ()
    latency: float = DEFAULT_LATENCY_BUDGET
    blocks: tuple[int, ...] = DEFAULT_BLOCKS
    cases: str | None = None

    def budget(self, case: str, quantity: str) -> float:
        """What is allowed to a quantity of a case: a share of base's."""
        for budget in self.budgets:
            if budget.quantity == quantity and fits(budget.cases, case):
                return budget.budget
        return self.latency if quantity == LATENCY else 0.0


def read_policy(path: Path | None) -> Policy:
    """The policy of a file, or the default one.

    Raises InputError for a file that cannot be read, or as ``parse_policy``.
    """
    if path is None:
        return Policy()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the policy {path} cannot be read ({error}); give a TOML file.") from None
    return parse_policy(text, str(path))


def parse_policy(text: str, name: str) -> Policy:
    """The policy of a TOML text; ``name`` names it in messages.

    Raises InputError for text that is not TOML, a key that is not known, a number out of range, or no reason.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name} is not TOML ({error}).") from None
    check_keys(table, ("alpha", "anchor", "blocks", "budgets", "cases", "latency"), name)
    budgets = table.get("budgets", [])
    if not isinstance(budgets, list):
        raise InputError(f"{name}: budgets is {budgets!r}; write [[budgets]] tables.")
    return Policy(
        alpha=_share(table, "alpha", DEFAULT_ALPHA, name),
        anchor=_share(table, "anchor", DEFAULT_ANCHOR, name),
        budgets=tuple(_budget(each, f"{name}, budget {place}") for place, each in enumerate(budgets, start=1)),
        latency=_share(table, "latency", DEFAULT_LATENCY_BUDGET, name),
        blocks=_blocks(table.get("blocks", list(DEFAULT_BLOCKS)), name),
        cases=_cases(table.get("cases"), name),
    )


def _blocks(given: object, name: str) -> tuple[int, ...]:
    expected = f"give ascending numbers of pairs from 1 to {MOST_BLOCKS}, such as [12, 24, 48]."
    if not isinstance(given, list) or not given or any(type(count) is not int for count in given):
        raise InputError(f"{name}: blocks is {given!r}; {expected}")
    if sorted(set(given)) != given or not 1 <= given[0] <= given[-1] <= MOST_BLOCKS:
        raise InputError(f"{name}: blocks is {given!r}; {expected}")
    return tuple(given)


def _cases(given: object, name: str) -> str | None:
    if given is not None and (not isinstance(given, str) or not given):
        raise InputError(f"{name}: cases is {given!r}; give the name of a case file beside the policy.")
    return given


def _budget(table: object, where: str) -> Budget:
    if not isinstance(table, dict):
        raise InputError(f"{where} is {table!r}; write a [[budgets]] table.")
    check_keys(table, ("cases", "quantity", "budget", "reason"), where)
    cases, quantity, reason = (table.get(key) for key in ("cases", "quantity", "reason"))
    if not isinstance(cases, str) or not cases:
        raise InputError(f"{where} has cases = {cases!r}; give a pattern of case ids, such as '*/n1/*'.")
    if quantity not in QUANTITIES:
        raise InputError(f"{where} has quantity = {quantity!r}; give one of {', '.join(QUANTITIES)}.")
    if not isinstance(reason, str) or not reason.strip():
        raise InputError(f"{where} has no reason; say why so much may be lost.")
    budget = table.get("budget")
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 <= budget <= 10:
        raise InputError(f"{where} has budget = {budget!r}; give a share from 0 to 10, such as 0.02 for 2 %.")
    return Budget(cases, quantity, float(budget), reason)


def _share(table: Mapping[str, object], key: str, default: float, name: str) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InputError(f"{name}: {key} is {value!r}; give a number between 0 and 1.")
    return float(value)
