"""The page's first sentence names what was measured, in words that a reader knows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from capratio.records.record import Record
from capratio.records.store import read_run
from capratio.records.summary import summarise
from capratio.report.frame import tidy
from capratio.report.lead import lead_sentence

Lead = Callable[[list[Record]], str]


@pytest.fixture
def lead(tmp_path: Path, run_writer: Callable[[Path, list[Record]], Path]) -> Lead:
    """Makes the sentence of a run of the given records."""

    def sentence(records: list[Record]) -> str:
        return lead_sentence(read_run(run_writer(tmp_path, records)), tidy(summarise(records)))

    return sentence


def of_layer(record: Record, layer: str) -> Record:
    return replace(record, case=f"{layer}/{record.case}", point=replace(record.point, layer=layer))


@pytest.mark.parametrize(
    "processes, said",
    [((1, 1), "input, 1 process a case,"), ((2, 2), "input, 2 processes a case,"), ((1, 3), ", 1 to 3 processes a")],
)
def test_it_counts_the_processes_of_a_case(
    lead: Lead, record_maker: Callable[..., Record], processes: tuple[int, int], said: str
) -> None:
    records = [record_maker(depth=k, replicate=r) for k, count in enumerate(processes) for r in range(count)]

    assert said in lead(records)


def test_a_users_layer_is_named_by_its_class_after_our_own(lead: Lead, record_maker: Callable[..., Record]) -> None:
    record = record_maker()

    said = lead([record, of_layer(record, "a.long.path.to.a_module:Mixture"), of_layer(record, "moe-sparse")])

    assert said.startswith("3 cases of tree-shared, moe-sparse and Mixture were measured")


def test_many_layers_of_users_are_counted(lead: Lead, record_maker: Callable[..., Record]) -> None:
    record = record_maker()

    said = lead([record, *(of_layer(record, f"module:Layer{at}") for at in range(9))])

    assert said.startswith("10 cases of tree-shared and 9 layers named by their classes were measured")
