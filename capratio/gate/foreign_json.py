"""A result file that another tool wrote, read without trusting it."""

import re
from pathlib import Path

from capratio.errors import InputError
from capratio.records.strict_json import parse_object

# A result file with the samples of a thousand benchmarks takes some MiB.
MOST_BYTES = 2**28
# asv writes NaN for a benchmark that was skipped, which JSON does not know. A string, even one without an end, is
# passed over whole.
_NAN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|\bNaN\b', re.DOTALL)


def read_foreign_table(path: Path, mend: str) -> dict[str, object]:
    """The object that a file holds; NaN is read as null.

    Args: mend: what to do about a file that cannot be read, the end of the sentence.

    Raises InputError for a file that is too large or no JSON object.
    """
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes; result files of up to {MOST_BYTES} are read.")
    try:
        text = path.read_text(encoding="utf-8")
        return parse_object(_NAN.sub(lambda found: "null" if found[0] == "NaN" else found[0], text))
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); {mend}.") from None
