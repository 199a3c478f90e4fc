"""What a source of files remembers of them, so that the next run need read only those that are new."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from forecast.errors import printable

FRESH = 60 * 10**9  # ns; file systems count in steps of up to two seconds, and by clocks of their own
CHECKSUM = ".sha256"
State = tuple[int, int, int, int]  # size, time of the last write, time of the last change of any kind, inode
Signature = tuple[tuple[str, *State], ...]


@dataclass(frozen=True)
class FileMark:
    """One file as it was read.

    Attributes:
        path: its path.
        state: size, times (ns) and inode: where they are the same, so is the content, unless the file was ``fresh``.
        sha256: of its content, hex.
        fresh: whether it was written just before it was read, so that its times could hide a later write.
    """

    path: str
    state: State
    sha256: str
    fresh: bool

    @classmethod
    def of(cls, path: str, state: State, content: bytes, begun: int) -> FileMark:
        """``content`` read from ``path`` after the time ``begun`` (ns since 1970)."""
        return cls(path, state, hashlib.sha256(content).hexdigest(), is_fresh(state, begun))

    def holds(self, state: State) -> bool:
        """Whether the file still has the content that was read. Raises ``OSError``."""
        if state == self.state and not self.fresh:
            return True
        if state[0] != self.state[0]:
            return False
        with Path(self.path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


Dtypes = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Mark:
    """Everything that was read of a source.

    Attributes:
        files: the files and the checksums beside them, in order.
        header: the columns that every file must have, in the order of the first.
        dtypes: names and dtypes of the columns of all rows together, before and after times were read.
    """

    files: tuple[FileMark, ...]
    header: tuple[str, ...]
    dtypes: Dtypes

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON."""
        files = [[mark.path, *mark.state, mark.sha256, mark.fresh] for mark in self.files]
        return {"files": files, "header": list(self.header), "dtypes": [list(entry) for entry in self.dtypes]}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Mark:
        """What :meth:`facts` told."""
        files = []
        for path, size, written, changed, inode, sha256, fresh in facts["files"]:
            files.append(FileMark(path, (size, written, changed, inode), sha256, fresh))
        dtypes = tuple((name, raw, read) for name, raw, read in facts["dtypes"])
        return cls(tuple(files), tuple(facts["header"]), dtypes)


@dataclass(frozen=True)
class Reading:
    """What a source that grows has given.

    Attributes:
        frame: the rows: all of them, or with ``added`` those that came after the mark was made.
        mark: of everything read by now; its ``dtypes`` are those of ``frame``.
        added: whether the rows before are left out.
        why: why they are not, where somebody asked for new rows alone.
    """

    frame: pd.DataFrame
    mark: Mark
    added: bool = False
    why: str = ""


@runtime_checkable
class Growing(Protocol):
    """A source that can tell what is new.

    Attributes:
        incremental: whether it should: the rows of the run before are kept then, as numbers, in the folder of the job.
    """

    @property
    def incremental(self) -> bool: ...

    def read_since(self, as_of: datetime, mark: Mark | None) -> Reading:
        """The rows that came after ``mark`` was made; all where it is ``None``, or where old rows may have changed.

        Raises as :meth:`forecast.batch.protocols.Source.read` does.
        """
        ...


@dataclass(frozen=True)
class Comparison:
    """What became of the files of a mark: those that are as they were, those that are new, or ``why`` that is not
    all there is to it."""

    kept: tuple[FileMark, ...] = ()
    added: tuple[str, ...] = ()
    why: str = ""


def compare(mark: Mark, there: Signature, begun: int) -> Comparison:
    """``mark`` with the files that are ``there`` now, after the time ``begun``. Raises ``OSError``."""
    states = {path: (size, written, changed, inode) for path, size, written, changed, inode in there}
    kept = []
    for file in mark.files:
        if file.path not in states:
            return Comparison(why=f"{printable(file.path, 200)} is gone")
        if not file.holds(states[file.path]):
            return Comparison(why=f"{printable(file.path, 200)} has changed")
        kept.append(FileMark(file.path, states[file.path], file.sha256, is_fresh(states[file.path], begun)))
    known = {file.path for file in kept}
    last = max(path for path in known if not path.endswith(CHECKSUM))
    added = tuple(path for path in states if path not in known)
    for path in added:
        if path.removesuffix(CHECKSUM) <= last:  # rows have the order of the names
            return Comparison(why=f"{printable(path, 200)} is new among older files")
    return Comparison(tuple(kept), added)


def is_fresh(state: State, begun: int) -> bool:
    """Whether a file was written so shortly before ``begun`` that a later write may leave its times as they are."""
    return max(state[1:3]) > begun - FRESH


def dtypes_of(raw: pd.DataFrame, frame: pd.DataFrame) -> Dtypes:
    """Names and dtypes of the columns, before and after times were read."""
    columns = zip(raw.columns, raw.dtypes, frame.dtypes, strict=True)
    return tuple((str(name), str(one), str(two)) for name, one, two in columns)
