"""What ``forecast data list`` and ``forecast data show`` print: plain text, the same on a terminal and in a log."""

from __future__ import annotations

import textwrap

from forecast.ingest import catalog
from forecast.ingest.card import Card

WIDTH = 100  # characters
LABEL = 15


def list_text() -> str:
    """A table of all data sets, one line each, and where each would be read from."""
    header: tuple[str, ...] = ("name", "where", "freq", "h", "season", "series", "rows", "title")
    rows = [header]
    for name, card in catalog.cards().items():
        numbers = (card.h, card.season_length, card.series, card.rows)
        cells = ("?" if number is None else f"{number:,}" for number in numbers)
        rows.append((name, catalog.whereabouts(name), str(card.freq), *cells, card.title))
    widths = [max(len(row[column]) for row in rows) for column in range(len(header) - 1)]
    lines = [_line(row, widths) for row in rows]
    note = (
        "where: shipped and statsmodels need no network; network is downloaded once and then in the cache "
        f"({catalog.cache_dir()}). 'forecast data show NAME' tells more."
    )
    return "\n".join([*lines, "", *textwrap.wrap(note, WIDTH, break_on_hyphens=False)])


def show_text(name: str) -> str:
    """Everything that the card of data set ``name`` says. Raises ``ConfigError`` for an unknown name."""
    card = catalog.card(name)
    lines = [f"{card.name}: {card.title}", ""]
    for label, text in _facts(card):
        lines += textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"{label:<{LABEL}}",
            subsequent_indent=" " * LABEL,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(row[3:-1], widths[3:], strict=True)]
    return "  ".join([*texts, *numbers, row[-1]])


def _facts(card: Card) -> list[tuple[str, str]]:
    size = f"{card.series:,} series, {'rows not counted' if card.rows is None else f'{card.rows:,} rows'}"
    facts = [
        ("description", card.description),
        ("source", card.source),
        ("licence", card.licence),
        ("where", catalog.whereabouts(card.name)),
        ("freq", f"{card.freq}, usual horizon {card.h}, season {card.season_length}"),
        ("size", size),
    ]
    if card.start is not None:
        facts.append(("start", f"{card.start}: the source has no dates of its own that could be used"))
    for url, sha256 in zip(card.url, card.sha256, strict=True):
        facts.append(("url", url))
        facts.append(("sha256", sha256 or "not known: recorded at the first download and verified from then on"))
    return facts
