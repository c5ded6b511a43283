"""The compressed copy of a run's records that goes beside a report: the same records give the same bytes."""

import gzip
from collections.abc import Iterable
from pathlib import Path

from capratio.records.codec import encode
from capratio.records.record import Record
from capratio.records.whole_file import write_whole

_LEVEL = 9


def write_compact(records: Iterable[Record], path: Path) -> None:
    """Write records as gzip of one JSON line each, in their order, whole or not at all.

    The archive has no name and no time in it, so that equal records give equal bytes with one version of zlib.

    Raises InputError for a record without a JSON form, and OSError from the system.
    """
    text = "".join(f"{encode(record)}\n" for record in records)
    write_whole(path, gzip.compress(text.encode(), _LEVEL, mtime=0))
