"""What the columns of a long frame mean."""

from __future__ import annotations

from dataclasses import dataclass

from forecast.errors import ConfigError

MISSING_POLICIES = ("mask", "raise", "ffill", "interpolate", "zero")
DUPLICATE_POLICIES = ("raise", "mean", "sum", "first", "last")
BAD_SERIES_POLICIES = ("raise", "skip")


@dataclass(frozen=True)
class Schema:
    """Column roles of a long frame (one row per series and time) and the policies for its faults.

    ``missing`` says what to do with gaps in the grid and NaN in the target: ``mask`` (keep them unknown; the
    default), ``raise``, ``ffill``, ``interpolate`` or ``zero``. ``duplicates`` says what to do with several
    rows of one series and time. ``on_bad_series`` says whether a series with faults stops everything
    (``raise``) or is left out, with a warning that names it (``skip``).

    ``stat_exog`` names the static features: columns of ``static_df``, or of the long frame where none is given.
    ``None`` takes every column that ``static_df`` has. ``hist_exog`` names columns of the long frame that are known up
    to the cutoff only (prices paid, temperatures measured), ``futr_exog`` those known into the future (promotions
    planned, prices listed): forecasting then asks for their future rows.

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
        ):
            if value not in known:
                raise ConfigError(f"{argument}={value!r} is not one of {', '.join(known)}.")
        if self.stat_exog is not None:
            object.__setattr__(self, "stat_exog", self._features("stat_exog", self.stat_exog))
        object.__setattr__(self, "hist_exog", self._features("hist_exog", self.hist_exog))
        object.__setattr__(self, "futr_exog", self._features("futr_exog", self.futr_exog))
        roles = [*(self.stat_exog or ()), *self.hist_exog, *self.futr_exog]
        twice = sorted({name for name in roles if roles.count(name) > 1})
        if twice:
            raise ConfigError(f"{', '.join(twice)}: a covariate has one role, stat_exog, hist_exog or futr_exog.")

    def _features(self, argument: str, columns: object) -> tuple[str, ...]:
        """A list of covariates as a tuple."""
        if not isinstance(columns, (list, tuple)) or not all(isinstance(name, str) for name in columns):
            raise ConfigError(f"{argument}={columns!r} must be a list of names of columns (text).")
        taken = sorted({self.id_col, self.time_col, self.target_col} & set(columns))
        if taken or len(set(columns)) < len(columns):
            problem = f"{', '.join(taken)} already has another role" if taken else "a column is named twice"
            raise ConfigError(f"{argument}={list(columns)!r}: {problem}.")
        return tuple(columns)
