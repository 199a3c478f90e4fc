"""The shapes that raw tables come in, and how each becomes a long frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from forecast.errors import DownloadError, some
from forecast.ingest.card import Card
from forecast.ingest.wide import wide_to_long

if TYPE_CHECKING:
    import pandas as pd


def shape(card: Card, table: pd.DataFrame) -> pd.DataFrame:
    """The long frame of ``card`` from its raw ``table``: unique_id (text), ds, y (float64), sorted by id and time.

    Missing values before a series' first and after its last known value are left out, so that a series starts and
    ends with a number; gaps inside stay, as NaN. A series without any value vanishes.
    Raises ``DownloadError`` when the table lacks a column that the card names, or has two rows of one series and time.
    """
    long = TABLES[card.layout](card, table)
    long["unique_id"] = long["unique_id"].astype("str")
    long["y"] = long["y"].astype("float64")
    long = long.sort_values(["unique_id", "ds"], ignore_index=True)
    twice = long.duplicated(["unique_id", "ds"])
    if twice.any():
        raise DownloadError(f"{card.name}: {int(twice.sum())} rows repeat a time of their series. {_changed(card)}")
    return trim(long)


def trim(long: pd.DataFrame) -> pd.DataFrame:
    """``long`` (sorted) without the missing values at either end of each series."""
    known = long["y"].notna()
    ids = long["unique_id"]
    before = known.groupby(ids, sort=False).cummax()
    after = known[::-1].groupby(ids[::-1], sort=False).cummax()[::-1]
    return long[before & after].reset_index(drop=True)


def require(card: Card, table: pd.DataFrame, names: Iterable[Any]) -> None:
    """Raise ``DownloadError`` unless ``table`` has all the columns ``names``."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise DownloadError(f"{card.name}: no column {some(missing)} among {some(table.columns)}. {_changed(card)}")


def _changed(card: Card) -> str:
    return f"The raw table is not what datasets/{card.name}.yaml describes: use the version that the card names."


def _long(card: Card, table: pd.DataFrame) -> pd.DataFrame:
    """One row per series and time already; ``columns`` names the three columns."""
    names = {card.columns[role]: role for role in ("unique_id", "ds", "y")}
    require(card, table, names)
    long = table[list(names)].rename(columns=names)
    long["ds"] = _stamps(long["ds"], card)
    return long


def _columns(card: Card, table: pd.DataFrame) -> pd.DataFrame:
    """One column per series: ``y`` lists them (or maps them to ids), ``ds`` says where the time is.

    With ``unique_id`` the table holds a block of rows for each of its values, and the ids are ``value/column``.
    """
    names = card.columns["y"]
    names = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    group = card.columns.get("unique_id")
    require(card, table, [*names, *([group] if group else [])])
    wide = table[list(names)].rename(columns=names)
    wide.index = _time(card, table)
    long = wide_to_long(wide)
    if group:
        blocks = np.tile(table[group].astype("str").to_numpy(), len(names))
        long["unique_id"] = blocks + "/" + long["unique_id"].astype("str")
    return long


def _calendar(card: Card, table: pd.DataFrame) -> pd.DataFrame:
    """One series: years down, the parts of the year across (12 months, 4 quarters)."""
    import pandas as pd

    parts, year = list(card.columns["y"]), card.columns["ds"]["year"]
    require(card, table, [year, *parts])
    months = np.arange(0, 12, 12 // len(parts))
    stamps = _month_starts(np.repeat(table[year].to_numpy(), len(parts)), np.tile(months, len(table)))
    return pd.DataFrame({"unique_id": card.columns["unique_id"], "ds": stamps, "y": table[parts].to_numpy().ravel()})


def _across(card: Card, table: pd.DataFrame) -> pd.DataFrame:
    """One row per series, ``unique_id`` in one column, and one column for every year (those with a number as name)."""
    name = card.columns["unique_id"]
    require(card, table, [name])
    years = [column for column in table.columns if str(column).isdecimal()]
    wide = table[years].set_axis(table[name].astype("str"), axis="index").T
    wide.index = _index(_month_starts(np.array(years, dtype=np.int64), 0))
    return wide_to_long(wide)


TABLES = {"long": _long, "columns": _columns, "calendar": _calendar, "across": _across}


def _time(card: Card, table: pd.DataFrame) -> Any:
    where = card.columns["ds"]
    if where == "index":
        return _index(_stamps(table.index.to_series(), card))
    if isinstance(where, str):
        require(card, table, [where])
        return _index(_stamps(table[where], card))
    require(card, table, where.values())
    parts = {part: table[column].to_numpy().astype(np.int64) for part, column in where.items()}
    return _index(_month_starts(parts["year"], 3 * (parts["quarter"] - 1) if "quarter" in parts else 0))


def _index(stamps: Any) -> Any:
    import pandas as pd

    return pd.Index(stamps)


def _stamps(values: pd.Series[Any], card: Card) -> Any:
    """Times as datetime64[us], or as integers where the card's frequency is one."""
    import pandas as pd

    if not isinstance(card.freq, str):
        return values.astype("int64").to_numpy()
    try:
        return pd.to_datetime(values).to_numpy().astype("datetime64[us]")
    except ValueError as error:
        raise DownloadError(f"{card.name}: a time cannot be read ({error}). {_changed(card)}") from error


def _month_starts(years: Any, months: Any) -> Any:
    """The first day of month ``months`` (0 for January) of ``years``, as datetime64[us]."""
    numbers = (np.asarray(years).astype(np.int64) - 1970) * 12 + np.asarray(months)
    return numbers.astype("datetime64[M]").astype("datetime64[us]")
