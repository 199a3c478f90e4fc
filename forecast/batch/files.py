"""Rows from CSV and Parquet files: one snapshot of all of them, whole or refused."""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import re
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from forecast.batch.marks import CHECKSUM, Comparison, FileMark, Mark, Reading, Signature, compare, dtypes_of
from forecast.batch.points import reached
from forecast.batch.source import joined, persistently, with_zone
from forecast.checks import truth
from forecast.errors import ConfigError, DataError, Fault, StorageError, printable, some
from forecast.ingest.read import CSV, PARQUET, parsed, with_index
from forecast.schema import Schema

TRAILER = re.compile(rb"#[ \t]*rows[ \t]*[:=][ \t]*(\d+)[ \t]*")
COPY_AGAIN = "It may be truncated or still being written: copy it again."


@dataclass(frozen=True)
class FileSource:
    """The rows of all files that match ``pattern``, in the order of their names.

    Every file is opened and read once. Sizes, times of change and the list of files are compared afterwards: a set
    that changed meanwhile is read again. A truncated file is refused, never read as fewer rows: Parquet ends with
    a footer; a CSV file must end with a line end, and its last line must have all fields. A cut just between two
    lines shows only where the file says how long it is: by a checksum beside it (``sales.csv.sha256``, as sha256sum
    writes it) or by a last line ``# rows: 1234``. Both are checked where they are there; ``proof="required"`` refuses
    CSV files that have neither.

    Args:
        pattern: a path with ``*``, ``?``, ``[…]`` and ``**`` (any folders). Names that start with a dot are left out:
            those are temporary files. Links are followed.
        schema: what the columns are called.
        columns: the columns to keep, those of the schema among them; all by default.
        zone: times that are written with an offset from UTC are read in this zone; by default as they are.
        patience: seconds to go on trying while files are missing, damaged or changing.
        proof: whether CSV files must say how long they are.
        incremental: whether a run may go on from the rows of the run before and read new files alone. New files are
            those that come after the old ones by name, all of which are as they were.

    Raises ``ConfigError`` for an argument that cannot be used.
    """

    pattern: str
    schema: Schema = Schema()
    columns: tuple[str, ...] | None = None
    zone: str | None = None
    patience: float = 30.0
    proof: Literal["optional", "required"] = "optional"
    incremental: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, (str, os.PathLike)) or not str(self.pattern):
            raise ConfigError(f"pattern={self.pattern!r} is not a path. Write 'folder/*.parquet', for example.")
        object.__setattr__(self, "pattern", str(self.pattern))
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))
        if self.proof not in ("optional", "required"):
            raise ConfigError(f"proof={self.proof!r} is not one of optional, required.")
        truth("incremental", self.incremental)

    def read(self, as_of: datetime) -> pd.DataFrame:
        """The rows as the files stand now, whatever ``as_of`` is.

        Raises ``StorageError`` when nothing matches, a file cannot be read or the files go on changing, ``DataError``
        naming the file and its bytes when it is damaged.
        """
        return self.read_since(as_of, None).frame

    def read_since(self, as_of: datetime, mark: Mark | None) -> Reading:
        """The rows of the files that came after ``mark`` was made, where all of those before are as they were and
        come first by name; else all rows, and why. Raises as :meth:`read` does."""
        snapshot = _Snapshot(self, mark)
        return snapshot.reading(persistently(snapshot.take, (StorageError, DataError), self.patience))

    def describe(self) -> dict[str, Any]:
        """Plain facts for the ledger and the hash of the settings."""
        columns = None if self.columns is None else list(self.columns)
        return {"kind": "files", "pattern": self.pattern, "columns": columns, "zone": self.zone, "proof": self.proof}


