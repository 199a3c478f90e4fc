"""A run in words: the headline, what changed, who is ill and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch.ledger.masking import masked
from forecast.batch.watch.changes import Change, Changes
from forecast.batch.watch.facts import Part, RunFacts
from forecast.errors import Fault, printable, some
from forecast.report.wording import ABSENT, count, duration, label, number, percent

SHOWN_SERIES = 50
LONGEST_TEXT = 600
STATES = {
    "committed": "is published", "unchanged": "had nothing to do", "spooled": "is kept in the local spool",
    "failed": "failed", "interrupted": "was interrupted",
}  # fmt: skip
EXITS = {
    0: "done", 1: "unexpected error", 2: "configuration", 3: "done, some series not by the job's own model", 4: "data",
    5: "training", 6: "saved model", 7: "download", 8: "storage", 9: "already running", 10: "done, but alerts",
}  # fmt: skip
PARTS: dict[Part, str] = {"data": "new data", "model": "a new model", "settings": "new settings or covariates"}


def slot_text(slot: datetime) -> str:
    """``2026-03-05 06:00 UTC``."""
    return f"{slot:%Y-%m-%d %H:%M} UTC"


def headline(facts: RunFacts, alerts: int) -> str:
    """What became of the run, in one sentence."""
    state = STATES.get(facts.state, facts.state)
    if facts.frame is None:
        why = f": {shown(facts.error)}" if facts.error else ""
        return f"The run of {slot_text(facts.slot)} {state}{why}"
    series = sum(facts.counts.values()) or facts.frame["unique_id"].nunique()
    parts = [f"{count(series, 'series', 'series')} forecast"]
    others = series - facts.counts.get(own_model(facts), series)
    if others:
        parts.append(f"{others:,} by a fallback")
    if facts.quarantined:
        parts.append(f"{len(facts.quarantined):,} quarantined")
    parts.append(count(alerts, "alert") if alerts else "no alerts")
    return f"The run of {slot_text(facts.slot)} {state}: {', '.join(parts)}."


def own_model(facts: RunFacts) -> str:
    """The name of the job's own model, "" where nothing was forecast."""
    frame = facts.frame
    return str(frame["model"].iloc[0]) if frame is not None and len(frame) else ""


def shown(text: object, limit: int = LONGEST_TEXT) -> str:
    """``text`` for the page: no passwords, no control characters, not endless."""
    return label(masked(str(text)), limit)


def source_rows(facts: RunFacts) -> list[tuple[str, str, str]]:
    """(source, series, share) with the job's own model first."""
    total = sum(facts.counts.values())
    own = own_model(facts)
    ordered = sorted(facts.counts.items(), key=lambda item: (item[0] != own, -item[1]))
    return [(shown(source), f"{series:,}", percent(series / total)) for source, series in ordered if total]


def reason_rows(facts: RunFacts) -> list[tuple[str, str]]:
    """(reason, series), the commonest first."""
    reasons = dict(facts.reasons) or _reasons(facts.frame)
    ordered = sorted(reasons.items(), key=lambda item: -item[1])
    return [(shown(reason), f"{series:,}") for reason, series in ordered[:SHOWN_SERIES]]


def _reasons(frame: pd.DataFrame | None) -> dict[str, int]:
    if frame is None or frame.empty:
        return {}
    told = frame[frame["reason"].astype(object) != ""].drop_duplicates("unique_id")
    return {str(reason): int(n) for reason, n in told["reason"].value_counts().items()}


def quarantine_rows(quarantined: Mapping[Any, object]) -> list[tuple[str, str, str]]:
    """(series, what is wrong, the way out), a row for each fault of the first series."""
    rows = []
    for name, told in list(quarantined.items())[:SHOWN_SERIES]:
        for fault in told if isinstance(told, (list, tuple)) else [told]:
            problem, remedy = _fault(fault)
            rows.append((shown(name), problem, remedy))
    return rows


def _fault(fault: object) -> tuple[str, str]:
    if not isinstance(fault, Fault):
        return shown(fault), ""
    rows = f", row{'s' if len(fault.rows) > 1 else ''} {some(fault.rows)}" if fault.rows else ""
    return shown(f"{fault.column}: {fault.problem}{rows}"), shown(fault.remedy)


