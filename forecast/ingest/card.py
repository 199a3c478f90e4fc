"""The card of a data set: what it is, where it comes from and how its raw table becomes a long frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from forecast.errors import ConfigError, printable

KINDS = ("shipped", "statsmodels", "download")
# Layout -> the keys that ``columns`` must have; see layouts.py and rawfiles.py.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "long": ("unique_id", "ds", "y"),
    "columns": ("ds", "y"),
    "calendar": ("unique_id", "ds", "y"),
    "across": ("unique_id", "y"),
    "m4": ("unique_id",),
    "tsf": ("unique_id",),
    "matrix": ("y",),
}
DATELESS = ("m4", "matrix")  # layouts whose source carries no stamps: the card says where they start
TEXTS = ("title", "description", "source", "licence", "kind", "layout")
COUNTS = ("h", "season_length", "series")
OPTIONAL = ("name", "rows", "url", "sha256", "file", "start")
REQUIRED = (*TEXTS, *COUNTS, "freq", "columns")


@dataclass(frozen=True)
class Card:
    """One data set.

    Attributes:
        name: what to type; also the name of the card's file.
        title: one line.
        description: what is measured, in which units, and what to beware of.
        source: who collected it (a citation) and where it can be had.
        licence: what may be done with it, as far as the source says.
        kind: ``shipped`` (a table in ``datasets/``), ``statsmodels`` (the statsmodels data set of this name, read
            from the installed package) or ``download``.
        layout: the shape of the raw table, a key of ``LAYOUTS``.
        columns: which raw columns hold ``unique_id``, ``ds`` and ``y``; its form follows the layout.
        freq: a pandas alias, or an integer step where the source has no calendar.
        h: the usual horizon, in steps.
        season_length: the usual season, in steps; for competition sets the one their MASE uses.
        series: how many series.
        rows: rows of the long frame, all series together; ``None`` where nobody counted.
        url: the raw files.
        sha256: the checksum of each url, ``None`` where unknown: it is then recorded at the first download.
        file: the shipped table, a file name in ``datasets/``.
        start: the first stamp of every series, where the source has none (invented, and said so in the description).
    """

    name: str
    title: str
    description: str
    source: str
    licence: str
    kind: str
    layout: str
    columns: Mapping[str, Any]
    freq: str | int
    h: int
    season_length: int
    series: int
    rows: int | None = None
    url: tuple[str, ...] = ()
    sha256: tuple[str | None, ...] = ()
    file: str | None = None
    start: str | int | None = None
    files: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(PurePosixPath(urlsplit(url).path).name for url in self.url))

    @property
    def offline(self) -> bool:
        """Whether it can be loaded on a machine that has never been online."""
        return self.kind != "download"


def make_card(name: str, entries: Mapping[str, Any]) -> Card:
    """The card ``name`` from the entries of its yaml file.

    Raises ``ConfigError`` that lists every bad key, one to a line.
    """
    problems = list(faults(name, entries))
    if problems:
        raise ConfigError("\n".join(f"{name}.yaml: {problem}" for problem in problems))
    known = {f.name for f in fields(Card) if f.init}
    values = {key: value for key, value in entries.items() if key in known}
    urls = tuple(values.pop("url", None) or ())
    hashes = tuple(values.pop("sha256", None) or (None,) * len(urls))
    texts = {key: " ".join(str(values.pop(key)).split()) for key in TEXTS}
    return Card(**{**values, **texts, "name": name, "url": urls, "sha256": hashes})


def faults(name: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """Everything that is wrong with the entries of card ``name``, one sentence each."""
    if not re.fullmatch(r"[a-z0-9_]+", name):
        yield f"the file name {printable(name)} is not made of a-z, 0-9 and _. Rename it."
    if entries.get("name", name) != name:
        yield f"name: {printable(entries['name'])} differs from the file's name. Make them equal."
    for key in entries:
        if key not in (*REQUIRED, *OPTIONAL):
            yield f"{key}: unknown key. Known: {', '.join((*REQUIRED, *OPTIONAL))}."
    for key in REQUIRED:
        if key not in entries:
            yield f"{key}: missing. Add it."
    yield from _text_faults(entries)
    yield from _number_faults(entries)
    yield from _source_faults(entries)
    yield from _layout_faults(entries)


def _text_faults(entries: Mapping[str, Any]) -> Iterator[str]:
    for key in TEXTS:
        value = entries.get(key, "?")
        if not isinstance(value, str) or not value.strip():
            yield f"{key}: {printable(value)} is not a text. Write one."
    for key, known in (("kind", KINDS), ("layout", tuple(LAYOUTS))):
        value = entries.get(key, known[0])
        if value not in known:
            yield f"{key}: {printable(value)} is not one of {', '.join(known)}."


def _number_faults(entries: Mapping[str, Any]) -> Iterator[str]:
    for key in COUNTS:
        if key in entries and not _is_count(entries[key]):
            yield f"{key}: {printable(entries[key])} is not a whole number of at least 1."
    rows = entries.get("rows")
    if rows is not None and not _is_count(rows):
        yield f"rows: {printable(rows)} is not a whole number of at least 1; leave it out when nobody counted."
    if "freq" in entries:
        yield from _freq_faults(entries["freq"], entries.get("start"))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _freq_faults(freq: Any, start: Any) -> Iterator[str]:
    import numpy as np

    from forecast.timeline import fit_timeline

    dated = isinstance(freq, str)
    given = start if start is not None else "2000-01-01" if dated else 0
    try:
        if not isinstance(given, str if dated else int):
            raise TypeError
        first = np.array([given], dtype="datetime64[us]" if dated else "int64")
    except (ValueError, TypeError, OverflowError):
        kind = "a date in quotes, such as '2000-01-01'" if dated else "a whole number"
        yield f"start: {printable(start)} does not go with freq {printable(freq)}. Write {kind}."
        return
    try:
        exact = fit_timeline(freq, first).ordinals(first)[1]
    except ConfigError as error:
        yield f"freq: {error}"
        return
    if start is not None and not exact.all():
        yield f"start: {printable(start)} is not on the grid of freq {printable(freq)}. Move it."


def _source_faults(entries: Mapping[str, Any]) -> Iterator[str]:
    urls, hashes = entries.get("url") or [], entries.get("sha256") or []
    if not isinstance(urls, list) or not isinstance(hashes, list):
        yield "url, sha256: not lists. Write one '- ' line for each file."
        return
    for url in urls:
        parts = urlsplit(url if isinstance(url, str) else "")
        if parts.scheme not in ("http", "https") or not parts.netloc or PurePosixPath(parts.path).name in ("", ".."):
            yield f"url: {printable(url)} is not an http(s) address of a file."
    for value in hashes:
        if value is not None and not (isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value)):
            yield f"sha256: {printable(value)} is not 64 hexadecimal digits; write null where it is unknown."
    if hashes and len(hashes) != len(urls):
        yield f"sha256: {len(hashes)} checksums for {len(urls)} urls. Give one each, null where unknown."
    if entries.get("kind") == "download" and not urls:
        yield "url: missing, though kind is download. Add the raw files' addresses."
    file = entries.get("file")
    if (entries.get("kind") == "shipped") != (file is not None):
        yield "file: a shipped table, and only that, names its file in datasets/."
    elif file is not None and not (isinstance(file, str) and re.fullmatch(r"[a-z0-9_]+\.csv", file)):
        yield f"file: {printable(file)} is not the name of a csv file in datasets/."


def _layout_faults(entries: Mapping[str, Any]) -> Iterator[str]:
    layout, columns = entries.get("layout"), entries.get("columns", {})
    if layout not in LAYOUTS:
        return
    if not isinstance(columns, Mapping):
        yield f"columns: {printable(columns)} is not a mapping. Write one key for each of unique_id, ds and y."
        return
    for key in columns:
        if key not in ("unique_id", "ds", "y"):
            yield f"columns.{key}: unknown key. Known: unique_id, ds, y."
    for key in LAYOUTS[layout]:
        if columns.get(key) is None:
            yield f"columns.{key}: missing, though layout {layout} needs it. Add it."
    if layout in DATELESS and entries.get("start") is None:
        yield f"start: missing, though layout {layout} carries no stamps. Say where its series start."
