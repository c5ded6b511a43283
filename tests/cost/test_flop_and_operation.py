"""Sums of costs: class by class, and through the formula that torch's counter calls."""

from capratio.cost import Flop, OperationCost, OperationFormula


def test_flop_total_counts_all_classes() -> None:
    flop = Flop(product=16, overhead=8, gating=4, bias=2, padded=1)

    assert 31 == flop.total
    assert {"product": 16, "overhead": 8, "gating": 4, "bias": 2, "padded": 1} == flop.as_dict()


def test_costs_add_field_by_field() -> None:
    left = OperationCost(Flop(product=1), 2, 3, 4, 5)
    right = OperationCost(Flop(product=10, bias=7), 20, 30, 40, 50)

    assert OperationCost(Flop(product=11, bias=7), 22, 33, 44, 55) == left + right


def test_a_formula_gives_the_total_to_a_counter_that_knows_only_totals() -> None:
    def cost(tokens: int, *, out_val: object) -> OperationCost:
        return OperationCost(Flop(product=2 * tokens, overhead=1 if out_val is None else 0))

    formula = OperationFormula(cost)

    assert 7 == formula(3)
    assert 6 == formula(3, out_val=0)
