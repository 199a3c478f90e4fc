"""What the columns of a long frame mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from forecast.errors import ConfigError

MISSING_POLICIES = ("mask", "raise", "ffill", "interpolate", "zero", "seasonal")
DUPLICATE_POLICIES = ("raise", "mean", "sum", "first", "last")
BAD_SERIES_POLICIES = ("raise", "skip", "fallback")
OUTLIER_POLICIES = (None, "clip")


@dataclass(frozen=True)
class Schema:
    """Column roles of a long frame (one row per series and time) and the policies for its faults.

    ``missing`` says what to do with gaps in the grid and NaN in the target: ``mask`` (keep them unknown; the
    default), ``raise``, ``ffill``, ``interpolate``, ``zero`` or ``seasonal`` (the last known value of the same
    season step; unknown where there is none yet). ``duplicates`` says what to do with several rows of one series and
    time. ``on_bad_series`` says whether a series with faults stops everything (``raise``), is left out (``skip``) or
    mended as far as can be and given a naive forecast (``fallback``); a warning names it either way. ``outliers`` says
    whether values absurdly far from their series are shown to models as they are (``None``) or taken back to the edge
    of what is plausible (``clip``, see :mod:`forecast.panel.outliers`); forecasts are always scored on the data as
    they are.

    ``stat_exog`` names the static features: columns of ``static_df``, or of the long frame where none is given.
    ``None`` takes every column that ``static_df`` has. ``hist_exog`` names columns of the long frame that are known up
    to the cutoff only (prices paid, temperatures measured), ``futr_exog`` those known into the future (promotions
    planned, prices listed): forecasting then asks for their future rows. ``calendar``, ``holidays``, ``holidays_col``
    and ``time_features`` (names of functions) say what else is known of any time because it is a time, see
    :class:`~forecast.panel.calendar.Calendar`.

    Raises ``ConfigError`` when a role is no text, two roles name one column or a policy is unknown.
    """

    id_col: str = "unique_id"
    time_col: str = "ds"
    target_col: str = "y"
    missing: str = "mask"
    duplicates: str = "raise"
    on_bad_series: str = "raise"
    stat_exog: tuple[str, ...] | None = None
    hist_exog: tuple[str, ...] = ()
    futr_exog: tuple[str, ...] = ()
    outliers: str | None = None
    calendar: str | tuple[str, ...] | None = None
    holidays: str | None = None
    holidays_col: str | None = None
    time_features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = (self.id_col, self.time_col, self.target_col)
        if not all(isinstance(name, str) for name in names):
            raise ConfigError(f"id_col, time_col and target_col must be names of columns (text), got {names}.")
        if len(set(names)) < len(names):
            raise ConfigError(f"id_col, time_col and target_col must be three different columns, got {names}.")
        for argument, value, known in (
            ("missing", self.missing, MISSING_POLICIES),
            ("duplicates", self.duplicates, DUPLICATE_POLICIES),
            ("on_bad_series", self.on_bad_series, BAD_SERIES_POLICIES),
            ("outliers", self.outliers, OUTLIER_POLICIES),
        ):
            if value not in known:
                raise ConfigError(f"{argument}={value!r} is not one of {', '.join(map(str, known))}.")
        if self.stat_exog is not None:
            object.__setattr__(self, "stat_exog", self._features("stat_exog", self.stat_exog))
        object.__setattr__(self, "hist_exog", self._features("hist_exog", self.hist_exog))
        object.__setattr__(self, "futr_exog", self._features("futr_exog", self.futr_exog))
        for name in ("calendar", "time_features"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        roles = [*(self.stat_exog or ()), *self.hist_exog, *self.futr_exog]
        twice = sorted({name for name in roles if roles.count(name) > 1})
        if twice:
            raise ConfigError(f"{', '.join(twice)}: a covariate has one role, stat_exog, hist_exog or futr_exog.")

    def target_only(self) -> Schema:
        """The same without covariates: for frames of ids, times and target alone."""
        bare = replace(self, stat_exog=None, hist_exog=(), futr_exog=())
        return replace(bare, calendar=None, holidays=None, holidays_col=None, time_features=())

    def options(self) -> dict[str, Any]:
        """Everything as arguments by name, but for functions of time, of which only the names are known here."""
        return {name: value for name, value in self.__dict__.items() if name != "time_features"}

    def _features(self, argument: str, columns: object) -> tuple[str, ...]:
        """A list of covariates as a tuple."""
        if not isinstance(columns, (list, tuple)) or not all(isinstance(name, str) for name in columns):
            raise ConfigError(f"{argument}={columns!r} must be a list of names of columns (text).")
        taken = sorted({self.id_col, self.time_col, self.target_col} & set(columns))
        if taken or len(set(columns)) < len(columns):
            problem = f"{', '.join(taken)} already has another role" if taken else "a column is named twice"
            raise ConfigError(f"{argument}={list(columns)!r}: {problem}.")
        return tuple(columns)
