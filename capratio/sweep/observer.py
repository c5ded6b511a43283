"""Who watches a sweep while it runs."""

from typing import Protocol

from capratio.records.record import Record


class Observer(Protocol):
    """Hears of each step of a sweep; the command line shows it to a person."""

    def started(self, total: int) -> None:
        """``total`` replicates of cases are to be measured."""

    def case_started(self, case_id: str, replicate: int) -> None:
        """A worker begins to measure a case."""

    def finished(self, record: Record) -> None:
        """A record is written."""

    def note(self, message: str) -> None:
        """Something that a person should know."""


class SilentObserver:
    """Hears everything and says nothing."""

    def started(self, total: int) -> None:
        """Say nothing."""

    def case_started(self, case_id: str, replicate: int) -> None:
        """Say nothing."""

    def finished(self, record: Record) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """Say nothing."""
