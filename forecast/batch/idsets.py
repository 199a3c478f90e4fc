"""Which series a run had, kept for the next one to compare with: a file for each set of ids, named by its hash."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecast.atomic import write_bytes
from forecast.errors import ForecastWarning, printable

KEPT = re.compile(r"[0-9a-f]{32}")


class Turnover(NamedTuple):
    """Series of the run before that are gone, and series that it had not, each in the order of its run."""

    vanished: pd.Index
    new: pd.Index


def vanished_and_new(previous_ids: pd.Index, ids: pd.Index) -> Turnover:
    """Compare the ids of two runs. Ids of another type (1 and "1") are other ids.

    >>> gone, new = vanished_and_new(pd.Index(["a", "b"]), pd.Index(["b", "c"]))
    >>> gone.tolist(), new.tolist()
    (['a'], ['c'])
    """
    return Turnover(previous_ids[ids.get_indexer(previous_ids) < 0], ids[previous_ids.get_indexer(ids) < 0])


def keep_ids(folder: str | Path, ids: pd.Index) -> str:
    """Write the set of ``ids`` below ``folder``, beside the models; returns its name, for the facts of the run.

    The same set, in any order, has the same name and is written once, so years of runs take no more room than the
    changes. Raises ``OSError`` when the disk refuses.
    """
    values = ids.tolist()
    alike = {type(value) for value in values} in ({str}, {int})  # these have an order of their own, which is quicker
    ordered = sorted(values) if alike else sorted(map(_plain, ids), key=_order)
    content = json.dumps(ordered, separators=(",", ":")).encode()
    name = hashlib.sha256(content).hexdigest()[:32]
    path = _path(folder, name)
    if not path.is_file() or path.stat().st_size != len(content):
        write_bytes(path, content)
    return name


def kept_ids(folder: str | Path, name: str | None) -> pd.Index | None:
    """The set that :func:`keep_ids` named so; ``None`` where there is none, or, with a warning, a damaged one."""
    if name is None or not KEPT.fullmatch(name):
        return None
    path = _path(folder, name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content).hexdigest()[:32] != name:
        warnings.warn(
            f"{printable(str(path), 300)} is damaged, so which series are new or gone is not known. Delete it.",
            ForecastWarning,
            stacklevel=2,
        )
        return None
    ids: pd.Index = pd.Index(json.loads(content))
    return ids


def _path(folder: str | Path, name: str) -> Path:
    return Path(folder) / f"ids-{name}.json"


def _order(value: Any) -> tuple[str, Any]:
    return ("", value) if isinstance(value, (int, float)) else (type(value).__name__, value)


def _plain(value: Any) -> Any:
    """An id as JSON holds it; what is neither text nor number becomes text."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (str, int, float)) else f"{type(value).__name__}:{value}"
