"""Reading the files that benchmark sets are published in: M4's wide csv, Monash's tsf, bare matrices."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.errors import DownloadError, printable, some
from forecast.ingest.card import Card
from forecast.ingest.layouts import shape

if TYPE_CHECKING:
    import pandas as pd

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Series of unequal length, one after the other.

    ``ids`` and ``lengths`` have one entry per series, ``values`` one per observation; ``starts`` holds the first
    stamp of each series as ISO text, ``None`` where the file has none.
    """

    ids: list[str]
    lengths: Int
    values: Float
    starts: list[str] | None = None


def read(card: Card, paths: list[Path]) -> pd.DataFrame:
    """The long frame of ``card`` (sorted by unique_id and ds) from its raw files, already unpacked.

    Competition sets carry a column ``split``: ``train`` or ``test``. Raises ``DownloadError`` when a file is not
    what the card describes.
    """
    import pandas as pd

    if card.layout == "m4":
        return _m4(card, paths)
    if len(paths) != 1:
        raise DownloadError(f"{card.name}: {len(paths)} files, {some(p.name for p in paths)}, where one was expected.")
    if card.layout == "tsf":
        return _assemble(card, read_tsf(paths[0]), card.h)
    if card.layout == "matrix":
        return _assemble(card, _read_matrix(card, paths[0]), 0)
    try:
        table = pd.read_csv(paths[0])
    except (ValueError, OSError) as error:  # ParserError, EmptyDataError and UnicodeDecodeError are ValueErrors
        raise DownloadError(f"{paths[0]} is not a csv table ({error}). {_again()}") from error
    return shape(card, table)


def _again() -> str:
    return "Delete it and load the data set again."


def _m4(card: Card, paths: list[Path]) -> pd.DataFrame:
    """M4: two tables, train and test, a row per series, padded with empty cells to the longest."""
    by_split = {split: [path for path in paths if split in path.name.lower()] for split in ("train", "test")}
    if [len(found) for found in by_split.values()] != [1, 1]:
        raise DownloadError(f"{card.name} needs one train and one test file, found {some(p.name for p in paths)}.")
    train, test = (_read_wide(found[0], card.columns["unique_id"]) for found in by_split.values())
    if sorted(train.ids) != sorted(test.ids):
        odd = sorted(set(train.ids) ^ set(test.ids))
        raise DownloadError(f"{card.name}: series {some(odd)} are in only one of train and test. {_again()}")
    place = {name: position for position, name in enumerate(train.ids)}
    owner = np.concatenate(
        [np.arange(len(train.ids)).repeat(train.lengths), np.array([place[i] for i in test.ids]).repeat(test.lengths)]
    )
    order = np.argsort(owner, kind="stable")  # puts each series' test rows right behind its train rows
    lengths = np.bincount(owner, minlength=len(train.ids)).astype(np.int64)
    held_out = test.lengths[np.argsort([place[i] for i in test.ids])]
    return _assemble(card, Ragged(train.ids, lengths, np.concatenate([train.values, test.values])[order]), held_out)


def _read_wide(path: Path, id_col: str) -> Ragged:
    """Line by line: as a table, M4 Monthly would be 134 million cells, nine tenths of them empty."""
    ids: list[str] = []
    values = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        header = next(lines, "").replace('"', "").strip()
        if header.split(",")[0] != id_col:
            raise DownloadError(f"{path}: the first column is {printable(header[:40])}, not {id_col!r}. {_again()}")
        for number, line in enumerate(lines, 2):
            name, _, body = line.replace('"', "").rstrip(",\r\n").partition(",")
            if name:
                ids.append(name)
                values.append(_numbers(body, path, number))
    return _ragged(ids, values, path)


def _ragged(ids: list[str], values: list[Float], path: Path, starts: list[str] | None = None) -> Ragged:
    if not ids:
        raise DownloadError(f"{path} holds no series. {_again()}")
    return Ragged(ids, np.array([len(v) for v in values], dtype=np.int64), np.concatenate(values), starts)


