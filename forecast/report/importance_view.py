"""How the report shows what covariates are worth: a table and bars for each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from forecast.report.importance import ALL, Effect, Importance
from forecast.report.style import INK, MUTED, PALETTE, drawing, new_figure
from forecast.report.wording import count, label, metric_name, number

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
        "headings": [f"Rise of {metric_name(importance.metric)}", "Spread", "Rise in %", "Draws"],
        "rows": [_row(effect, effects) for effect in effects],
    }


def _row(effect: Effect, effects: Sequence[Effect]) -> dict[str, Any]:
    members = sum(e.role == effect.role and e.column != ALL for e in effects)
    share = 100 * effect.rise / effect.score if effect.score else np.nan
    return {
        "role": ROLE_NAMES[effect.role],
        "name": f"all {members} together" if effect.column == ALL else label(effect.column),
        "whole": effect.column == ALL,
        "cells": [_signed(effect.rise), number(effect.spread), f"{_signed(share)} %", str(effect.repeats)],
    }


def _signed(value: float) -> str:
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return f"{sign}{number(abs(value))}"


def lead(importance: Importance) -> str:
    """What the numbers were measured on, in a sentence or two."""
    where = f"{count(importance.series, 'series', 'series')} and {count(importance.cutoffs, 'cutoff')}"
    return " ".join([f"Measured on {where}.", *(n for n in importance.notes if not n.startswith("Measured on"))])


def importance_bars(importance: Importance, model: str) -> Figure:
    """The rise of the error as bars, the whole role in full colour and its columns paler; a line is the spread."""
    shown = _shown(ordered(importance, model))
    with drawing():
        figure = new_figure(0.75 + BAR * len(shown))
        axes = figure.subplots()
        for place, effect in enumerate(shown):
            whole = effect.column == ALL
            color = COLORS[effect.role]
            axes.barh(place, effect.rise, height=0.66, color=color, alpha=1.0 if whole else 0.55, zorder=2)
            reach = [effect.rise - effect.spread, effect.rise + effect.spread]
            axes.plot(reach, [place, place], color=INK, linewidth=1.1, solid_capstyle="butt", zorder=3)
        names = [ROLE_NAMES[e.role] if e.column == ALL else label(e.column) for e in shown]
        axes.set_yticks(range(len(shown)), names)
        for text, effect in zip(axes.get_yticklabels(), shown, strict=True):
            text.set(color=INK, fontsize=9.5 if effect.column == ALL else 8.5)
            text.set_fontweight("bold" if effect.column == ALL else "normal")
        axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1.5)
        axes.invert_yaxis()
        axes.grid(False)
        axes.grid(axis="x")
        axes.set_xlabel(f"rise of {metric_name(importance.metric)} when the column tells nothing")
    return figure


def _shown(effects: Sequence[Effect]) -> list[Effect]:
    """The whole of each role and the columns of it that count most."""
    kept: list[Effect] = []
    for effect in effects:
        peers = sum(e.role == effect.role and e.column != ALL for e in kept)
        if effect.column == ALL or peers < SHOWN_BARS:
            kept.append(effect)
    return kept
