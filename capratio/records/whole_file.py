"""A small file of JSON that is there whole or not at all."""

import os
import tempfile
from pathlib import Path

from capratio.records.append_file import sync_folder


def write_whole(path: Path, text: str) -> None:
    """Write a text and its newline, and return when the disk has it; a file already there stays until then.

    The folder is made if missing. Raises OSError from the system, and leaves nothing behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(name, path)
        sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
