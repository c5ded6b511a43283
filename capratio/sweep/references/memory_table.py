"""The answer of memory tables in float64: the entries of one token, their shares and experts, one after the other."""

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.memory_table import MemoryTableSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.memory_table_choices import wrong_choices


class MemoryTableReference(Reference):
    """y = x + sum of s_e entry_e, [x, sum of s_e entry_e] or x + sum of s_e V_e relu(U_e^T x); s_e = 1 or a softmax's.

    ``rows`` of the decisions are table · entries + e.
    """

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """As Reference's."""
        assert isinstance(spec, MemoryTableSpec)
        own = x[token]
        total = own.new_zeros(spec.entry_features)
        for row in decisions["rows"][token].tolist():
            share = _share(spec, parameters, own, row) if spec.lookup == "softmax" else 1.0
            total = total + share * _entry(spec, parameters, own, row)
        return torch.cat([own, total]) if spec.consumption == "concat" else own + total

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """As Reference's."""
        assert isinstance(spec, MemoryTableSpec)
        rows = decisions["rows"].view(len(x), spec.tables, spec.lookups // spec.tables)
        with torch.no_grad():
            for table in range(spec.tables):
                chosen = rows[:, table] - table * spec.entries
                for token, why in wrong_choices(spec, parameters, x, decisions.get("ids"), table, chosen, eps):
                    named = ", ".join(map(str, chosen[token].tolist()))
                    return f"token {token} goes to entry {named} of table {table}, {why}"
        return None


def _share(spec: MemoryTableSpec, parameters: Parameters, x: torch.Tensor, row: int) -> torch.Tensor:
    """Of the row among all of its table: exp(score) over the sum of all of them."""
    first = row // spec.entries * spec.entries
    scores = parameters["lookup.router"][first : first + spec.entries] @ x
    powers = torch.exp(scores - scores.detach().max())
    return powers[row - first] / powers.sum()


def _entry(spec: MemoryTableSpec, parameters: Parameters, x: torch.Tensor, row: int) -> torch.Tensor:
    if spec.consumption != "expert":
        return parameters.row("consumption.table", row)
    hidden = parameters.row("consumption.weight_in", row) @ x
    return parameters.row("consumption.weight_out", row) @ hidden.clamp(min=0)
