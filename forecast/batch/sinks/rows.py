"""Forecast frames on their way in and out of any sink: checked and sorted before, put together after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch.form import KEYS, NOTES, Form
from forecast.errors import ConfigError, StorageError, printable, some

TEXTS = ("model", *NOTES)
RESERVED = frozenset(("job", "slot", "run", *KEYS, *NOTES))
LARGEST_STEP = 2**31


@dataclass(frozen=True)
class Piece:
    """The forecasts of one committed run, as read."""

    run: str
    slot: datetime
    form: Form
    frame: pd.DataFrame


def check_outputs(form: Form) -> None:
    """Raise ``ConfigError`` when an output has the name of another column or stands twice."""
    names = [name.casefold() for name in form.outputs]
    bad = [name for name in form.outputs if name.casefold() in RESERVED or names.count(name.casefold()) > 1]
    if bad:
        raise ConfigError(f"outputs={some(bad)}: the names must differ from each other and from {some(RESERVED, 99)}.")


def prepared(form: Form, frame: pd.DataFrame, nul: bool = False) -> pd.DataFrame:
    """``frame`` conformed to ``form``, sorted by ``unique_id`` and ``step``; the same rows give the same frame.

    Raises ``StorageError`` for a missing id or time, a step below 1, two rows for one step of a series, or, unless
    ``nul``, text with a NUL character, which CSV readers and databases cut off or refuse.
    """
    check_outputs(form)
    frame = form.conform(frame)
    for name in TEXTS:
        if frame[name].isna().any():
            frame[name] = frame[name].fillna("")
    codes, ids = pd.factorize(frame["unique_id"], sort=True)
    if not nul:
        _refuse_nul("unique_id", ids)
        for name in TEXTS:
            _refuse_nul(name, frame[name].unique())
    return _sorted(frame, np.asarray(codes, dtype=np.int64))


def _refuse_nul(column: str, values: Any) -> None:
    bad = [value for value in values if isinstance(value, str) and "\0" in value]
    if bad:
        raise StorageError(
            f"{column}: {some(bad)} holds a NUL character, which CSV files and databases cannot keep. Rename it in the "
            "source, or write to a Parquet folder."
        )


def _sorted(frame: pd.DataFrame, codes: np.ndarray[Any, np.dtype[np.int64]]) -> pd.DataFrame:
    steps = frame["step"].to_numpy()
    if len(steps) and not (steps.min() >= 1 and steps.max() < LARGEST_STEP):
        raise StorageError(f"step: {int(steps.min())} to {int(steps.max())} found; steps count from 1 to h.")
    places = codes * LARGEST_STEP + steps
    if (np.diff(places) > 0).all():
        return frame
    order = np.argsort(places, kind="stable")
    twice = np.flatnonzero(np.diff(places[order]) == 0)
    if len(twice):
        row = order[twice[0]]
        raise StorageError(
            f"unique_id {printable(frame['unique_id'].iloc[row])}, step {int(steps[row])} stands "
            f"{int((places == places[row]).sum())} times among the forecasts; one row for each is needed."
        )
    return frame.take(order).reset_index(drop=True)


def together(pieces: Sequence[Piece]) -> pd.DataFrame:
    """One frame of all pieces with ``run`` and ``slot`` in front; what one run does not give is NaN there.

    Where runs differ, the last piece says the zone, and ids are text if any are. Raises ``StorageError`` when some
    have whole numbers for times, or times without a zone, and others not.
    """
    if not pieces:
        return pd.DataFrame({name: _nothing(name) for name in ("run", "slot", *KEYS, *NOTES)})
    form = _common([piece.form for piece in pieces])
    frames = []
    for piece in pieces:
        frame = piece.frame
        if piece.form != form:
            lacking = [name for name in form.outputs if name not in frame.columns]
            frame = form.conform(frame.assign(**dict.fromkeys(lacking, np.nan)))
        frame.insert(0, "run", pd.Series(piece.run, index=frame.index, dtype="str"))
        slot = pd.Timestamp(piece.slot).tz_convert(UTC)
        frame.insert(1, "slot", pd.Series(slot, index=frame.index, dtype="datetime64[us, UTC]"))
        frames.append(frame)
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _nothing(name: str) -> pd.Series[Any]:
    kinds = {"slot": "datetime64[us, UTC]", "cutoff": "datetime64[us]", "ds": "datetime64[us]", "step": "int64"}
    return pd.Series([], dtype=kinds.get(name, "str"))


def _common(forms: Sequence[Form]) -> Form:
    last = forms[-1]
    other = next((form for form in forms if form.times != last.times), None)
    if other is not None:
        raise StorageError(
            f"Some of these runs have {other.times} times and others {last.times} ones. Read them apart with runs=[…], "
            "or publish under another job name since the change."
        )
    outputs = tuple(dict.fromkeys(name for form in reversed(forms) for name in form.outputs))
    return replace(last, ids="text" if any(form.ids == "text" for form in forms) else "integer", outputs=outputs)
