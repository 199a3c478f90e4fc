"""How the report shows what covariates are worth: a table and bars for each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from forecast.panel.calendar_features import PREFIX
from forecast.report.importance import ALL, Effect, Importance
from forecast.report.style import INK, MUTED, PALETTE, drawing, new_figure
from forecast.report.wording import ABSENT, count, label, metric_name, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROLE_NAMES = {
    "static": "Static features",
    "hist": "Known up to the cutoff",
    "futr": "Known into the future",
    "calendar": "Told by time",
}
COLORS = dict(zip(ROLE_NAMES, PALETTE, strict=False))
SHOWN_BARS = 8  # of each role
BAR = 0.27  # inches


def ordered(importance: Importance, model: str) -> list[Effect]:
    """A model's effects role by role, the role that counts most first; in a role the whole, then the columns."""
    own = [effect for effect in importance.effects if effect.model == model]
    most = {role: max(e.rise for e in own if e.role == role) for role in {e.role for e in own}}
    return sorted(own, key=lambda e: (-most[e.role], e.role, e.column != ALL, -e.rise, e.column))


def models_of(importance: Importance) -> list[str]:
    """The models that were looked at, in their order."""
    return list(dict.fromkeys(effect.model for effect in importance.effects))


def importance_table(importance: Importance, model: str) -> dict[str, Any]:
    """Headings and rows of text for one model."""
    effects = ordered(importance, model)
    return {
        "model": model,
        "score": number(effects[0].score) if effects else "",
        "headings": [f"Rise of {metric_name(importance.metric)}", "Spread", "In percent", "Draws"],
        "rows": [_row(effect, effects) for effect in effects],
    }


def _row(effect: Effect, effects: Sequence[Effect]) -> dict[str, Any]:
    members = sum(e.role == effect.role and e.column != ALL for e in effects)
    digits = _digits(effect.score)
    share = _signed(100 * effect.rise / effect.score, 1) if effect.score else ABSENT
    return {
        "role": ROLE_NAMES[effect.role],
        "name": f"all {members} together" if effect.column == ALL else label(effect.column),
        "whole": effect.column == ALL,
        "cells": [_signed(effect.rise, digits), f"{effect.spread:,.{digits}f}", share, str(effect.repeats)],
    }


def _digits(score: float) -> int:
    """Decimals that show a thousandth of an error."""
    return int(np.clip(3 - np.floor(np.log10(score)), 0, 12)) if 0.0 < score < np.inf else 3


def _signed(value: float, digits: int) -> str:
    """
    >>> _signed(0.5, 2), _signed(-0.001, 1)
    ('+0.50', '0.0')
    """
    text = f"{abs(value):,.{digits}f}"
    sign = "+" if value > 0 else "\N{MINUS SIGN}"
    return text if not text.strip("0.,") else f"{sign}{text}"


def lead(importance: Importance) -> str:
    """What the numbers were measured on, in a sentence or two."""
    where = f"{count(importance.series, 'series', 'series')} and {count(importance.cutoffs, 'cutoff')}"
    return " ".join([f"Measured on {where}.", *importance.notes])


def importance_bars(importance: Importance, model: str) -> Figure:
    """The rise of the error as bars, the whole role in full colour and its columns paler; a line is the spread."""
    shown = _shown(ordered(importance, model))
    with drawing():
        figure = new_figure(0.75 + BAR * len(shown))
        axes = figure.subplots()
        for place, effect in enumerate(shown):
            alpha = 1.0 if _is_head(effect, shown) else 0.55
            axes.barh(place, effect.rise, height=0.66, color=COLORS[effect.role], alpha=alpha, zorder=2)
            reach = [effect.rise - effect.spread, effect.rise + effect.spread]
            axes.plot(reach, [place, place], color=INK, linewidth=1.1, solid_capstyle="butt", zorder=3)
        axes.set_yticks(range(len(shown)), [_name(effect, shown) for effect in shown])
        for text, effect in zip(axes.get_yticklabels(), shown, strict=True):
            head = _is_head(effect, shown)
            text.set(color=INK, fontsize=9.5 if head else 8.5, fontweight="bold" if head else "normal")
        axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1.5)
        axes.invert_yaxis()
        axes.grid(False)
        axes.grid(axis="x")
        axes.set_xlabel(f"rise of {metric_name(importance.metric)} when the column tells nothing")
    return figure


def _is_head(effect: Effect, shown: Sequence[Effect]) -> bool:
    """Whether a bar stands for its whole role: all columns of it, or the only one."""
    return effect.column == ALL or sum(e.role == effect.role for e in shown) == 1


def _name(effect: Effect, shown: Sequence[Effect]) -> str:
    """What is written beside a bar."""
    column = label(effect.column.removeprefix(PREFIX))
    if not _is_head(effect, shown):
        return column
    return ROLE_NAMES[effect.role] + (f": {column}" if column else "")


def _shown(effects: Sequence[Effect]) -> list[Effect]:
    """The whole of each role and the columns of it that count most."""
    kept: list[Effect] = []
    for effect in effects:
        peers = sum(e.role == effect.role and e.column != ALL for e in kept)
        if effect.column == ALL or peers < SHOWN_BARS:
            kept.append(effect)
    return kept
