"""What every claim is: an id, a title, its docstring as the report's text, and one verdict a group of cases."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from zlib import crc32

import numpy as np

from capratio.records.record import Record
from capratio.scaling.groups import Key
from capratio.scaling.margins import Margins
from capratio.scaling.pairing import DensePartners
from capratio.scaling.verdict import Break, FitPoint, Kind, Status, Verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """What claims are judged on.

    records: all that were measured, whatever they claim. partners: the dense layers among them. machine: what
    ``machine.json`` holds, empty when not known.
    """

    records: tuple[Record, ...]
    partners: DensePartners
    machine: Mapping[str, Any]
    margins: Margins


class Claim(ABC):
    """A law that cases can claim; its docstring is the text of the report.

    id: what cases name. title: the law in a line. kind: ``exact`` or ``fitted``.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[Kind]

    @abstractmethod
    def judge(self, evidence: Evidence) -> list[Verdict]:
        """One verdict for each group of the cases that claim this law; none when no case can serve it."""

    @property
    def text(self) -> str:
        """The law in full, as the report prints it."""
        return inspect.cleandoc(type(self).__doc__ or "")

    def claimed(self, evidence: Evidence) -> list[Record]:
        """The measured records whose cases name this claim."""
        return [record for record in evidence.records if self.id in record.claims]

    def verdict(
        self,
        group: str,
        status: Status,
        regime: str,
        sentence: str,
        *,
        quantity: str = "",
        expected: float | None = None,
        estimate: float | None = None,
        low: float | None = None,
        high: float | None = None,
        margin: float | None = None,
        points: Sequence[FitPoint] = (),
        breaks: Sequence[Break] = (),
        advice: str = "",
    ) -> Verdict:
        """How this claim ends for a group; what could not be estimated is left out."""
        return Verdict(
            claim=self.id,
            group=group,
            title=self.title,
            text=self.text,
            kind=self.kind,
            status=status,
            quantity=quantity,
            expected=expected,
            estimate=estimate,
            low=low,
            high=high,
            margin=margin,
            regime=regime,
            points=tuple(points),
            breaks=tuple(breaks),
            advice=advice,
            sentence=sentence,
        )

    def generator(self, key: Key, margins: Margins) -> np.random.Generator:
        """Random numbers of this claim and group alone, so that a verdict does not hang on which others are made."""
        return np.random.default_rng([margins.bootstrap_seed, crc32(f"{self.id}/{key}".encode())])
