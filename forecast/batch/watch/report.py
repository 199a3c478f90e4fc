"""The report of one run: a single HTML file that needs nothing else, in the style of :mod:`forecast.report.html`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from forecast.atomic import write_text
from forecast.batch.ledger.masking import scrubbed
from forecast.batch.points import reached
from forecast.batch.watch.alerts import by_severity, exit_code
from forecast.batch.watch.drift import PERIOD, Windows
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.figures import accuracy_lines, bias_bars, coverage_lines, run_fans
from forecast.batch.watch.scores import metrics
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.watch.views import (
    as_times,
    by_period,
    by_step,
    chosen,
    model_changes,
    run_views,
    source_scores,
)
from forecast.batch.watch.watch import Findings
from forecast.batch.watch.words import (
    change_rows,
    change_sentence,
    headline,
    history_rows,
    note_lines,
    own_model,
    quarantine_rows,
    reason_rows,
    run_facts,
    shown,
    slot_text,
    source_rows,
)
from forecast.report.figures import horizon_lines
from forecast.report.html import page, safe_svg
from forecast.report.summary import configuration_text, model_facts
from forecast.report.wording import ABSENT, duration, number, percent

CHARTS = ("fans", "accuracy", "bias", "horizon", "coverage")
SHOWN_RUNS = 15
SHOWN_MOVERS = 5
FEWEST_PERIODS = 2
FEWEST_STEPS = 3


def write_run_report(
    path: str | os.PathLike[str], facts: RunFacts, findings: Findings, settings: WatchSettings | None = None
) -> None:
    """Write the report of a run to ``path``: the old file or the new one, never half.

    ``findings`` is what :func:`forecast.batch.watch.watch.watch` gave, ``settings`` what it was given. The page has no
    script and needs no network; whatever comes from outside is escaped, passwords are masked. Raises ``OSError`` when
    the disk refuses.
    """
    text = render(facts, findings, settings or WatchSettings())
    reached("watch.report")
    write_text(path, text)


def render(facts: RunFacts, findings: Findings, settings: WatchSettings) -> str:
    """The page as text; the same for the same arguments."""
    return page("run.html.jinja", _context(facts, findings, settings), "batch/watch")


def _context(facts: RunFacts, findings: Findings, settings: WatchSettings) -> dict[str, Any]:
    alerts = by_severity(findings.alerts)
    scored = len(findings.sums.points) > 0
    views = run_views(facts, findings)
    movers = findings.changes.series.head(SHOWN_MOVERS) if findings.changes.total is not None else None
    return {
        "title": f"{shown(facts.job)} · {slot_text(facts.slot)}",
        "headline": headline(facts, len([alert for alert in alerts if alert.severity != "info"])),
        "tiles": _tiles(facts, findings, settings),
        "error": shown(facts.error) if facts.error and facts.frame is None else "",
        "notes": note_lines(facts),
        "alerts": alerts,
        "changed": change_sentence(findings.changes),
        "changes": change_rows(findings.changes) if findings.changes.total is not None else [],
        "movers": [] if movers is None else [
            (shown(row["unique_id"]), number(float(row["change"])), number(float(row["scaled"])))
            for row in movers[movers["change"] > 0].to_dict("records")
        ],
        "fans_lead": "Orange is what the last run said." if any(len(view.lines) > 1 for view in views) else "",
        "accuracy": source_scores(findings.sums, settings.recent) if scored else None,
        "sources": source_rows(facts),
        "reasons": reason_rows(facts),
        "quarantined": quarantine_rows(facts.quarantined),
        "history": history_rows(findings.history, facts.run, SHOWN_RUNS) if len(findings.history) else [],
        "charts": _charts(facts, findings, settings, views),
        "run": run_facts(facts, facts.exit or exit_code(alerts)),
        "model": [(name, shown(value)) for name, value in model_facts(facts.model)] or [("model", ABSENT)],
        "settings": configuration_text(scrubbed(facts.settings)) if facts.settings else "",
    }  # fmt: skip


def _tiles(facts: RunFacts, findings: Findings, settings: WatchSettings) -> list[tuple[str, str]]:
    total = sum(facts.counts.values())
    tiles = [("series", f"{total:,}" if total else ABSENT)]
    own = own_model(facts)
    if total and own:
        tiles.append((f"by {shown(own, 40)}", percent(facts.counts.get(own, 0) / total)))
    tiles.append(("quarantined", f"{len(facts.quarantined):,}"))
    if len(findings.sums.points):
        periods = _windows(findings, settings).recent
        recent = metrics(chosen(findings.sums, PERIOD, periods)).iloc[0]
        tiles.append((f"MASE, last {len(periods)} periods", number(float(recent["mase"]))))
        levels = [str(name) for name in recent.index if str(name).startswith("coverage-")]
        if levels:
            tiles.append((f"held by the {levels[0].partition('-')[2]} % interval", percent(float(recent[levels[0]]))))
    if facts.timings:
        tiles.append(("took", duration(sum(facts.timings.values()))))
    return tiles


def _windows(findings: Findings, settings: WatchSettings) -> Windows:
    periods = np.unique(findings.sums.points[PERIOD])
    return Windows(periods[-settings.recent :], periods[: -settings.recent][-settings.reference :])


def _charts(facts: RunFacts, findings: Findings, settings: WatchSettings, views: list[Any]) -> dict[str, Any]:
    """Name -> inline SVG, ``None`` where there is nothing to draw."""
    charts: dict[str, Any] = dict.fromkeys(CHARTS)
    if views:
        charts["fans"] = safe_svg(run_fans(views), "fans", "Forecasts of this run and the last")
    if len(findings.sums.points) and facts.panel is not None:
        charts |= _score_charts(facts, findings, settings)
    return charts


def _score_charts(facts: RunFacts, findings: Findings, settings: WatchSettings) -> dict[str, Any]:
    sums, panel = findings.sums, facts.panel
    table = by_period(sums)
    charts: dict[str, Any] = {}
    if panel is None or len(table) < FEWEST_PERIODS:
        return charts
    times = as_times(table["target"], panel)
    if np.isfinite(table["mase"]).any():
        usual = table["mase"][table[PERIOD].isin(_windows(findings, settings).reference)].dropna()
        level = float(usual.median()) if len(usual) else np.nan
        lines = accuracy_lines(table, times, "mase", model_changes(findings, panel), level)
        charts["accuracy"] = safe_svg(lines, "accuracy", "MASE of each period over time")
        charts["bias"] = safe_svg(bias_bars(table, times), "bias", "Bias of each period over time")
        steps = by_step(sums, settings.recent, own_model(facts) or "forecast")
        if len(steps) >= FEWEST_STEPS and np.isfinite(steps["mase"]).any():
            figure = horizon_lines(steps, "mase", list(steps["model"].unique()), list(steps["model"].unique()))
            charts["horizon"] = safe_svg(figure, "horizon", "MASE against the steps ahead")
    levels = [str(name).partition("-")[2] for name in table.columns if str(name).startswith("coverage-")]
    if levels:
        charts["coverage"] = safe_svg(coverage_lines(table, times, levels), "coverage", "Coverage of each period")
    return charts
