"""A file that is there whole or not at all."""

import os
import tempfile
from pathlib import Path

from capratio.records.append_file import sync_folder


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, and return when the disk has it; a file already there stays until then.

    The folder is made if missing. Raises OSError from the system, and leaves nothing behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(name, path)
        sync_folder(path.parent)
    finally:
        # Gone already where it took the place of the file.
        Path(name).unlink(missing_ok=True)
