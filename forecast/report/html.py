"""The report: one HTML file that needs nothing else, the same bytes for the same input."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.atomic import write_text
from forecast.panel.panel import Panel
from forecast.report.calibration_view import calibration_figure, interval_lines
from forecast.report.curves import gradient_norms, has, learning_curves
from forecast.report.diagnosis import gradient_notes
from forecast.report.evaluate import score
from forecast.report.figures import accuracy_bars, fans, horizon_lines
from forecast.report.folds import Folds, read_folds
from forecast.report.importance import Importance
from forecast.report.importance_view import importance_bars, importance_table, lead, models_of
from forecast.report.outcomes_view import class_figure, class_rows, event_figure, event_rows
from forecast.report.ranking import Ranking, rank
from forecast.report.running import coverage_lines, window
from forecast.report.style import inline_svg, model_colors, themed
from forecast.report.summary import (
    configuration_text,
    coverage_rows,
    cutoff_rows,
    data_facts,
    fact,
    headline,
    left_out,
    model_facts,
    quantile_rows,
    tiles,
)
from forecast.report.tried import tried_table
from forecast.report.views import telling_views
from forecast.report.wording import ABSENT, count, duration, metric_name, metric_value
from forecast.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHARTS = (
    "accuracy", "forecasts", "horizon", "levels", "calibration", "coverage", "events", "classes", "losses", "gradients",
)  # fmt: skip
SHOWN_LINES = 8
SHOWN_CUTOFFS = 12


@dataclass(frozen=True)
class ModelCard:
    """One model in the report.

    ``describe`` holds plain facts (JSON types). Known keys, all optional: ``curves`` (a list of points with
    ``step, seconds, train_loss, validation_loss, gradient_norm, gradient_peak, clipped, layer_norms``, all optional
    but the first), ``layers`` (a list of ``layer, kind, shape, parameters``), ``parameters``, ``seconds``, and
    ``reasons`` (how many forecasts a fallback made, or a mapping from reason to such a number).
    """

    name: str
    describe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a report is made of; :func:`write_report` turns it into a page.

    Attributes:
        title: the heading.
        cv: the cross-validation frame, see :func:`forecast.report.evaluate.evaluate`.
        history: the series, up to the last cutoff at least.
        season_length: the season in steps.
        schema: what the columns of ``cv`` are called.
        models: a card for each model that has something to tell.
        configuration: nested plain values, shown as yaml; passwords in it are masked.
        versions: package -> version.
        warnings: sentences the reader should see first.
        importance: what covariates are worth to the models, ``None`` where that was not measured.
    """

    title: str
    cv: pd.DataFrame
    history: Panel
    season_length: int
    schema: Schema = Schema()
    models: Sequence[ModelCard] = ()
    configuration: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    importance: Importance | None = None


def write_report(path: str | os.PathLike[str], report: Report) -> None:
    """Write ``report`` to ``path`` as one self-contained HTML file: the old file or the new one, never half.

    No script, no network, no time stamp. Raises ``DataError`` for a frame that cannot be scored.
    """
    write_text(path, render(report))


def render(report: Report) -> str:
    """The page as text."""
    folds = read_folds(report.cv, report.history, report.season_length, report.schema)
    return page("template.html.jinja", _context(report, folds))


