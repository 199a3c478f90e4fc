"""What became of a run, as a value, an exit code and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from forecast.errors import printable, some

DONE, PARTIAL, STORAGE, ALERTS = 0, 3, 8, 10
State = Literal["committed", "unchanged", "spooled", "planned", "checked", "failed", "interrupted"]


@dataclass(frozen=True)
class Outcome:
    """What became of one slot of a job.

    Attributes:
        job, slot: which run was asked for; ``slot`` is aware, in UTC.
        state: ``committed`` (forecasts are published), ``unchanged`` (they were already), ``spooled`` (kept on local
            disk because the sink could not be reached; the next run delivers them), ``checked`` and ``planned`` (of
            ``--check-only`` and ``--dry-run``), ``failed``, ``interrupted``.
        exit_code: for the command; 0 done, 3 some series not by the job's own model, 10 done but alerts, else failed.
        run, version: which run of the ledger, and which version of its slot; ``None`` where it did not get that far.
        counts: model that made the forecasts -> series.
        quarantined: series -> what is wrong with its rows.
        alerts: what the watch found, in words.
        notes: anything else worth a line.
        facts: plain values about the run: rows, seconds, cutoff, hashes.
        error: what went wrong, when something did.
    """

    job: str
    slot: datetime
    state: State
    exit_code: int = DONE
    run: str | None = None
    version: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[Any, str] = field(default_factory=dict)
    alerts: Sequence[str] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def text(self) -> str:
        """The outcome in words: a line, and one more for everything that somebody should look at."""
        lines = [f"{self.job} {self.slot:%Y-%m-%dT%H:%M}Z: {self._headline()}"]
        if self.counts:
            made = ", ".join(f"{count:,} by {source}" for source, count in self.counts.items())
            lines.append(f"  forecasts of {sum(self.counts.values()):,} series: {made}")
        if self.quarantined:
            first = next(iter(self.quarantined.items()))
            lines.append(f"  quarantined: {some(self.quarantined)}; {printable(first[0])}: {first[1]}")
        lines += [f"  alert: {alert}" for alert in self.alerts]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)

    def _headline(self) -> str:
        version = f" (version {self.version})" if self.version else ""
        name = f"run {self.run}{version}" if self.run else "the run"
        words = {
            "committed": f"{name} is published",
            "unchanged": f"nothing to do, {name} is published already and neither data, model nor settings changed",
            "spooled": f"{name} is kept in the local spool: the sink cannot be reached. The next run delivers it",
            "planned": "dry run, nothing was written",
            "checked": "checked, nothing was written",
            "failed": f"failed: {self.error}",
            "interrupted": f"{self.error}; nothing half is left, the next run does it",
        }
        return words[self.state] + ("" if self.state in ("failed", "interrupted") else ".")


def worst(outcomes: Sequence[Outcome]) -> int:
    """The exit code of several runs: of a failure (the highest) before partial success, that before alerts.

    >>> worst([])
    0
    """
    codes = {outcome.exit_code for outcome in outcomes}
    failures = codes - {DONE, PARTIAL, ALERTS}
    return max(failures, default=next((code for code in (PARTIAL, ALERTS) if code in codes), DONE))
