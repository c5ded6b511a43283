"""A case found by its id."""

from difflib import get_close_matches
from pathlib import Path

from capratio.errors import InputError
from capratio.sweep.case import Case
from capratio.sweep.case_file import read_case_files
from capratio.sweep.case_group import DEVICES

NEAREST_IDS = 3


def find_case(case_id: str, files: list[Path]) -> Case:
    """The case of that id in some files, also where only its device differs from what they say.

    Raises InputError for an unknown id, with the nearest right ones, and as reading the files does.
    """
    known = {case.id: case for device in (*reversed(DEVICES), None) for case in read_case_files(files, device)}
    if case_id in known:
        return known[case_id]
    near = get_close_matches(case_id, known, n=NEAREST_IDS, cutoff=0.0)
    raise InputError(f"no case has the id {case_id!r}; the nearest are {', '.join(near)}, and --plan lists a file's.")
