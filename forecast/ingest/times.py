"""The time column: from any dtype to stamps, collecting faults instead of raising."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import Freq, as_freq
from forecast.errors import Fault, printable, some
from forecast.ingest.columns import Column, rows_where
from forecast.timeline import fit_timeline

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

ONE_ZONE = "Convert all of them to one zone with pandas.to_datetime(…, utc=True)."
# Whole numbers of this size count something since 1970; from each bound up, in the unit after it.
EPOCHS = ((10**9, "s"), (10**11, "ms"), (10**14, "us"), (10**17, "ns"))
LARGEST_TIME = 2 * 10**18  # room for a horizon below the largest int64


def time_column(column: pd.Series[Any], freq: Freq | None = None) -> tuple[Column, str | None]:
    """Stamps as ``datetime64[us]`` (UTC when zoned) or ``int64``, and the time zone's name or ``None``.

    Where some rows have faults the others are there; nothing is where all have. Periods become their first moment,
    or their last day where only that lies on the grid of ``freq``.
    """
    name = str(column.name)
    dtype = column.dtype
    if isinstance(dtype, pd.PeriodDtype):
        return _dates(_period_stamps(column, freq), name), None
    if isinstance(dtype, pd.ArrowDtype):
        if dtype.kind == "M":
            column = pd.Series(pd.to_datetime(column), name=name)
        elif dtype.kind in "OSTU":
            column = column.astype(object)
        dtype = column.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _zoned(column, name)
    if dtype.kind == "M":
        return _dates(column, name), None
    if dtype.kind in "iu":
        return _integers(column, name), None
    if dtype.kind in "OT" or isinstance(dtype, pd.StringDtype):
        return _text_dates(column, name)
    remedy = "Use dates or integers; for seconds since 1970 convert with pandas.to_datetime(…, unit='s')."
    return Column(None, (Fault(name, f"times have dtype {dtype}", remedy),)), None


def _missing_time(name: str, missing: Bool) -> Fault:
    return Fault(name, "the time is missing", "Fill in the time or drop these rows.", None, rows_where(missing))


def _dates(column: pd.Series[Any], name: str) -> Column:
    given = column.to_numpy()
    stamps = given.astype("datetime64[us]", copy=False)
    missing = np.isnat(stamps)
    faults = [_missing_time(name, missing)] if missing.any() else []
    finer = missing if given is stamps else (stamps != given) & ~missing
    if given is not stamps and finer.any():
        remedy = "Round to microseconds (.dt.round('us')), or number the rows with integers."
        faults.append(Fault(name, "times finer than a microsecond", remedy, None, rows_where(finer)))
    return Column(stamps, tuple(faults))


def _period_stamps(column: pd.Series[Any], freq: Freq | None) -> pd.Series[Any]:
    start: pd.Series[Any] = column.dt.to_timestamp()
    if freq is None or isinstance(as_freq(freq), int):
        return start
    end: pd.Series[Any] = column.dt.to_timestamp(how="end").dt.normalize()
    for stamps in (start, end):
        known = stamps.dropna().to_numpy().astype("datetime64[us]")
        if known.size and fit_timeline(freq, known[:1]).ordinals(known)[1].all():
            return stamps
    return start


def _zoned(column: pd.Series[Any], name: str) -> tuple[Column, str | None]:
    zone = str(column.dt.tz)
    try:
        pd.DatetimeIndex([], tz=zone)
    except (KeyError, ValueError, OSError):  # dateutil's zones, and files read as zones, have no usable name
        remedy = "Use .dt.tz_convert('Europe/Paris') or whatever the zone is called."
        return Column(None, (Fault(name, f"the time zone {printable(zone)} has no name of its own", remedy),)), None
    return _dates(column.dt.tz_convert("UTC").dt.tz_localize(None), name), zone


def _integers(column: pd.Series[Any], name: str) -> Column:
    missing = np.asarray(column.isna())
    known = column[~missing].to_numpy()
    if not known.size:
        return Column(None, (_missing_time(name, missing),))
    smallest, largest = int(known.min()), int(known.max())
    if max(-smallest, largest) > LARGEST_TIME:
        extreme = largest if largest > LARGEST_TIME else smallest
        return Column(None, (Fault(name, f"the integer time {extreme} is too large", "Count from a nearer zero."),))
    values = np.zeros(len(column), dtype=np.int64)
    values[~missing] = known.astype(np.int64)
    disguised = _disguised_dates(values[~missing], smallest, largest, name)
    if disguised is not None:
        return Column(None, (disguised,))
    return Column(values, (_missing_time(name, missing),) if missing.any() else ())


def _disguised_dates(known: Int, smallest: int, largest: int, name: str) -> Fault | None:
    """A fault for whole numbers that are dates written without dashes, or counts since 1970."""
    way = None
    if smallest >= EPOCHS[0][0]:
        unit = next(unit for bound, unit in reversed(EPOCHS) if smallest >= bound)
        way = f"unit={unit!r}"
    elif smallest >= 18000101 and largest <= 22001231:
        dates = pd.to_datetime(pd.Series(known.astype(str)), format="%Y%m%d", errors="coerce")
        way = "format='%Y%m%d'" if dates.notna().all() else None
    if way is None:
        return None
    remedy = f"Convert with pandas.to_datetime(…, {way}); if they do count steps, subtract the first."
    return Fault(name, f"whole numbers that look like dates ({some(known[:3].tolist())})", remedy)


def _text_dates(column: pd.Series[Any], name: str) -> tuple[Column, str | None]:
    missing = np.asarray(column.isna())
    zones = {str(getattr(value, "tzinfo", None)) for value in column[~missing].head(1000) if not isinstance(value, str)}
    if len(zones) > 1:
        return Column(None, (Fault(name, f"times are in several time zones ({some(zones)})", ONE_ZONE),)), None
    try:
        parsed = pd.to_datetime(column, format="ISO8601", errors="coerce")
    except ValueError as error:
        return Column(None, (Fault(name, printable(str(error), 120), ONE_ZONE),)), None
    unread = np.asarray(parsed.isna()) & ~missing
    faults = []
    if missing.any():
        faults.append(_missing_time(name, missing))
    if unread.any():
        examples = some(column[unread].iloc[:3])
        remedy = "Convert with pandas.to_datetime(…, format='%d/%m/%Y') or whatever the format is."
        faults.append(Fault(name, f"not ISO dates: {examples}", remedy, None, rows_where(unread)))
    if (unread | missing).all():
        return Column(None, tuple(faults)), None
    notes = (f"{name}: dates were text and have been read as ISO dates.",)
    if isinstance(parsed.dtype, pd.DatetimeTZDtype):
        zoned, zone = _zoned(parsed, name)
        return Column(zoned.values, tuple(faults) if zone else zoned.faults, notes), zone
    return Column(parsed.to_numpy().astype("datetime64[us]"), tuple(faults), notes), None
