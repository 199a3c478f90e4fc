"""The data sets by name: the cards of ``datasets/``, and a long frame for each.

Looked for in this order: your own folder (``data_dir`` or the environment variable ``FORECAST_DATA_DIR``), then what
ships with the package or with statsmodels, then the cache (``$XDG_CACHE_HOME/forecast``, else ``~/.cache/forecast``),
then the network.
"""

from __future__ import annotations

import difflib
import functools
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from forecast.errors import ConfigError, DataError, Fault, ForecastWarning, some
from forecast.ingest.card import Card, make_card
from forecast.resources import datasets_dir

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Card", "cache_dir", "card", "cards", "fetch", "load", "whereabouts"]

DATA_DIR = "FORECAST_DATA_DIR"


def cards() -> dict[str, Card]:
    """Every card, by name, sorted. Read from yaml at the first call.

    Raises ``ConfigError`` that lists every bad key of every card.
    """
    return dict(_cards(datasets_dir()))


@functools.cache
def _cards(folder: Path) -> Mapping[str, Card]:
    import yaml

    found, problems = {}, []
    for path in sorted(folder.glob("*.yaml")):
        try:
            entries = yaml.safe_load(path.read_text(encoding="utf-8"))
            if not isinstance(entries, Mapping):
                raise ConfigError(f"{path.name}: not a mapping of keys to values.")
            found[path.stem] = make_card(path.stem, entries)
            if found[path.stem].file and not (folder / str(found[path.stem].file)).is_file():
                raise ConfigError(f"{path.name}: file: {found[path.stem].file} is not in {folder}.")
        except (ConfigError, yaml.YAMLError, UnicodeDecodeError) as error:
            problems.append(str(error) if isinstance(error, ConfigError) else f"{path.name}: {error}")
    if problems:
        raise ConfigError("\n".join(["Data set cards that cannot be used:", *problems]))
    return MappingProxyType(found)


def card(name: str) -> Card:
    """The card of data set ``name``. Raises ``ConfigError`` with the nearest names when there is none."""
    known = cards()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name).lower(), known, 3, 0.5)
    hint = f"Did you mean {', '.join(near)}?" if near else f"The names are {', '.join(known)}."
    raise ConfigError(f"There is no data set {name!r}. {hint} 'forecast data list' shows them all.")


def load(name: str, data_dir: str | os.PathLike[str] | None = None, *, progress: bool = True) -> pd.DataFrame:
    """Data set ``name`` as a long frame: ``unique_id``, ``ds``, ``y``, and ``split`` (train, test) in competition sets.

    Rows are sorted by ``unique_id`` and ``ds``, ``y`` is float64 with NaN in gaps, ``ds`` is datetime64[us] or int64.
    ``data_dir`` (else ``FORECAST_DATA_DIR``) is a folder of yours that is looked into first: for ``<name>.parquet``,
    ``<name>.csv``, or the raw files that the card names, directly or in a folder ``<name>``. They are trusted as
    they are. Anything else that needs the network is downloaded once, verified by its checksum, and kept.

    Raises ``ConfigError`` for an unknown name or folder, ``DataError`` when your own table lacks a column, and
    ``DownloadError`` when the data cannot be fetched or are not what the card promises. Warns (``ForecastWarning``)
    when raw files hold another number of series or rows than the card says.
    """
    wanted = card(name)
    folder = _own_folder(data_dir)
    if folder is not None:
        for suffix in (".parquet", ".csv"):
            if (folder / (name + suffix)).is_file():
                return _read_own(wanted, folder / (name + suffix))
    if wanted.offline:
        return _read_offline(wanted)
    paths = _own_raw(wanted, folder) if folder is not None else None
    return _read_raw(wanted, paths or fetch(name, progress=progress))


def fetch(name: str, *, progress: bool = True) -> list[Path]:
    """Make sure that the files of data set ``name`` are on this machine, verified, and return their paths.

    Raises ``ConfigError`` for an unknown name and ``DownloadError`` when one cannot be had. Sets that statsmodels
    carries have no files of their own: an empty list.
    """
    from forecast.ingest.download import fetch as fetch_file

    wanted = card(name)
    if wanted.file is not None:
        return [datasets_dir() / wanted.file]
    hashes = dict(zip(wanted.url, wanted.sha256, strict=True))
    targets = _cached(wanted)
    return [
        fetch_file(url, target, hashes[url], progress=progress) for url, target in zip(wanted.url, targets, strict=True)
    ]


