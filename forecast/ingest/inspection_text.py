"""The page that ``forecast data inspect`` prints: plain text, the same on a terminal and in a log."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.errors import SHOWN_FAULTS, printable, some
from forecast.ingest.proposals import Proposal
from forecast.ingest.survey import Grid

if TYPE_CHECKING:
    from forecast.ingest.inspection import Inspection

Int = npt.NDArray[np.int64]
WIDTH = 118  # characters
LABEL = 16
LONGEST_NAME = 32
SHOWN_GRIDS = 6


def page(found: Inspection) -> str:
    """Everything that was found, one part after the other."""
    parts = [_head(found)]
    if found.proposals:
        parts.append("\n".join(["Columns", *_columns(found.proposals)]))
    parts += [_grid(grid) for grid in found.survey.grids[:SHOWN_GRIDS]]
    if len(found.survey.grids) > SHOWN_GRIDS:
        parts.append(f"… and {len(found.survey.grids) - SHOWN_GRIDS} more frequencies")
    parts.append(_faults(found))
    notes = _notes(found)
    if notes:
        parts.append("\n".join(["Worth knowing", *_bullets(notes)]))
    if found.recipe is not None:
        recipe = found.recipe
        if recipe.preparation:
            parts.append(
                f"First make a table with one row for each series and time, in Python\n{_in(recipe.preparation)}"
            )
        if not recipe.data_set:
            parts.append(f"Settings, as yaml\n{_in(recipe.yaml)}")
        if not found.survey.several:
            parts.append(f"On the command line\n{_in(recipe.command)}")
        parts.append(f"In Python\n{_in(recipe.python)}")
    return "\n\n".join(parts)


def _head(found: Inspection) -> str:
    series = sum(len(grid.ids) for grid in found.survey.grids)
    of = f", {series:,} series" if series else ""
    return f"{_short(found.source, 300)}: {found.rows:,} rows, {len(found.proposals)} columns{of}"


def _in(text: str) -> str:
    return textwrap.indent(text.rstrip("\n"), "  ")


def _columns(proposals: tuple[Proposal, ...]) -> list[str]:
    """A table of the columns; the reasons are wrapped below themselves."""
    header = ("column", "dtype", "values", "missing", "role")
    rows = [header]
    for one in proposals:
        seen = one.column
        missing = "" if not seen.missing else _percent(seen.share)
        role = one.role if one.sure else f"{one.role} ?"
        rows.append((_short(seen.name), _short(seen.dtype, 20), f"{seen.distinct:,}", missing, role))
    widths = [max(len(row[at]) for row in rows) for at in range(len(header))]
    reasons = ["why", *(one.why for one in proposals)]
    lines = []
    for row, why in zip(rows, reasons, strict=True):
        cells = [
            cell.rjust(width) if at in (2, 3) else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        start = "  " + "  ".join(cells) + "  "
        room = max(WIDTH - len(start), 30)
        first, *rest = textwrap.wrap(why, room, break_on_hyphens=False) or [""]
        lines += [(start + first).rstrip(), *(" " * len(start) + line for line in rest)]
    return lines


def _short(value: object, limit: int = LONGEST_NAME) -> str:
    text = value if isinstance(value, str) and value.isprintable() else printable(value, limit)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"


def _grid(grid: Grid) -> str:
    """The facts of one frequency, a line each; what is not there is not told."""
    lengths = np.sort(grid.lengths)
    span = f"{lengths[0]:,} to {lengths[-1]:,} steps, half of them at least {int(np.median(lengths)):,}"
    if lengths[0] == lengths[-1]:
        span = f"{lengths[0]:,} steps" + (" each" if len(lengths) > 1 else "")
    facts = [
        ("series", f"{len(grid.ids):,}"),
        ("times", f"{_time(grid.first)} to {_time(grid.last)}" + (f" ({grid.tz})" if grid.tz else "")),
        ("lengths", span),
        ("season", f"{grid.season_length} steps" if grid.season_length > 1 else "none that the frequency tells"),
    ]
    total = int(grid.lengths.sum())
    counted: tuple[tuple[str, Int, str], ...] = (
        ("gaps", grid.gaps, "missing from the grid"),
        ("repeated", grid.repeats, "with the time of another row"),
        ("unknown", grid.unknown, "of the targets"),
        ("leading", grid.leading, "of them before the first known one (left out)"),
        ("trailing", grid.trailing, "of them after the last known one (forecasts begin after them)"),
        ("outliers", grid.outliers, "absurdly far from the others of the series (outliers=clip takes them back)"),
    )
    for label, counts, what in counted:
        if counts.any():
            names = grid.ids[np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]]
            share = f" ({_percent(counts.sum() / total)})" if label in ("gaps", "unknown") else ""
            facts.append((label, f"{int(counts.sum()):,} {what}{share}{_where(names, len(grid.ids))}"))
    if grid.constant.any():
        names = grid.ids[grid.constant]
        facts.append(("constant", f"{len(names):,} series never change{_where(names, len(grid.ids))}"))
    return "\n".join([f"Series of freq={grid.freq!r}", *(f"  {label:<{LABEL - 2}}{text}" for label, text in facts)])


def _where(names: Any, of: int) -> str:
    return "" if of == 1 else f", in {len(names):,} of {of:,} series: {some(names, 3)}"


def _time(stamp: Any) -> str:
    text = str(stamp)
    if "T" not in text:
        return text
    day, clock = text.split("T")
    clock = clock.removesuffix(".000000")
    return day if clock == "00:00:00" else f"{day} {clock}"


def _faults(found: Inspection) -> str:
    """What keeps the table from being used."""
    if not found.faults:
        return "Faults: none, the table can be used as it is" + (
            " once it is long" if found.recipe is not None and found.recipe.preparation else ""
        )
    number = len(found.faults)
    lines = _bullets(str(fault) for fault in found.faults[:SHOWN_FAULTS])
    if number > SHOWN_FAULTS:
        lines.append(f"  … and {number - SHOWN_FAULTS:,} more: .faults of forecast.inspect(…) has them all")
    several = any(fault.series is not None for fault in found.faults)
    if several:
        lines += _wrapped("on_bad_series=fallback gives such series a naive forecast, skip leaves them out.", "  ")
    return "\n".join([f"Faults: {number:,}, to be mended before anything is forecast", *lines])


def _notes(found: Inspection) -> list[str]:
    notes = list(found.survey.notes)
    if found.survey.lost:
        names = found.survey.lost
        notes.append(f"{len(names):,} series have no frequency of their own, with one row say: {some(names, 3)}.")
    recipe = found.recipe
    if recipe is None:
        return notes
    for grid in found.survey.grids:
        short = grid.ids[grid.lengths < 3 * recipe.h]
        if len(short):
            notes.append(
                f"{len(short):,} of {len(grid.ids):,} series are shorter than three horizons of h={recipe.h}: "
                f"{some(short, 3)}. They are padded, and too short to be scored."
            )
    if recipe.schema.futr_exog:
        notes.append(
            "Columns known into the future have to be given for the steps to forecast: forecast predict futr=FILE."
        )
    if any(not one.sure for one in found.proposals):
        notes.append("A role with a question mark is a guess. What is only known afterwards must not be futr.")
    if recipe.wide:
        notes.append(
            "One column per series is one reading of this table. If the other columns go with one of them, name it: "
            "target_col=…"
        )
    return notes


def _bullets(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(text, "  - ")]


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
