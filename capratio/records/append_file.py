"""A file of lines that survives a kill: a line is on the disk whole, or is recognised as torn and cut away."""

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

from capratio.errors import InputError
from capratio.records.strict_json import parse_object

_BLOCK_BYTES = 2**20


def is_torn(tail: bytes, where: str) -> bool:
    """Whether a last line without its newline is a JSON object that was cut off; a whole one only lacks the newline.

    A crash of the machine may leave zeros where the line's bytes were to come, and they count as cut off.

    Args: tail: what stands after the last newline, not empty. where: the file's name for the message.

    Raises InputError for bytes that no JSON object begins with, so that a foreign file is never shortened.
    """
    text = tail.strip(b"\0")
    if text and not text.startswith(b"{"):
        raise InputError(
            f"{where} ends in a line that is not JSON; it is not a file of capratio, and is left as it is."
        )
    try:
        parse_object(tail.decode("utf-8"))
    except (InputError, UnicodeDecodeError):
        return True
    return False


class AppendFile:
    """A file opened for one writer that appends lines; made if missing.

    A torn last line is cut away on opening, and ``repaired`` says so; a whole one without its newline gets it.

    Raises InputError when another writer has the file open or its end is foreign, and OSError from the system.
    """

    def __init__(self, path: Path) -> None:
        self.repaired = False
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with ExitStack() as unless_opened:
            unless_opened.callback(self.close)
            self._lock(path)
            self._repair(path)
            # The name of a new file is on the disk only when its folder is.
            sync_folder(path.parent)
            unless_opened.pop_all()

    def append(self, line: str) -> None:
        """Write a line and its newline and return when the disk has them; on failure the file is as it was."""
        size = os.lseek(self._handle, 0, os.SEEK_END)
        try:
            _write_all(self._handle, f"{line}\n".encode())
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, size)
            raise

    def close(self) -> None:
        """Release the file and its lock; closing twice is allowed."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _lock(self, path: Path) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{path} is being written by another process; wait for it or choose another run."
            ) from None

    def _repair(self, path: Path) -> None:
        size = os.fstat(self._handle).st_size
        start = _after_last_newline(self._handle, size)
        if start == size:
            return
        tail = _read_range(self._handle, start, size)
        if is_torn(tail, str(path)):
            os.ftruncate(self._handle, start)
            self.repaired = True
        else:
            os.lseek(self._handle, 0, os.SEEK_END)
            _write_all(self._handle, b"\n")
        os.fsync(self._handle)


def sync_folder(folder: Path) -> None:
    """Return when the disk has the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def _read_range(handle: int, start: int, end: int) -> bytes:
    parts = []
    while start < end and (part := os.pread(handle, min(end - start, _BLOCK_BYTES), start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _after_last_newline(handle: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        found = _read_range(handle, start, end).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
