"""What the watch holds a job against."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from forecast.errors import ConfigError, printable


@dataclass(frozen=True)
class WatchSettings:
    """Limits of the watch. The defaults are for a job that a person looks at when it calls, not before.

    Attributes:
        recent, reference: how many periods (from one run's cutoff to the next) count as now, and how many before those
            as usual.
        runs: how many of the latest runs are scored again when actuals arrive late or are corrected.
        accuracy_ratio: how many times its usual error a job may make before it is drift.
        cusum_slack, cusum_limit: of the control chart of errors, in standard deviations: shifts smaller than twice the
            slack are let pass; a higher limit means fewer false alarms and later true ones.
        coverage_tolerance: how far, as a share, an interval's coverage may be from what it promises.
        bias_limit: net error over absolute error, between 0 and 1 (Trigg's tracking signal).
        confidence: of every bound, between 0 and 1.
        stale_steps: how many steps later than usual the newest row may be.
        share: how much larger than usual the share of stale series, or of missing values, may be.
        range_share: the share of series with values far outside what they ever were that is worth a warning.
        psi: population stability index of the values above which their distribution has shifted.
        vanished_share, fallback_share: the share of series that may vanish from one run to the next, or be forecast by
            a fallback, before it is worth a warning.

    Raises ``ConfigError`` for numbers that make no sense.
    """

    recent: int = 14
    reference: int = 42
    runs: int = 90
    accuracy_ratio: float = 1.2
    cusum_slack: float = 0.5
    cusum_limit: float = 5.0
    coverage_tolerance: float = 0.05
    bias_limit: float = 0.3
    confidence: float = 0.999
    stale_steps: int = 1
    share: float = 0.05
    range_share: float = 0.01
    psi: float = 0.25
    vanished_share: float = 0.0
    fallback_share: float = 0.05

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            whole = entry.type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "a whole number" if whole else "a number"
                raise ConfigError(f"watch.{entry.name}={printable(value)}: {kind} is needed.")
            if not math.isfinite(value) or value < 0:
                raise ConfigError(f"watch.{entry.name}={printable(value)}: it must be finite and not negative.")
        self._bounded("recent", 1, 10_000)
        self._bounded("reference", 2, 10_000)
        self._bounded("runs", 1, 100_000)
        self._bounded("accuracy_ratio", 1, 1000)
        self._bounded("confidence", 0.5, 1 - 1e-12)
        for name in ("coverage_tolerance", "bias_limit", "share", "range_share", "vanished_share", "fallback_share"):
            self._bounded(name, 0, 1)

    def _bounded(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        if not least <= value <= most:
            raise ConfigError(f"watch.{name}={printable(value)} must lie between {least:g} and {most:g}.")

    @classmethod
    def of(cls, values: dict[str, Any]) -> WatchSettings:
        """From the section of a job's settings; raises ``ConfigError`` naming every key that it does not know."""
        known = {entry.name for entry in fields(cls)}
        unknown = sorted(str(key) for key in values if key not in known)
        if unknown:
            raise ConfigError(
                f"watch: no setting {', '.join(map(printable, unknown))}. There are {', '.join(sorted(known))}."
            )
        return cls(**values)
