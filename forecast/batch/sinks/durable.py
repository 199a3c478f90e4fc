"""Files on their way to readers: written aside, made durable, verified, and only then given their name."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import time
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from forecast.atomic import sync_folder
from forecast.batch import points
from forecast.errors import StorageError, UnreachableError, printable

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
LOCK_POLL = 0.05  # seconds
DAY = 86400.0


@contextmanager
def as_storage_errors(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn ``OSError`` of the block into a ``StorageError`` about ``path`` that says the way out.

    ``needed`` is about how many bytes the block wants to write.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{printable(str(path), 400)}: {_remedy(path, needed, error)}") from error


def _remedy(path: Path, needed: int, error: OSError) -> str:
    said = error.strerror or str(error)
    if error.errno in NO_ROOM:
        home = next(place for place in (path, *path.parents, Path(".")) if place.exists())
        free = shutil.disk_usage(home).free
        return (
            f"no room ({said}): about {needed:,} bytes are needed, {free:,} are free there. Make room or choose "
            "another folder; what was published before is untouched."
        )
    if error.errno in NO_RIGHT:
        return (
            f"access is refused ({said}). Give this user the right to read and write there, or choose another folder."
        )
    return f"{said}. Put that right, or choose another folder."


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


@contextmanager
def locked(folder: Path, patience: float) -> Iterator[None]:
    """Hold ``folder`` alone; wait up to ``patience`` seconds for another who does, then ``UnreachableError``."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        last = time.monotonic() + patience
        while _flock(descriptor) is False:
            if time.monotonic() > last:
                raise UnreachableError(
                    f"{printable(str(folder), 400)} has been locked by another process for {patience:g} s. Look for "
                    "one that hangs, then run the job again; it goes on where this run ended."
                )
            time.sleep(LOCK_POLL)
        yield
    finally:
        os.close(descriptor)


def _flock(descriptor: int) -> bool | None:
    """Whether the file is ours alone now. ``None`` where there are no such locks: the ledger still keeps runs apart."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            return None
        raise
    return True


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
        _flock(descriptor)
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
    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw, 2**20)
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return super().write(data)


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
        free = _flock(descriptor)
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