def cache_dir() -> Path:
    """Where downloads are kept: ``$XDG_CACHE_HOME/forecast``, or ``~/.cache/forecast``. It may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path there is to be ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "forecast"


def whereabouts(name: str, data_dir: str | os.PathLike[str] | None = None) -> str:
    """Where :func:`load` finds ``name``: ``own folder``, ``shipped``, ``statsmodels``, ``cache`` or ``network``."""
    wanted = card(name)
    folder = _own_folder(data_dir)
    if folder is not None:
        own_table = any((folder / (name + suffix)).is_file() for suffix in (".parquet", ".csv"))
        if own_table or _own_raw(wanted, folder):
            return "own folder"
    if wanted.offline:
        return wanted.kind
    return "cache" if all(path.is_file() for path in _cached(wanted)) else "network"


def _cached(wanted: Card) -> list[Path]:
    return [cache_dir() / wanted.name / file for file in wanted.files]


def _own_folder(data_dir: str | os.PathLike[str] | None) -> Path | None:
    given = os.environ.get(DATA_DIR, "") if data_dir is None else os.fspath(data_dir)
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        origin = f"the environment variable {DATA_DIR}" if data_dir is None else "data_dir"
        raise ConfigError(f"{given!r}, from {origin}, is not a folder. Correct it, or leave it out.")
    return folder


def _own_raw(wanted: Card, folder: Path) -> list[Path] | None:
    """The card's raw files in the user's folder, packed or not; ``None`` unless all are there."""
    found = []
    for file in wanted.files:
        names = [file]
        if file.endswith(".gz"):
            names.append(file.removesuffix(".gz"))
        if file.endswith(".zip"):
            names.append(file.removesuffix(".zip") + ".tsf")
        places = [place / name for name in names for place in (folder, folder / wanted.name)]
        here = next((path for path in places if path.is_file()), None)
        if here is None:
            return None
        found.append(here)
    return found or None


def _read_own(wanted: Card, path: Path) -> pd.DataFrame:
    import pandas as pd

    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
    else:
        # Only in the target is an empty cell or "NA" a missing value: a series may well be called "NA".
        frame = pd.read_csv(path, dtype={"unique_id": "str"}, keep_default_na=False, na_values={"y": ["", "NA", "nan"]})
    missing = [name for name in ("unique_id", "ds", "y") if name not in frame.columns]
    if missing:
        remedy = f"Rename the columns of {path}; it has {some(frame.columns)}."
        raise DataError([Fault(name, f"there is no such column in {path.name}", remedy) for name in missing])
    if isinstance(wanted.freq, str):
        try:
            frame["ds"] = pd.to_datetime(frame["ds"]).dt.as_unit("us")
        except ValueError as error:
            raise DataError(Fault("ds", f"a time cannot be read ({error})", f"Correct {path}.")) from error
    return frame.sort_values(["unique_id", "ds"], ignore_index=True)


def _read_offline(wanted: Card) -> pd.DataFrame:
    import importlib

    import pandas as pd

    from forecast.ingest.layouts import shape

    if wanted.file is not None:
        return shape(wanted, pd.read_csv(datasets_dir() / wanted.file))
    module = importlib.import_module(f"statsmodels.datasets.{wanted.name}")
    return shape(wanted, module.load_pandas().data)


def _read_raw(wanted: Card, paths: list[Path]) -> pd.DataFrame:
    from forecast.ingest.archives import unpack
    from forecast.ingest.rawfiles import read

    # Unpacked anew each time: what was verified is the archive, not a copy that could have changed since.
    with tempfile.TemporaryDirectory(prefix="forecast-") as folder:
        plain = [file for n, path in enumerate(paths) for file in unpack(path, Path(folder) / str(n))]
        frame = read(wanted, plain)
    counts = {"series": frame["unique_id"].nunique(), "rows": len(frame)}
    promised = {"series": wanted.series, "rows": wanted.rows}
    odd = [f"{n} {what} instead of {promised[what]}" for what, n in counts.items() if promised[what] not in (None, n)]
    if odd:
        origin = some(str(path) for path in paths)
        message = f"{wanted.name}: {', '.join(odd)}, from {origin}: a part of the set, or another version of it?"
        warnings.warn(message, ForecastWarning, stacklevel=3)
    return frame