def page(template: str, context: Mapping[str, Any], folder: str = "report") -> str:
    """A template of the package's ``folder`` filled in, everything escaped that does not say it is HTML.

    It may include the style sheet and the macros of this folder.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("forecast", folder), PackageLoader("forecast", "report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(template).render(context)
    # Half a surrogate pair (a broken name from a broken file) has no bytes in UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")


def _context(report: Report, folds: Folds) -> dict[str, Any]:
    ranking = rank(score(folds))
    by_series = score(folds, "series")
    return {
        "title": report.title,
        "headline": headline(ranking, by_series),
        "tiles": tiles(folds, ranking),
        "warnings": [*report.warnings, *_fallbacks(report.models), *_gradients(report.models)],
        "left_out": left_out(ranking),
        "ranking": _ranking_table(ranking, report.models),
        "intervals": coverage_rows(ranking),
        "events": event_rows(folds, ranking.models) if folds.outcome == "event" else [],
        "classes": class_rows(folds, ranking.winner) if folds.outcome == "class" else [],
        "winner": ranking.winner,
        "quantiles": quantile_rows(ranking),
        "cutoffs": _cutoff_table(folds, ranking),
        "charts": _charts(report, folds, ranking, by_series),
        "importance": _importance(report.importance),
        "coverage_window": window(np.unique(folds.cutoff).size),
        "shown_lines": min(SHOWN_LINES, len(ranking.models)),
        "validated": any(has(card.describe.get("curves") or (), "validation_loss") for card in report.models),
        "layered": any(
            point.get("layer_norms") for card in report.models for point in card.describe.get("curves") or ()
        ),
        "model_count": len(ranking.models),
        "cards": [_card(card) for card in report.models],
        "data": data_facts(folds),
        "configuration": configuration_text(report.configuration) if report.configuration else "",
        "versions": [(str(name), str(version)) for name, version in report.versions.items()],
    }


def _ranking_table(ranking: Ranking, cards: Sequence[ModelCard]) -> dict[str, Any]:
    """Headings and rows; a cell is (text, best of its column)."""
    described = {card.name: card.describe for card in cards}
    columns = ranking.columns
    best = {column: ranking.best(column) for column in columns}
    headings = [metric_name(column) for column in columns]
    timed = any("seconds" in describe for describe in described.values())
    colors = model_colors(ranking.models)
    rows = []
    for place, model in enumerate(ranking.models):
        cells = [(metric_value(c, float(ranking.scores[c].iloc[place])), bool(best[c][place])) for c in columns]
        if timed:
            cells.append((duration(described.get(model, {}).get("seconds")), False))
        rows.append({"place": place + 1, "model": model, "color": themed(colors[model]), "cells": cells})
    return {"headings": [*headings, *(["Time"] if timed else [])], "rows": rows}


def _cutoff_table(folds: Folds, ranking: Ranking) -> dict[str, Any] | None:
    cutoffs = np.unique(folds.cutoff).size
    if not 2 <= cutoffs <= SHOWN_CUTOFFS:
        return None
    models = ranking.models[:SHOWN_LINES]
    rows = cutoff_rows(folds, score(folds, "cutoff"), models, ranking.metric)
    return {"metric": metric_name(ranking.metric), "models": models, "rows": rows}


def _charts(report: Report, folds: Folds, ranking: Ranking, by_series: pd.DataFrame) -> dict[str, Any]:
    """Name -> inline SVG, ``None`` where there is nothing to draw."""
    charts: dict[str, Any] = dict.fromkeys(CHARTS)
    if np.isfinite(ranking.value(ranking.winner)):
        charts |= _score_charts(folds, ranking, by_series)
    return charts | _training_charts(report.models, ranking.models)


def _score_charts(folds: Folds, ranking: Ranking, by_series: pd.DataFrame) -> dict[str, Any]:
    metric = metric_name(ranking.metric)
    views = telling_views(folds, ranking, by_series)
    charts = {
        "accuracy": safe_svg(accuracy_bars(ranking), "accuracy", f"{metric} of each model, as bars"),
        "forecasts": safe_svg(fans(views, ranking.models), "forecasts", "Forecasts against actuals"),
    }
    by_step = score(folds, "step")
    if np.unique(folds.step).size > 1:
        lines = horizon_lines(by_step, ranking.metric, ranking.models[:SHOWN_LINES], ranking.models)
        charts["horizon"] = safe_svg(lines, "horizon", f"{metric} against the steps ahead")
    return charts | _probability_charts(folds, ranking, by_step)


def _probability_charts(folds: Folds, ranking: Ranking, by_step: pd.DataFrame) -> dict[str, Any]:
    """What there is of intervals and quantiles, or of probabilities of events or classes."""
    models = ranking.models
    drawn: dict[str, tuple[Figure | None, str]]
    if folds.outcome == "event":
        drawn = {"events": (event_figure(folds, models, models), "Reliability and ROC curve of the probabilities")}
    elif folds.outcome == "class":
        drawn = {"classes": (class_figure(folds, models, models), "Confusion of the classes, and reliability")}
    else:
        levels = interval_lines(by_step, models[:SHOWN_LINES], models)
        drawn = {
            "levels": (levels, "Coverage and width of the intervals against the steps ahead"),
            "calibration": (calibration_figure(folds, models, models), "Where the actuals fell among the quantiles"),
            "coverage": (coverage_lines(folds, models), "Running coverage of the intervals against the cutoff"),
        }
    return {key: safe_svg(figure, key, title) for key, (figure, title) in drawn.items() if figure is not None}


def _training_charts(cards: Sequence[ModelCard], models: Sequence[str]) -> dict[str, Any]:
    colors = model_colors([*models, *(card.name for card in cards if card.name not in models)])
    curves = {card.name: card.describe.get("curves") or () for card in cards}
    losses = {name: points for name, points in curves.items() if has(points, "train_loss")}
    norms = {name: points for name, points in curves.items() if has(points, "gradient_norm")}
    charts = {}
    if losses:
        title = "Training and validation loss against the step"
        charts["losses"] = safe_svg(learning_curves(losses, colors), "losses", title)
    if norms:
        charts["gradients"] = safe_svg(gradient_norms(norms, colors), "gradients", "Gradient norm against the step")
    return charts


def _importance(importance: Importance | None) -> dict[str, Any] | None:
    """A table and a picture of what covariates are worth to each model."""
    if importance is None or not importance.effects:
        return None
    models = []
    for place, model in enumerate(models_of(importance)):
        title = f"Permutation importance of the covariates of {model}, as bars"
        chart = safe_svg(importance_bars(importance, model), f"importance{place}", title)
        models.append({**importance_table(importance, model), "chart": chart})
    return {"lead": lead(importance), "metric": metric_name(importance.metric), "models": models}


def safe_svg(figure: Figure, key: str, title: str) -> Any:
    """The figure for a page, see :func:`forecast.report.style.inline_svg`."""
    from markupsafe import Markup

    return Markup(inline_svg(figure, key, title))  # escaped where it was drawn


def _card(card: ModelCard) -> dict[str, Any]:
    layers = [
        {"layer": "", "kind": "", "shape": "", "parameters": ABSENT, **layer}
        for layer in card.describe.get("layers") or ()
    ]
    for layer in layers:
        layer["parameters"] = fact("", layer["parameters"])
    total = card.describe.get("parameters")
    tried = tried_table(card.describe)
    return {"name": card.name, "facts": model_facts(card.describe), "layers": layers, "total": total, "tried": tried}


def _gradients(cards: Sequence[ModelCard]) -> list[str]:
    """What is wrong with the gradients of the models."""
    notes: list[str] = []
    for card in cards:
        training = card.describe.get("training") or {}
        bound = training.get("gradient_clip") if training.get("gradient_clip_by", "norm") == "norm" else None
        notes += gradient_notes(card.name, card.describe.get("curves") or (), bound)
    return notes


def _fallbacks(cards: Sequence[ModelCard]) -> list[str]:
    """One sentence for each model that others stood in for."""
    sentences = []
    for card in cards:
        reasons = card.describe.get("reasons") or 0
        total, why = reasons, ""
        if isinstance(reasons, Mapping):
            total = sum(reasons.values())
            why = ": " + "; ".join(f"{reason} ({number:,})" for reason, number in reasons.items())
        if total:
            sentences.append(f"{count(int(total), 'forecast')} of {card.name} came from a fallback{why}.")
    return sentences
