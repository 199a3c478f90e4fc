"""Series of several frequencies behind one Forecaster, with a Forecaster of its own for each frequency."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import CALENDAR_KEYS, EACH, Freq, as_freq, plain_freq
from forecast.artifact import Artifact
from forecast.bad_series import ATTRIBUTE
from forecast.errors import ArtifactError, ConfigError, DataError, Fault, ForecastWarning, NotFittedError, some
from forecast.forecasts import with_all_shares
from forecast.ingest.door import read_panel
from forecast.ingest.frequencies import OwnSeries, own_freqs, own_series
from forecast.ingest.pieces import Owned, Piece, collected, in_pieces
from forecast.ingest.read import read
from forecast.ingest.static import TABLE as STATIC
from forecast.ingest.terms import Terms
from forecast.persist import PARTS
from forecast.saved_ids import ids_json
from forecast.schema import Schema
from forecast.timeline import fit_timeline

if TYPE_CHECKING:
    from forecast.forecaster import Forecaster

Int = npt.NDArray[np.int64]
Method = TypeVar("Method", bound=Callable[..., Any])

SIDE_TABLES = (STATIC, "futr_df")
MISFIT = "The saved model's frequencies do not fit together. Restore it or save again."


def is_several(freq: object) -> bool:
    """Whether ``freq`` asks for a model for each frequency: ``"each"``, or a mapping from series to frequency."""
    if isinstance(freq, Mapping):
        return not (freq and set(freq) <= CALENDAR_KEYS)
    return isinstance(freq, str) and freq == EACH


def by_frequency(method: Method) -> Method:
    """A method of a Forecaster that :class:`Frequencies` does in its place where there are several."""

    @wraps(method)
    def chosen(self: Any, *args: Any, **options: Any) -> Any:
        several = self._several
        if several is None:
            return method(self, *args, **options)
        result = getattr(several, method.__name__)(*args, **options)
        return self if result is several else result

    return chosen  # type: ignore[return-value]


class Frequencies:
    """The Forecasters of several frequencies, and which series is whose.

    Args:
        freq: ``"each"``, then every series has the frequency of its own times, or a mapping from series to frequency.
        schema: the columns.
        make: an unfitted Forecaster of the frequency that it is called with.
        season_length: what ``make`` was told of it.

    ``parts`` are the fitted Forecasters by frequency. Raises ``ConfigError`` for a mapping that cannot be used.
    """

    def __init__(
        self, freq: Any, schema: Schema, make: Callable[[Freq], Forecaster], season_length: int | None = None
    ) -> None:
        self.given = None if isinstance(freq, str) else {name: _canonical(one) for name, one in freq.items()}
        if self.given is not None and not self.given:
            raise ConfigError("freq={} names no series. Give a frequency for each, or freq='each'.")
        self.schema, self.make, self.season_length = schema, make, season_length
        self.parts: dict[Freq, Forecaster] = {}
        self.known = Owned(pd.Index([]), np.empty(0, dtype=np.int64), ())

    def __repr__(self) -> str:
        counts = np.bincount(self.known.owner, minlength=len(self.known.freqs))
        state = "not fitted"
        if self.parts:
            series = ", ".join(f"{n} series of {f!r}" for n, f in zip(counts, self.known.freqs, strict=True))
            state = f"fitted on {series}"
        models = next(iter(self.parts.values())).models if self.parts else ()
        return f"Forecaster({', '.join([*models, 'several frequencies'])}, {state})"

    def fit(self, df: Any, **options: Any) -> Frequencies:
        """Fit a Forecaster for each frequency; everything is read before anything is trained."""
        pieces, owned = self._pieces(df, options)
        readings = self._readings(pieces)
        parts = {piece.freq: self.make(piece.freq) for piece in pieces}
        for piece, reading in zip(pieces, readings, strict=True):
            parts[piece.freq].fit(reading, **options)
        self.parts, self.known = parts, owned.placed()
        return self

    def predict(self, df: Any = None, **options: Any) -> pd.DataFrame:
        """Forecasts of all frequencies, series by series in the order of the data."""
        return self._by_series("predict", df, options)

    def simulate(self, df: Any = None, **options: Any) -> pd.DataFrame:
        """Random futures of all frequencies."""
        return self._by_series("simulate", df, options)

    def crossing(self, df: Any = None, **options: Any) -> pd.DataFrame:
        """How probable it is that series of all frequencies are beyond a threshold."""
        return self._by_series("crossing", df, options)

    def make_future_frame(self, df: Any = None, h: int | None = None, **options: Any) -> pd.DataFrame:
        """The rows that ``futr_df`` needs, of all frequencies."""
        return self._by_series("make_future_frame", df, {**options, "h": h})

    def cross_validation(self, df: Any, *windows: Any, **options: Any) -> pd.DataFrame:
        """Forecasts from the cutoffs of each frequency, one frequency after the other."""
        pieces, _ = self._pieces(df, options)
        readings = self._readings(pieces)
        made = (self.make(piece.freq) for piece in pieces)
        return _stacked([one.cross_validation(r, *windows, **options) for one, r in zip(made, readings, strict=True)])

    def update(self, new_rows: Any, **options: Any) -> Frequencies:
        """New rows for all frequencies, or for none where some have faults."""
        self.fitted()
        pieces, owned = self._pieces(new_rows, options, self.known)
        fresh = {piece.freq: copy(self.parts[piece.freq]) for piece in pieces}
        collected(pieces, lambda piece: fresh[piece.freq].update(piece.rows, **piece.side, **options))
        self.parts, self.known = {**self.parts, **fresh}, self.known.with_new(owned)
        return self

    def summary(self) -> pd.DataFrame:
        """The layers of every frequency's nets."""
        return pd.concat([p.summary().assign(freq=str(f)) for f, p in self.fitted().items()], ignore_index=True)

    def bad_series(self) -> pd.DataFrame:
        """The bad series of every frequency."""
        return pd.concat([part.bad_series for part in self.fitted().values()], ignore_index=True)

    def outliers(self) -> pd.DataFrame:
        """The outliers of every frequency."""
        return pd.concat([part.outliers for part in self.fitted().values()], ignore_index=True)

    def _artifact(self) -> Artifact:
        """All as one saved model: the names of the arrays of part ``i`` begin with ``i.``."""
        facts: list[dict[str, Any]] = []
        arrays: dict[str, dict[str, Any]] = {}
        for number, part in enumerate(self.fitted().values()):
            own = part._artifact()
            facts.append(own.facts)
            for group, named in own.arrays.items():
                arrays.setdefault(group, {}).update({f"{number}.{name}": value for name, value in named.items()})
        arrays["history"]["ids"] = np.frombuffer(ids_json(self.known.ids), dtype=np.uint8)
        given: Any = EACH
        if self.given is not None:
            ids_json(pd.Index(list(self.given)))  # refuses ids that JSON cannot hold
            given = [[getattr(name, "item", lambda one=name: one)(), plain_freq(f)] for name, f in self.given.items()]
        return Artifact({PARTS: facts, "freq": given, "season_length": self.season_length}, arrays)

    def take_over(self, parts: Sequence[Forecaster], order: pd.Index) -> None:
        """Go on with the fitted ``parts``, whose series came in ``order``.

        Raises ``ArtifactError`` where they do not belong together.
        """
        panels = [part._ready()[0] for part in parts]
        every = panels[0].ids.append([panel.ids for panel in panels[1:]])
        owner = np.repeat(np.arange(len(parts)), [len(panel) for panel in panels])
        self.parts = {panel.timeline.freq: part for panel, part in zip(panels, parts, strict=True)}
        place = every.get_indexer(order) if every.is_unique else np.full(1, -1)
        there = place >= 0  # a series that was left out for its faults has no rows in any part
        if len(self.parts) < len(parts) or int(there.sum()) != len(every):
            raise ArtifactError(MISFIT)
        self.known = Owned(order[there], owner[place[there]].astype(np.int64), tuple(self.parts))

    def fitted(self) -> dict[Freq, Forecaster]:
        """The Forecaster of each frequency. Raises ``NotFittedError`` before fitting."""
        if not self.parts:
            raise NotFittedError("This Forecaster has not been fitted. Call fit(df) first, or load a saved one.")
        return self.parts

    def _readings(self, pieces: Sequence[Piece]) -> list[Any]:
        return collected(
            pieces, lambda piece: read_panel(piece.rows, Terms(self.schema, piece.freq), piece.side.get(STATIC))
        )

    def _by_series(self, method: str, df: Any, options: dict[str, Any]) -> pd.DataFrame:
        """What a method of the parts gives, in the order in which the series came."""
        self.fitted()
        if df is None:
            side = {name: options.pop(name) for name in SIDE_TABLES if options.get(name) is not None}
            pieces, owned = in_pieces(None, side, self.known, self.schema), self.known
        else:
            pieces, owned = self._pieces(df, options, self.known)
        frames = collected(
            pieces, lambda piece: getattr(self.parts[piece.freq], method)(piece.rows, **piece.side, **options)
        )
        whole = _stacked(frames)
        order = np.argsort(owned.ids.get_indexer(pd.Index(whole[self.schema.id_col])), kind="stable")
        result = whole.iloc[order].reset_index(drop=True)
        result.attrs = whole.attrs
        return result

    def _pieces(self, df: Any, options: dict[str, Any], known: Owned | None = None) -> tuple[list[Piece], Owned]:
        """``df`` and the side tables among ``options``, taken out of them, by frequency; and whose each series is."""
        frame = read(df, self.schema)
        series = own_series(frame, self.schema)
        owned = self._owners(frame, series, known)
        side = {name: options.pop(name) for name in SIDE_TABLES if options.get(name) is not None}
        return in_pieces((frame, series), side, owned, self.schema, known), owned

    def _owners(self, frame: pd.DataFrame, series: OwnSeries, known: Owned | None) -> Owned:
        """The frequency of each series: the one it is ``known`` by, that of the mapping, or its own."""
        ids = series.ids
        owner = np.full(len(ids), -1, dtype=np.int64) if known is None else known.of(ids)
        freqs: list[Freq] = [] if known is None else list(known.freqs)
        new = owner < 0
        if self.given is None:
            found, numbers = own_freqs(frame, self.schema, series, new)
        else:
            found = list(dict.fromkeys(self.given.values()))
            named = np.array([found.index(freq) for freq in self.given.values()], dtype=np.int64)
            place = pd.Index(list(self.given)).get_indexer(ids)
            numbers = np.where(new & (place >= 0), named[place], -1)
        merged = [*freqs, *(freq for freq in found if freq not in freqs)]
        number_of = np.array([merged.index(freq) for freq in found] or [-1], dtype=np.int64)
        owner = np.where(numbers >= 0, number_of[numbers], owner)
        faults = [self._homeless(ids[at]) for at in np.flatnonzero(owner < 0).tolist()]
        if known is not None:
            strange = np.flatnonzero(owner >= len(freqs)).tolist()
            faults += [self._stranger(ids[at], merged[owner[at]], freqs) for at in strange]
            owner[strange], merged = -1, freqs
        if faults and (self.schema.on_bad_series != "skip" or len(faults) == len(ids)):
            raise DataError(faults)
        if faults:
            left = f"{len(faults)} of {len(ids)} series left out: {some(f.series for f in faults)}. First: {faults[0]}"
            warnings.warn(left, ForecastWarning, stacklevel=6)
        return Owned(ids, owner, tuple(merged))

    def _homeless(self, name: object) -> Fault:
        if self.given is not None:
            return Fault(self.schema.id_col, "freq names no frequency for it", "Add it: freq={…: 'D'}.", name)
        remedy = "Give it more rows, name the frequency of each series (freq={…: 'D'}), or leave it out."
        return Fault(self.schema.time_col, "no regular frequency fits the times", remedy, name)

    def _stranger(self, name: object, freq: Freq, fitted: Sequence[Freq]) -> Fault:
        problem = f"its frequency is {freq!r}, and the models were fitted on {some(fitted)}"
        return Fault(self.schema.time_col, problem, "Leave it out, resample it, or fit again with such series.", name)


def _canonical(freq: Any) -> Freq:
    """The one spelling of ``freq`` that its grid has, so that no frequency counts as two."""
    freq = as_freq(freq)
    return freq if isinstance(freq, int) else fit_timeline(freq, np.array(["1970-01-01"], "datetime64[us]")).freq


def refuse_parts(parts: Mapping[Freq, Any]) -> None:
    """Raise ``ConfigError``: what was asked for is there for one frequency at a time only."""
    names = some(parts)
    raise ConfigError(
        f"With several frequencies ({names}) ask one of them: forecaster.parts[FREQ], which is a Forecaster."
    )


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The frames one after the other, with the bad series of all in ``attrs``."""
    bad = {name: reason for frame in frames for name, reason in frame.attrs.get(ATTRIBUTE, {}).items()}
    whole = with_all_shares(pd.concat(frames, ignore_index=True), list(frames[0].columns))
    whole.attrs = {ATTRIBUTE: bad} if bad else {}
    return whole
