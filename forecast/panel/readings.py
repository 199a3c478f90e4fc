"""How the covariates of a panel reach a net: one encoding for each role."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forecast.panel.calendar import unproven
from forecast.panel.calendar_features import PREFIX
from forecast.panel.covariates import Covariates
from forecast.panel.encoding import Encoding, fit_encoding
from forecast.panel.holiday_features import NAME as HOLIDAY_NAME
from forecast.panel.known import Known
from forecast.panel.panel import Panel

MOST_LABELS = 50  # of a column that changes over time: every label is a cell of every row of a window


@dataclass(frozen=True)
class Readings:
    """Encodings of the covariates that a net reads; ``None`` for a role that it does not.

    Attributes:
        static: of features that do not change.
        hist: of covariates known up to the cutoff.
        futr: of covariates known into the future.
    """

    static: Encoding | None = None
    hist: Encoding | None = None
    futr: Encoding | None = None

    @property
    def widths(self) -> tuple[int, int, int]:
        """Cells of an encoded row of static features, ``hist`` and ``futr``, 0 for what is not read."""
        static, hist, futr = (0 if code is None else code.width for code in (self.static, self.hist, self.futr))
        return static, hist, futr

    def strangers(self, panel: Panel) -> dict[str, tuple[str, ...]]:
        """Labels in use in ``panel`` that have no cell of their own, by column; not the names of holidays, of which a
        short history lacks some each year."""
        futr = None if panel.futr is None else panel.futr.covariates
        found: dict[str, tuple[str, ...]] = {}
        pairs: tuple[tuple[Encoding | None, Covariates | None], ...] = (
            (self.static, panel.static),
            (self.hist, panel.hist),
            (self.futr, futr),
        )
        for encoding, covariates in pairs:
            if encoding is not None and covariates is not None:
                found |= encoding.strangers(covariates)
        found.pop(HOLIDAY_NAME, None)
        return found


UNREAD = Readings()


def fit_readings(panel: Panel, *, static: bool, hist: bool, futr: bool) -> Readings:
    """Learn from all rows of ``panel``, which has the training rows and no others; only the roles that are read."""
    return Readings(
        fit_encoding(panel.static) if static and panel.static is not None else None,
        fit_encoding(panel.hist, MOST_LABELS, panel.offsets, panel.first) if hist and panel.hist is not None else None,
        _fit_futr(panel, panel.futr) if futr and panel.futr is not None else None,
    )


def _fit_futr(panel: Panel, known: Known) -> Encoding | None:
    """Without the columns of time that "auto" brought and the training rows are too short for; the columns of time that
    stay are read as they are, not relative to their series."""
    rows = known.between(panel.first, panel.lengths).covariates
    idle = unproven(panel)
    kept = tuple(column for column in rows.columns if column.name not in idle)
    if not kept:
        return None
    encoding = fit_encoding(Covariates(kept), MOST_LABELS, panel.offsets, panel.first)
    numbers = (replace(code, within=None) if code.name.startswith(PREFIX) else code for code in encoding.numbers)
    return replace(encoding, numbers=tuple(numbers))
