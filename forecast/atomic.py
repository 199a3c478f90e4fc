"""Files that are old or new, never half: write beside, flush, fsync, replace, fsync the folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST_NAME = 200  # most file systems stop at 255 bytes; the temporary name adds about forty


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


@contextmanager
def locked(folder: str | os.PathLike[str], shared: bool = False) -> Iterator[None]:
    """Hold ``folder`` alone, or with others who only read; where the system has no such lock, go on without.

    The kernel keeps the lock and lets go when a process dies, so that no lock file is left behind.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
