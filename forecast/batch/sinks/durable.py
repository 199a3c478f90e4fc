"""Files on their way to readers: written aside, made durable, verified, and only then given their name."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
import uuid
import weakref
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from forecast.atomic import flock, sync_folder
from forecast.batch import points
from forecast.errors import StorageError, printable

DAY = 86400.0
MEGABYTE = 2**20
BEHIND = 16  # megabytes that may wait to be written


def check_folders(*folders: Path) -> None:
    """Raise ``StorageError`` if one of ``folders`` is a symbolic link or a file; it need not exist yet."""
    for folder in folders:
        shown = printable(str(folder), 400)
        if folder.is_symlink():
            raise StorageError(
                f"{shown} is a symbolic link. Give the folder it leads to, {os.path.realpath(folder)!r}."
            )
        above = next((place for place in (folder, *folder.parents) if place.exists()), folder)
        if above.exists() and not above.is_dir():
            raise StorageError(f"{printable(str(above), 400)} is a file where a folder is needed. Move it away.")


def make_folders(folder: Path) -> None:
    """``folder`` and those above it that are missing, durably."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        sync_folder(place.parent)


def probe(folder: Path) -> None:
    """Write, sync and remove a small file: raises ``OSError`` where nothing can be written."""
    trial = folder / f".probe.{uuid.uuid4().hex}.tmp"
    try:
        with trial.open("xb") as file:
            file.write(b"0" * 512)
            file.flush()
            os.fsync(file.fileno())
    finally:
        trial.unlink(missing_ok=True)


class Draft:
    """A file being written under a temporary name beside ``target``; its writer holds a lock on it while alive.

    Attributes:
        path: the temporary file, ``.NAME.HEX.tmp``.
        sha256, size: of all that was written, once :meth:`seal` has run.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.stem}.{uuid.uuid4().hex}.tmp")
        descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        flock(descriptor)
        self.file = _Hashing(io.FileIO(descriptor, "r+b"))
        self.sha256, self.size = "", 0
        # A draft that nobody published is gone with its object; a fork of this process must leave it alone.
        weakref.finalize(self, _forget, self.file, self.path, os.getpid()).atexit = False

    def seal(self) -> None:
        """Make the bytes durable and read them back. Raises ``StorageError`` when the disk holds something else."""
        self.file.flush()
        self.size = os.fstat(self.file.fileno()).st_size
        os.fsync(self.file.fileno())
        points.reached("sink.draft.synced")
        self.sha256 = self.file.digest.hexdigest()
        if file_hash(self.path) != self.sha256:
            raise StorageError(f"{self.path.name}: the disk gives back other bytes than were written. Check the disk.")

    def publish(self) -> None:
        """Give the file its name, for good: it becomes read-only, and the folder is synced."""
        os.chmod(self.path, self.path.stat().st_mode & 0o7555)
        os.replace(self.path, self.target)
        points.reached("sink.draft.named")
        sync_folder(self.target.parent)
        self.file.close()

    def discard(self) -> None:
        """Remove what was written, unless it got its name."""
        _forget(self.file, self.path, os.getpid())


def _forget(file: _Hashing, path: Path, process: int) -> None:
    if process == os.getpid():
        with suppress(OSError):  # what its buffer still holds may not fit the disk
            file.close()
        path.unlink(missing_ok=True)


class _Hashing(io.BufferedWriter):
    """A file whose bytes are hashed and written in a thread of its own, while the next ones are being made.

    What goes wrong there is raised by a later write or the next flush.
    """

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw, MEGABYTE)
        self.digest = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draft")
        self._waiting: deque[Future[None]] = deque()
        self._next: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        content = bytes(data)  # what is bytes already is not copied
        self._next.append(content)
        self._size += len(content)
        if self._size >= MEGABYTE:
            self._hand_over()
        return len(content)

    def _hand_over(self) -> None:
        self._waiting.append(self._thread.submit(self._write, self._next))
        self._next, self._size = [], 0
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > BEHIND):
            self._waiting.popleft().result()

    def _write(self, parts: list[bytes]) -> None:
        for part in parts:
            self.digest.update(part)
            super().write(part)

    def flush(self) -> None:
        if self._next:
            self._hand_over()
        while self._waiting:
            self._waiting.popleft().result()
        super().flush()

    def close(self) -> None:
        """Let go of the file. What was not flushed is lost: nobody asks for it any more."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._next.clear()
        self._waiting.clear()
        super().close()


def file_hash(path: Path) -> str:
    """SHA-256 of the file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def abandoned(path: Path) -> bool:
    """Whether the writer of the temporary file ``path`` is gone; where no lock can tell, after a day."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        free = flock(descriptor)
        return time.time() - os.fstat(descriptor).st_mtime > DAY if free is None else free
    finally:
        os.close(descriptor)


def show(version: Path, public: Path) -> None:
    """Make ``public`` the same as ``version`` at once: a hard link where the disk can, else a copy."""
    if public.exists() and public.samefile(version):
        return
    temporary = public.with_name(f".{public.name}.{uuid.uuid4().hex}.tmp")
    try:
        try:
            os.link(version, temporary)
        except OSError:  # a file system without links
            shutil.copyfile(version, temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        points.reached("sink.public.ready")
        os.replace(temporary, public)
        points.reached("sink.public.named")
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(public.parent)
