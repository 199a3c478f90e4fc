"""Forecast against actual: the end of a series, what came after, what was forecast, and how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from forecast.report.columns import Outcome
from forecast.report.style import INK, MUTED, label_ends, plain_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = npt.NDArray[np.float64]
Times = npt.NDArray[Any]  # datetime64[us] or int64
FEW_CODES = 8
FIRST_DATE, LAST_DATE = np.datetime64("0002-01-01"), np.datetime64("9990-01-01")


@dataclass(frozen=True)
class Line:
    """One model's forecast; ``bands`` are (lower, upper) pairs, the widest first, and reach along ``values``."""

    name: str
    values: Float
    bands: tuple[tuple[Float, Float], ...] = ()


@dataclass(frozen=True)
class View:
    """What one picture shows of one series. ``actual`` is NaN, or empty, where unknown; ``tz`` is the zone whose clock
    is written below it, where the times are in UTC. Actuals that are events or classes are dots, not a line."""

    title: str
    past_times: Times
    past: Float
    times: Times
    actual: Float
    lines: tuple[Line, ...]
    tz: str | None = None
    outcome: Outcome = "number"


def draw_fan(axes: Axes, view: View, colors: Mapping[str, str]) -> None:
    """Draw ``view``, the first of its lines on top, with every line's name at its end."""
    past_times, times = _plottable(view)
    actuals: dict[str, Any] = {"color": INK, "linewidth": 1.1}
    if view.outcome != "number":
        actuals = {"color": INK, "linestyle": "none", "marker": "o", "markersize": 3.2}
    if view.past.size:
        axes.plot(past_times, view.past, **actuals)
        axes.axvline(past_times[-1], color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
    for line in reversed(view.lines):
        if view.outcome != "number":
            break  # an interval between two outcomes says nothing that the probability does not
        for (lower, upper), shade in zip(line.bands, shades(len(line.bands)), strict=True):
            axes.fill_between(times, lower, upper, color=colors[line.name], alpha=shade, linewidth=0)
    for line in reversed(view.lines):
        first = line is view.lines[0]
        axes.plot(
            *_joined(view, past_times, times, line.values), color=colors[line.name],
            drawstyle="steps-mid" if view.outcome == "class" else "default",
            linewidth=2.4 if first else 1.4, zorder=3.5 if first else 3,
        )  # fmt: skip
    if view.actual.size:
        axes.plot(*_joined(view, past_times, times, view.actual), zorder=4, **actuals)
    axes.set_title(view.title)
    axes.margins(x=0.0, y=0.08)
    _value_axis(axes, view)
    date_axis(axes, times, view.tz)
    ends = {line.name: _last(line.values) for line in view.lines} | {"actual": _last(view.actual)}
    label_ends(axes, {name: end for name, end in ends.items() if np.isfinite(end)}, {**colors, "actual": INK})


def _last(values: Float) -> float:
    known = values[np.isfinite(values)]
    return float(known[-1]) if known.size else np.nan


def shades(bands: int) -> Float:
    """How opaque each band is, the widest first: they lie on each other, so more of them are lighter each."""
    light = np.linspace(0.13, 0.23, bands) if bands > 1 else np.full(bands, 0.13)
    return np.asarray(light * min(1.0, (2 / max(bands, 1)) ** 0.7))


def _value_axis(axes: Axes, view: View) -> None:
    """Plain numbers; of events the probabilities from 0 to 1, of classes their codes."""
    known = [values[np.isfinite(values)] for values in (view.past, view.actual, *(line.values for line in view.lines))]
    codes = np.unique(np.concatenate([*known, np.zeros(0)]))
    if view.outcome == "event":
        axes.set_ylim(-0.08, 1.08)
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    elif view.outcome == "class" and codes.size <= FEW_CODES:
        axes.set_yticks(codes, [f"{code:g}" for code in codes])
    else:
        plain_ticks(axes)


def _joined(view: View, past_times: Times, times: Times, values: Float) -> tuple[Times, Float]:
    """Start a line at the last past value, so that it grows out of the history; not the one of a probability."""
    past = view.past
    if view.outcome != "number" or past.size == 0 or not np.isfinite(past[-1]):
        return times, values
    return np.append(past_times[-1:], times), np.append(past[-1:], values)


def _plottable(view: View) -> tuple[Times, Times]:
    """The times, or steps from the cutoff for years that matplotlib's calendar does not reach."""
    every: Sequence[Times] = (view.past_times, view.times)
    outside = any(t.dtype.kind == "M" and t.size and (t[0] < FIRST_DATE or t[-1] > LAST_DATE) for t in every)
    if not outside:
        return view.past_times, view.times
    return np.arange(1 - view.past_times.size, 1), np.arange(1, view.times.size + 1)


def date_axis(axes: Axes, times: Times, tz: str | None = None) -> None:
    """Few, short dates below the picture where ``times`` are dates: on the clock of ``tz``, for times in UTC."""
    if times.dtype.kind != "M":
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    zone = None if tz is None else ZoneInfo(tz)
    locator = AutoDateLocator(tz=zone, minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz=zone, show_offset=True)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