def read_tsf(path: Path) -> Ragged:
    """The series of a ``.tsf`` file (Godahewa et al. 2021, Monash archive): a header, then ``id:start:v,v,...``.

    ``?`` stands for a missing value. Raises ``DownloadError`` naming the line that cannot be read.
    """
    attributes: list[str] = []
    ids, starts, values = [], [], []
    in_data = False
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if not in_data:
                word, _, rest = line.partition(" ")
                in_data = word.lower() == "@data"
                attributes += [rest.split()[0]] if word.lower() == "@attribute" and rest.strip() else []
                continue
            *head, body = line.split(":")
            if len(head) != len(attributes) or "series_name" not in attributes:
                raise DownloadError(f"{path}, line {number}: {len(head)} fields for attributes {some(attributes)}.")
            facts = dict(zip(attributes, head, strict=True))
            ids.append(facts["series_name"])
            starts.append(facts.get("start_timestamp", ""))
            values.append(_numbers(body, path, number))
    return _ragged(ids, values, path, starts if "start_timestamp" in attributes else None)


def _numbers(body: str, path: Path, number: int) -> Float:
    """Comma-separated numbers; an empty cell, ``?`` and ``NA`` are missing."""
    if ",," in body or "?" in body or "NA" in body:
        body = ",".join("nan" if cell in ("", "?", "NA") else cell for cell in body.split(","))
    try:
        return np.array(body.split(",") if body else [], dtype=np.float64)
    except ValueError as error:
        raise DownloadError(f"{path}, line {number}: {error}. {_again()}") from error


def _read_matrix(card: Card, path: Path) -> Ragged:
    """Rows are times, columns are series; no header."""
    try:
        matrix = np.loadtxt(path, delimiter=",", ndmin=2)
    except (ValueError, OSError) as error:
        raise DownloadError(f"{path} is not a matrix of numbers ({error}). {_again()}") from error
    names = [str(name) for name in card.columns["y"]]
    if matrix.shape[1] != len(names):
        raise DownloadError(f"{path} has {matrix.shape[1]} columns, the card names {len(names)}. {_again()}")
    return Ragged(names, np.full(len(names), len(matrix)), matrix.ravel(order="F"))


def _assemble(card: Card, series: Ragged, held_out: Int | int) -> pd.DataFrame:
    """The long frame; the last ``held_out`` rows of each series are the test split (0: no split at all)."""
    import pandas as pd

    twice = sorted(name for name, times in Counter(series.ids).items() if times > 1)
    if twice:
        raise DownloadError(f"{card.name}: series {some(twice)} occur more than once. {_again()}")
    ranks = np.argsort(np.argsort(np.array(series.ids, dtype=object)))
    order = np.argsort(ranks.repeat(series.lengths), kind="stable")
    owner = np.arange(len(series.ids)).repeat(series.lengths)
    position = np.arange(len(owner)) - (series.lengths.cumsum() - series.lengths).repeat(series.lengths)
    frame = {
        "unique_id": pd.Index(series.ids, dtype="str").take(owner[order]),
        "ds": _times(card, series, owner, position)[order],
        "y": series.values[order],
    }
    if np.any(held_out):
        test = position >= (series.lengths - held_out).repeat(series.lengths)
        frame["split"] = pd.Index(["train", "test"], dtype="str").take(test[order].astype(np.int64))
    return pd.DataFrame(frame)


def _times(card: Card, series: Ragged, owner: Int, position: Int) -> Any:
    """The stamps of all rows. A start off the grid moves back to the beginning of its period."""
    from forecast.timeline import fit_timeline

    kind = "datetime64[us]" if isinstance(card.freq, str) else "int64"
    if series.starts is not None and isinstance(card.freq, str):
        texts: list[Any] = [f"{start[:10]}T{start[11:].replace('-', ':') or '00'}" for start in series.starts]
    elif card.start is not None:
        texts = [card.start] * len(series.ids)
    else:
        raise DownloadError(f"{card.name}: the file has no start stamps, and its card no start. {_again()}")
    try:
        starts = np.array(texts, dtype=kind)
    except ValueError as error:
        raise DownloadError(f"{card.name}: a start cannot be read ({printable(str(error))}). {_again()}") from error
    timeline = fit_timeline(card.freq, starts[:1])
    first, _ = timeline.ordinals(starts)
    return timeline.stamps(first[owner] + position)
