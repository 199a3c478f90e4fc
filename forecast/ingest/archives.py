"""Taking zip and gzip files apart without trusting them."""

from __future__ import annotations

import gzip
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from forecast.errors import DownloadError, printable

LIMIT = 2 << 30  # bytes; several times the largest set in the catalogue
CHUNK = 1 << 20


def unpack(path: Path, folder: Path, limit: int = LIMIT) -> list[Path]:
    """The plain files inside ``path`` (``.zip``, ``.gz``), written to ``folder``; any other file is returned as it is.

    Raises ``DownloadError`` when the archive is damaged or encrypted, when a member would land outside ``folder``
    or is a link, or when more than ``limit`` bytes come out.
    """
    suffix = path.suffix.lower()
    if suffix not in (".zip", ".gz"):
        return [path]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _unzip(path, folder, limit) if suffix == ".zip" else [_gunzip(path, folder, limit)]
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DownloadError(f"{path} is damaged ({error}). Delete it and load the data set again.") from error


def _unzip(path: Path, folder: Path, limit: int) -> list[Path]:
    written: list[Path] = []
    left = limit
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            _refuse_bad_member(path, member)
        for member in members:
            if member.filename.startswith("__MACOSX/"):
                continue
            target = folder.joinpath(*PurePosixPath(member.filename).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source:
                left -= _copy(source, target, left, path, limit)
            written.append(target)
    return written


def _refuse_bad_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    inside = PurePosixPath(name)
    windows = PureWindowsPath(name)
    if inside.is_absolute() or windows.drive or windows.root or ".." in (*inside.parts, *windows.parts):
        problem = "would be written outside the data folder"
    elif stat.S_ISLNK(member.external_attr >> 16):
        problem = "is a link"
    elif member.flag_bits & 1:
        problem = "is encrypted"
    else:
        return
    raise DownloadError(f"{path}: its member {printable(name)} {problem}. Nothing was unpacked; delete the file.")


def _gunzip(path: Path, folder: Path, limit: int) -> Path:
    target = folder / path.stem
    with gzip.open(path) as source:
        _copy(source, target, limit, path, limit)
    return target


def _copy(source: IO[bytes] | gzip.GzipFile, target: Path, left: int, path: Path, limit: int) -> int:
    """Copy to ``target``, counting what really comes out: the sizes that an archive declares may lie."""
    size = 0
    with target.open("wb") as file:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > left:
                file.close()
                target.unlink()
                raise DownloadError(f"{path} unpacks to more than {limit} bytes. It is not what the card describes.")
            file.write(chunk)
    return size