def change_sentence(changes: Changes) -> str:
    """What changed since the last run, in one or two sentences."""
    if changes.previous is None:
        return "This is the first run of this job: there is nothing to compare it with."
    which = [PARTS[part] for part in changes.which]
    because = f"It has {_listed(which)}." if which else "Data, model and settings are those of the last run."
    if changes.total is None:
        return f"{because} The two runs have no stamps in common, so their forecasts cannot be compared."
    moved = (
        f"Forecasts of stamps that both runs cover moved by {percent(changes.total.share)} of their size on average"
        if np.isfinite(changes.total.share)
        else f"Forecasts of stamps that both runs cover moved by {number(changes.total.absolute)} on average"
    )
    return f"{because} {moved}."


def change_rows(changes: Changes) -> list[tuple[str, str, str, str, str]]:
    """(what changed, mean change, as a share, in scales, forecasts compared): all together, then each alone."""
    rows = [("everything together", *_change(changes.total))] if changes.total is not None else []
    for part in PARTS:
        name = {"data": "new data alone", "model": "new model alone", "settings": "new settings or covariates alone"}
        if part not in changes.which:
            rows.append((name[part], "unchanged", ABSENT, ABSENT, ABSENT))
        elif changes.parts.get(part) is None:
            rows.append((name[part], "not told apart", ABSENT, ABSENT, ABSENT))
        else:
            rows.append((name[part], *_change(changes.parts[part])))
    return rows


def _change(change: Change | None) -> tuple[str, str, str, str]:
    if change is None:
        return (ABSENT,) * 4
    return number(change.absolute), percent(change.share), number(change.scaled), f"{change.n:,}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def history_rows(history: pd.DataFrame, run: str | None, limit: int) -> list[dict[str, Any]]:
    """The latest runs as texts: slot, state, version, cutoff, series, MASE so far, alerts, what was new, seconds."""
    rows = []
    table: list[Mapping[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in history.head(limit + 1).to_dict("records")
    ]
    for at, row in enumerate(table[:limit]):
        older = table[at + 1] if at + 1 < len(table) else None
        counts = row.get("counts") or {}
        mase, alerts = row.get("mase", np.nan), int(row.get("alerts", 0))
        rows.append(
            {
                "slot": f"{row['slot']:%Y-%m-%d %H:%M}",
                "run": str(row["run"])[:8],
                "state": str(row["state"]),
                "version": f"{row['version']}",
                "series": _whole(counts.get("series")),
                "mase": number(float(mase)) if mase is not None else ABSENT,
                "alerts": f"{alerts:,}" if alerts else ABSENT,
                "new": _new(row, older),
                "seconds": duration(row["seconds"]) if row["seconds"] is not None else ABSENT,
                "error": shown(row["error"], 160) if row["error"] else "",
                "current": row["run"] == run,
            }
        )
    return rows


def _new(row: Mapping[str, Any], older: Mapping[str, Any] | None) -> str:
    """Which of data, model and settings are not those of the run before."""
    if older is None:
        return ABSENT
    hashes = {"data": "data_hash", "model": "model_hash", "settings": "config_hash"}
    return ", ".join(name for name, key in hashes.items() if row[key] != older[key]) or "nothing"


def _whole(value: object) -> str:
    return f"{int(value):,}" if isinstance(value, (int, float)) and not isinstance(value, bool) else ABSENT


def run_facts(facts: RunFacts, exit_code: int) -> list[tuple[str, str]]:
    """(name, value) of what identifies the run; ``exit_code`` is that of the command, alerts counted."""
    pairs = [
        ("job", shown(facts.job)),
        ("slot", slot_text(facts.slot)),
        ("run", f"{facts.run or ABSENT}" + (f", version {facts.version}" if facts.version else "")),
        ("state", facts.state),
        ("exit code", ", ".join([str(exit_code), *([EXITS[exit_code]] if exit_code in EXITS else [])])),
        ("cutoff", ABSENT if facts.cutoff is None else str(facts.cutoff)),
        ("data, model, settings", ", ".join(h[:12] or ABSENT for h in _hashes(facts))),
    ]
    pairs += [(f"time of {shown(part)}", duration(seconds)) for part, seconds in facts.timings.items()]
    return pairs


def _hashes(facts: RunFacts) -> tuple[str, str, str]:
    return facts.data_hash, facts.model_hash, facts.config_hash


def note_lines(facts: RunFacts) -> list[str]:
    """What the reader should see first."""
    lines = [shown(note) for note in facts.notes]
    if facts.frame is not None and facts.error:
        lines.append(shown(facts.error))
    hidden = len(facts.quarantined) - SHOWN_SERIES
    if hidden > 0:
        lines.append(f"{hidden:,} more quarantined series are not listed below, such as {printable(_last(facts))}.")
    return lines


def _last(facts: RunFacts) -> object:
    return next(reversed(list(facts.quarantined)))
