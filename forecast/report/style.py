"""How pictures look, and how a figure becomes SVG inside an HTML page.

Figures are plain :class:`matplotlib.figure.Figure` objects: nothing here touches pyplot, its backend, or the
user's settings after the ``with`` block.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from forecast.report.ranking import REFERENCES
from forecast.report.wording import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1c2733", "#64707d", "#e4e8ed", "#fdfdfe"
REFERENCE = "#8b95a1"
# Okabe and Ito's colours, safe for colour-blind readers; their yellow is too pale for a line on white.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#a05a2c")
# The same for a page in dark mode: the report's style sheet gives each variable a second value.
VARIABLES = {
    INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--card", REFERENCE: "--reference",
    **{color: f"--c{number}" for number, color in enumerate(PALETTE, 1)},
}  # fmt: skip
BACKEND = ("backend", "backend_fallback", "interactive", "toolbar")
LABEL_GAP = 12.0  # points between two names
SHORT_LABEL = 22
WIDTH = 11.0  # inches: 792 units of the SVG, drawn about 1.3 times as large on a page 1100 px wide

SETTINGS = {
    "axes.axisbelow": True, "axes.edgecolor": GRID, "axes.facecolor": "none", "axes.grid": True,
    "axes.grid.axis": "y", "axes.labelcolor": MUTED, "axes.labelsize": 9.0, "axes.linewidth": 0.9,
    "axes.spines.left": False, "axes.spines.right": False, "axes.spines.top": False,
    "axes.titlecolor": INK, "axes.titlelocation": "left", "axes.titlepad": 10.0, "axes.titlesize": 10.5,
    "axes.titleweight": "bold", "axes.unicode_minus": True,
    "figure.facecolor": "none", "font.family": ["DejaVu Sans"], "font.size": 9.5,
    "grid.color": GRID, "grid.linewidth": 0.9, "grid.linestyle": "-",
    "lines.linewidth": 1.7, "lines.solid_capstyle": "round", "lines.solid_joinstyle": "round",
    "patch.linewidth": 0.0, "path.simplify": True, "path.sketch": None,
    "svg.fonttype": "none", "svg.hashsalt": "forecast", "text.color": INK,
    # A series called "$x^2$" is a name, not a formula.
    "text.parse_math": False, "text.usetex": False,
    "xtick.color": MUTED, "xtick.labelsize": 8.5, "xtick.major.size": 0.0, "xtick.minor.size": 0.0,
    "ytick.color": MUTED, "ytick.labelsize": 8.5, "ytick.major.size": 0.0, "ytick.minor.size": 0.0,
}  # fmt: skip


@contextmanager
def drawing() -> Iterator[None]:
    """Our settings for the block, then the user's again. Missing glyphs are no news: browsers have them."""
    import matplotlib as mpl

    ours: Any = {k: v for k, v in mpl.rcParamsDefault.items() if k.split(".")[0] not in BACKEND}
    ours |= SETTINGS
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        mpl.rcParams.update(ours)
        yield


def model_colors(models: Sequence[str]) -> dict[str, str]:
    """A colour for each model by its place; greys for the naive reference and for those after the palette."""
    reference = next((name for name in REFERENCES if name in models), None)
    others = [model for model in models if model != reference]
    colors = dict.fromkeys(others, MUTED) | dict(zip(others, PALETTE, strict=False))
    return colors | ({reference: REFERENCE} if reference is not None else {})


def themed(color: str) -> str:
    """One of our colours as CSS that a page may override."""
    return f"var({VARIABLES[color]}, {color})"


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, sizes in inches, that lays itself out."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, hspace=0.06, wspace=0.04)
    return Figure(figsize=(width, height), layout=layout)


def label_ends(axes: Axes, ends: Mapping[str, float], colors: Mapping[str, str], cut: Collection[str] = ()) -> None:
    """Write each line's name right of its end, in its colour, moved apart where they would overlap.

    ``ends`` maps a name to the last value of its line; the lines in ``cut`` leave the picture and get an arrow.
    Call it when nothing more is drawn into ``axes``.
    """
    figure = axes.get_figure(root=True)
    if figure is None or not ends:
        return
    height_in_points = figure.get_size_inches()[1] * 72 * axes.get_position().height
    scale = axes.transScale + axes.transLimits  # from data to shares of the axes, logarithmic or not
    places = [float(scale.transform((axes.get_xlim()[0], end))[1]) for end in ends.values()]
    for name, place in zip(ends, spread(places, LABEL_GAP / height_in_points), strict=True):
        text = label(name, SHORT_LABEL) + (" ↑" if name in cut else "")
        look: dict[str, Any] = {
            "color": colors[name],
            "fontsize": 9,
            "fontweight": "bold",
            "va": "center",
            "annotation_clip": False,
        }
        axes.annotate(text, (1, place), (8, 0), "axes fraction", "offset points", **look)


def plain_ticks(axes: Axes) -> None:
    """Numbers of the y axis in full, with thousands separated, instead of an offset such as ``1e6``."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")))


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move places apart to at least ``gap``, as little as possible, keeping their order.

    >>> [round(x, 2) for x in spread([0.5, 0.5, 0.9], 0.2)]
    [0.4, 0.6, 0.9]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[list[float]] = []  # [sum of wanted places less their offsets, members]
    for i in order:
        groups.append([places[i], 1])
        while len(groups) > 1 and _start(groups[-1], gap) < _start(groups[-2], gap) + groups[-2][1] * gap:
            total, members = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += members
    heights = [_start(group, gap) + gap * member for group in groups for member in range(int(group[1]))]
    result = [0.0] * len(places)
    for i, height in zip(order, heights, strict=True):
        result[i] = height
    return result


def _start(group: Sequence[float], gap: float) -> float:
    """Lowest place of a group whose centre stays at the mean of what its members wanted."""
    total, members = group
    return total / members - gap * (members - 1) / 2


def inline_svg(figure: Figure, key: str, title: str) -> str:
    """The figure as an ``<svg>`` element for a page: no outside references, same bytes for the same figure.

    ``key`` makes the ids unique within the page; ``title`` is what a screen reader says. The colours become CSS
    variables, with themselves as the fallback, so that the page can turn dark.
    """
    buffer = io.StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{key}-", svg)
    for color in VARIABLES:
        svg = svg.replace(f": {color}", f": {themed(color)}")
    head, _, body = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    view = box[0] if box else ""
    share = 100 * figure.get_size_inches()[0] / WIDTH  # a narrow picture keeps its letters as small as the others'
    return f'<svg {view} class="chart" style="max-width: {share:.4g}%" role="img" aria-label="{escape(title)}">{body}'