@dataclass
class _Snapshot:
    """One reading of all files, or of those that ``mark`` does not know, and what is remembered of a failed one:
    damaged files are read again only after something about them changed."""

    source: FileSource
    mark: Mark | None = None
    found: Comparison = Comparison()
    read: dict[str, FileMark] = field(default_factory=dict)
    damaged: Signature = ()
    damage: DataError | None = None
    header: tuple[str, list[str]] | None = None

    def take(self) -> list[pd.DataFrame]:
        """The tables."""
        begun = time.time_ns()
        before = self._signature()
        if self.damage is not None and self.damaged == before:
            raise self.damage
        paths = self._chosen_files(before, begun)
        states = {path: tuple(state) for path, *state in before}
        self.read = {}
        try:
            tables = [self._table(path, states, begun) for path in paths]
        except DataError as error:
            self.damaged, self.damage = before, error
            raise
        if self._signature() != before:
            raise StorageError(f"Files of {self._named} changed while they were read. Let their writer finish first.")
        return tables

    def _chosen_files(self, before: Signature, begun: int) -> list[str]:
        """The files to read: what ``mark`` knows and is as it was is left out."""
        self.header, self.found = None, Comparison()
        if self.mark is not None:
            try:
                self.found = compare(self.mark, before, begun)
            except OSError as error:
                raise _unreadable(str(error.filename), error) from error
        if self.mark is None or self.found.why:
            return [path for path, *_ in before if not path.endswith(CHECKSUM)]
        self.header = (self.found.kept[0].path, list(self.mark.header))
        return list(self.found.added)

    def reading(self, tables: list[pd.DataFrame]) -> Reading:
        """What :meth:`take` has found."""
        names = [] if self.header is None else self.header[1]
        raw = joined(tables) if tables else pd.DataFrame(columns=names)
        frame = with_zone(raw, self.source.schema, self.source.zone)
        marks = {file.path: file for file in self.found.kept} | self.read
        mark = Mark(tuple(marks.values()), tuple(names), dtypes_of(raw, frame))
        return Reading(frame, mark, bool(self.found.kept), self.found.why)

    @property
    def _named(self) -> str:
        return printable(self.source.pattern, 300)

    def _signature(self) -> Signature:
        """The files that match, and the checksums beside them, with what tells that one was changed."""
        paths = glob.glob(os.path.expanduser(self.source.pattern), recursive=True)
        found = sorted(path for path in paths if not path.endswith(CHECKSUM) and os.path.isfile(path))
        if not found:
            raise StorageError(f"No file matches {self._named}. Check the path, and that the data have arrived.")
        beside = [path + CHECKSUM for path in found if os.path.exists(path + CHECKSUM)]
        try:
            states = [(path, os.stat(path)) for path in (*found, *beside)]
        except OSError as error:
            raise _unreadable(str(error.filename), error) from error
        return tuple((path, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for path, s in states)

    def _table(self, path: str, states: Mapping[str, Any], begun: int) -> pd.DataFrame:
        try:
            content = Path(path).read_bytes()
            beside = Path(path + CHECKSUM)
            promised = beside.read_bytes() if beside.exists() else None
        except OSError as error:
            raise _unreadable(path, error) from error
        for name, data in ((path, content), (path + CHECKSUM, promised)):
            if data is not None and name in states:  # one that has come since makes the snapshot be taken again
                self.read[name] = FileMark.of(name, states[name], data, begun)
        reached("source.file")
        frame = whole_table(Path(path), content, promised, self.source.schema, self.source.proof == "required")
        return self._chosen(path, with_index(frame))

    def _chosen(self, path: str, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns wanted; every file must have those of the first."""
        names = [str(name) for name in frame.columns]
        wanted = None if self.source.columns is None else list(self.source.columns)
        if self.header is None:
            self.header = (path, names if wanted is None else wanted)
        first, expected = self.header
        missing = [name for name in expected if name not in names]
        extra = [] if wanted is not None else [name for name in names if name not in expected]
        if missing or extra:
            problem = f"lacks the columns {some(missing)}" if missing else f"has the columns {some(extra)} too"
            other = "which were asked for" if wanted is not None else f"unlike {printable(first, 300)}"
            remedy = "Give all files the same columns, or say by columns which to read."
            raise DataError(Fault("file", f"{printable(path, 300)} {problem}, {other}", remedy))
        return frame if wanted is None else frame[wanted]


def whole_table(
    path: Path, content: bytes, promised: bytes | None, schema: Schema, strict: bool = False
) -> pd.DataFrame:
    """The table in ``content``, all that was read from ``path``. ``promised`` is its checksum file, if there is one.

    Raises ``DataError`` when something is missing at the end, or with ``strict`` when that cannot be told.
    """
    name = path.name.lower()
    if promised is not None:
        _compare(path, content, promised)
    if name.endswith(PARQUET) or not name.endswith(CSV):
        return parsed(path, schema, content)  # which refuses endings that are not known
    text, rows = _without_trailer(_unzipped(path, content))
    if promised is None and rows is None:
        if strict:
            remedy = (
                f"Write {path.name}{CHECKSUM} beside it, or '# rows: N' as its last line; or pass proof='optional'."
            )
            raise _damage(path, content, "does not say how long it is, which proof='required' asks for", remedy)
        if not text.endswith((b"\n", b"\r")):
            last = text[-60:].rpartition(b"\n")[2]
            raise _damage(path, content, f"does not end with a line end, but with {printable(last)}", COPY_AGAIN)
    frame = parsed(path, schema, text)
    if rows is not None and rows != len(frame):
        raise _damage(path, content, f"has {len(frame)} rows, its last line promises {rows}", COPY_AGAIN)
    return with_numbers(frame, schema)


def with_numbers(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The target of a CSV file with its numbers as numbers again: one cell that is none made pandas take all for text.

    Such a cell stays as it is, for the door to name.
    """
    name = schema.target_col
    if list(frame.columns).count(name) != 1 or frame[name].dtype.kind not in "OSTU":
        return frame
    written = frame[name]
    numbers = pd.to_numeric(written, errors="coerce")
    unread = written.notna() & numbers.isna()
    if not unread.any():
        return frame.assign(**{name: numbers})
    return frame.assign(**{name: numbers.astype(object).where(~unread, written.astype(object))})


def _compare(path: Path, content: bytes, promised: bytes) -> None:
    digest = promised[:64].decode("ascii", "replace").lower()
    if not re.fullmatch("[0-9a-f]{64}", digest):
        remedy = "It begins with 64 hexadecimal digits: sha256sum FILE > FILE.sha256."
        raise _damage(path.with_name(path.name + CHECKSUM), promised, "is no checksum", remedy)
    if hashlib.sha256(content).hexdigest() != digest:
        raise _damage(path, content, f"is not what {path.name}{CHECKSUM} promises", COPY_AGAIN)


def _unzipped(path: Path, content: bytes) -> bytes:
    if not path.name.lower().endswith(".gz"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise _damage(path, content, f"cannot be unzipped: {printable(str(error), 200)}", COPY_AGAIN) from error


def _without_trailer(text: bytes) -> tuple[bytes, int | None]:
    """A CSV text without its last line, and the number of rows that it promises; or as it is, and nothing."""
    end = len(text) - len(text[-200:]) + len(text[-200:].rstrip(b"\r\n"))
    start = text.rfind(b"\n", max(end - 200, 0), end) + 1
    match = TRAILER.fullmatch(text[start:end])
    return (text, None) if match is None else (text[:start], int(match[1]))


def _damage(path: Path, content: bytes, problem: str, remedy: str) -> DataError:
    return DataError(Fault("file", f"{printable(str(path), 300)} ({len(content)} bytes) {problem}", remedy))


def _unreadable(path: str, error: OSError) -> StorageError:
    return StorageError(
        f"{printable(path, 300)} cannot be read: {error.strerror or error}. Check the disk and the permissions."
    )
