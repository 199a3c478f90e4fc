"""Files that are old or new, never half: write beside, flush, fsync, replace, fsync the folder."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forecast.errors import StorageError, UnreachableError, printable

LONGEST_NAME = 200  # most file systems stop at 255 bytes; the temporary name adds about forty
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
LOCK_POLL = 0.05  # seconds
# Some network file systems have none, or none for a folder, which can only be opened to read.
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` for the caller to fill; on a clean exit it becomes ``path``.

    The new file keeps the permissions of the one it replaces. Missing parent folders are made. When the block
    raises, the temporary file is removed and ``path`` is as it was. Raises ``OSError`` when the disk refuses.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{_short(target.name)}.{uuid.uuid4().hex}.tmp")
    try:
        # Exclusive creation, with the permissions that the umask gives to any new file.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        if target.is_file():
            os.chmod(temporary, target.stat().st_mode & 0o7777)
        _sync(temporary, os.O_RDWR)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader, or a crash, sees the old file or the new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], data: str) -> None:
    """:func:`write_bytes` for text: UTF-8, line ends kept as they are."""
    write_bytes(path, data.encode("utf-8"))


def link(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Make ``path`` the same file as ``source``, or, where the disk has no links, one with the same content.

    Raises ``OSError`` when the disk refuses; then ``path`` is as it was.
    """
    source, target = Path(source), Path(path)
    if target.exists() and target.samefile(source):
        return
    temporary = target.with_name(f".{_short(target.name)}.{uuid.uuid4().hex}.tmp")
    try:
        os.link(source, temporary)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        write_bytes(target, source.read_bytes())
        return
    try:
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


@contextmanager
def locked(folder: str | os.PathLike[str], shared: bool = False, patience: float | None = None) -> Iterator[None]:
    """Hold ``folder`` alone, or with others who only read; where the system has no such lock, go on without.

    The kernel keeps the lock and lets go when a process dies, so that no lock file is left behind. Who holds it is
    waited for, with ``patience`` for no more than so many seconds: then ``UnreachableError``.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        last = None if patience is None else time.monotonic() + patience
        while flock(descriptor, shared, wait=last is None) is False:
            if last is not None and time.monotonic() > last:
                raise UnreachableError(
                    f"{printable(str(folder), 400)} has been locked by another process for {patience:g} s. Look for "
                    "one that hangs, then run the job again; it goes on where this run ended."
                )
            time.sleep(LOCK_POLL)
        yield
    finally:
        os.close(descriptor)


def flock(descriptor: int, shared: bool = False, wait: bool = False) -> bool | None:
    """Whether the open file or folder is locked for us now; ``None`` where there are no such locks.

    Raises ``OSError`` for whatever else the system has against it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


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
            "another folder; what was there before is untouched."
        )
    if error.errno in NO_RIGHT:
        return (
            f"access is refused ({said}). Give this user the right to read and write there, or choose another folder."
        )
    return f"{said}. Put that right, or choose another folder."


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make renames within ``folder`` durable. Windows has no such call, and needs none."""
    if os.name != "nt":
        _sync(folder, os.O_RDONLY)


def _sync(path: str | os.PathLike[str], flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _short(name: str) -> str:
    return name.encode("utf-8", "surrogateescape")[:LONGEST_NAME].decode("utf-8", "ignore")
