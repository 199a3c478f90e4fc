"""The ranking as a table for the terminal, and as plain text where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from forecast.report.ranking import Ranking, rank
from forecast.report.wording import count, duration, label, metric_name, metric_value

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

BEST = "*"
GAP = 2


@dataclass(frozen=True)
class Column:
    """One column as text; ``best`` marks the cells to stand out, ``needed`` that it may not be left out."""

    heading: str
    cells: tuple[str, ...]
    best: tuple[bool, ...]
    needed: bool = True

    @property
    def width(self) -> int:
        return max(map(len, (self.heading, *self.cells)))


def print_ranking(
    scores: pd.DataFrame, seconds: Mapping[str, float] | None = None, console: Console | None = None
) -> None:
    """Print overall scores, best model first: a table on a terminal, plain aligned text anywhere else.

    ``scores`` comes from ``evaluate(..., by="overall")``; ``seconds`` maps a model to its time. A terminal too
    narrow for all metrics shows the first ones.
    """
    from rich.console import Console

    console = console or Console()
    if console.is_terminal:
        console.print(ranking_table(scores, seconds, console.width))
    else:
        print(ranking_text(scores, seconds), file=console.file)


def ranking_table(scores: pd.DataFrame, seconds: Mapping[str, float] | None = None, width: int = 120) -> Table:
    """A rich table of at most ``width`` characters: models by MASE, the best of each metric in bold green."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    ranking = rank(scores)
    columns = _columns(ranking, seconds)
    shown = _fitting(columns, width)
    notes = _notes(ranking)
    if len(shown) < len(columns):
        hidden = [column.heading for column in columns if column not in shown]
        notes.append(f"A wider terminal shows {', '.join(hidden)} too")
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, GAP - 1, 0, 0),
        pad_edge=False,
        caption="\n".join(notes),
        caption_justify="left",
    )
    for position, column in enumerate(shown):
        table.add_column(column.heading, justify="left" if position == 1 else "right", no_wrap=True)
    for place in range(len(ranking.models)):
        # Text, not markup: a model's name may hold square brackets.
        row = [Text(column.cells[place], style="bold green" if column.best[place] else "") for column in shown]
        table.add_row(*row, style="bold" if place == 0 else None)
    return table


def ranking_text(scores: pd.DataFrame, seconds: Mapping[str, float] | None = None) -> str:
    """The same as aligned text, never cut to a width; ``*`` marks the best of each metric."""
    ranking = rank(scores)
    columns = _columns(ranking, seconds)
    lines = [""] * (len(ranking.models) + 1)
    for position, column in enumerate(columns):
        heading = column.heading
        cells = list(column.cells)
        if any(column.best):
            heading += " "
            cells = [cell + (BEST if best else " ") for cell, best in zip(cells, column.best, strict=True)]
        width = max(map(len, (heading, *cells)))
        texts = [cell.ljust(width) if position == 1 else cell.rjust(width) for cell in (heading, *cells)]
        lines = [line + " " * GAP * (position > 0) + text for line, text in zip(lines, texts, strict=True)]
    return "\n".join([*(line.rstrip() for line in lines), *_notes(ranking)])


def _columns(ranking: Ranking, seconds: Mapping[str, float] | None) -> list[Column]:
    models = ranking.models
    plain = (False,) * len(models)
    columns = [
        Column("#", tuple(str(place) for place in range(1, len(models) + 1)), plain),
        Column("model", tuple(label(model) for model in models), plain),
    ]
    for name in ranking.columns:
        cells = tuple(metric_value(name, float(value)) for value in ranking.scores[name])
        best = tuple(bool(is_best) for is_best in ranking.best(name))
        columns.append(Column(metric_name(name), cells, best, needed=name == ranking.metric))
    if seconds:
        columns.append(Column("time", tuple(duration(seconds.get(model)) for model in models), plain))
    return columns


def _fitting(columns: list[Column], width: int) -> list[Column]:
    """The needed columns and as many of the others, in order, as fit."""
    room = width - 2 - sum(column.width + GAP for column in columns if column.needed)
    shown = []
    for column in columns:
        if not column.needed:
            room -= column.width + GAP
        if column.needed or room >= 0:
            shown.append(column)
    return shown


def _notes(ranking: Ranking) -> list[str]:
    """What was scored and what was left out, one sentence a line."""
    scores = ranking.scores
    series, points = int(scores["n_series"].max()), int(scores["n_points"].max())
    notes = [f"{count(series, 'series', 'series')}, {count(points, 'forecast')} scored"]
    missing, undefined = int(scores["missing_actuals"].max()), int(scores["undefined_mase"].max())
    if missing:
        notes[0] += f", {missing:,} without an actual left out"
    if undefined:
        notes.append(
            f"{count(undefined, 'series', 'series')} left out of MASE at some cutoff: nothing moved, or too short"
        )
    partial = scores[scores["missing_forecasts"] > 0]
    for model, gaps in zip(partial["model"], partial["missing_forecasts"], strict=True):
        notes.append(f"{label(model)} has no forecast for {count(int(gaps), 'known actual')}, so it ranks last")
    return notes
