"""Numbers and names as people read them, the same in the terminal, the pictures and the report."""

from __future__ import annotations

import math
import re

METRIC_NAMES = {
    "mase": "MASE", "rmsse": "RMSSE", "mae": "MAE", "mse": "MSE", "rmse": "RMSE", "smape": "sMAPE", "mape": "MAPE",
    "owa": "OWA", "wql": "WQL", "crps": "CRPS", "brier": "Brier score", "log_loss": "Log loss", "auc": "AUC",
    "macro_f1": "Macro F1",
}  # fmt: skip
LONGEST_LABEL = 40
ABSENT = "–"


def number(value: float | None) -> str:
    """About four digits: ``0.7624``, ``13.91``, ``1,234``, ``1.23e+06``; a dash for an unknown one.

    >>> [number(x) for x in (0.76239, 13.912, 354.2, 1234.5, 2e7, 0.00002, 0, float("nan"))]
    ['0.762', '13.91', '354.2', '1,234', '2.00e+07', '2.00e-05', '0', '–']
    """
    if value is None or math.isnan(value):
        return ABSENT
    size = abs(value)
    if value == 0:
        return "0"
    if size < 1e-3 or (size >= 1e6 and not math.isinf(size)):
        return f"{value:.2e}"
    digits = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{value:,.{digits}f}"


def percent(share: float) -> str:
    """A share as a percentage without decimals, one below 1 % and above 99 %.

    >>> percent(0.364), percent(0.996), percent(1)
    ('36 %', '99.6 %', '100 %')
    """
    if math.isnan(share):
        return ABSENT
    value = 100 * share
    return f"{value:.0f} %" if value in (0, 100) or 1 <= value <= 99 else f"{value:.1f} %"


def duration(seconds: float | None) -> str:
    """
    >>> duration(0.412), duration(9.26), duration(62), duration(3725)
    ('0.41 s', '9.3 s', '1 min 02 s', '1 h 02 min')
    """
    if seconds is None or math.isnan(seconds):
        return ABSENT
    if seconds < 59.5:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(items: int, noun: str, plural: str | None = None) -> str:
    """
    >>> count(1, "cutoff"), count(1200, "series", "series")
    ('1 cutoff', '1,200 series')
    """
    return f"{items:,} {noun if items == 1 else plural or noun + 's'}"


def metric_name(column: str) -> str:
    """The heading of a column of scores.

    >>> metric_name("mase"), metric_name("coverage-90"), metric_name("wql-0.1"), metric_name("n_points")
    ('MASE', 'Coverage 90 %', 'WQL 0.1', 'Points')
    """
    kind, _, detail = column.removeprefix("n_").partition("-")
    name = METRIC_NAMES.get(kind) or (kind.upper() if kind == "msis" else kind.replace("_", " ").capitalize())
    unit = " %" if kind in ("coverage", "width", "msis") else ""
    return f"{name} {detail}{unit}" if detail else name


def metric_value(column: str, value: float) -> str:
    """A score as text: percentages for coverage and accuracy, four digits for the rest."""
    if column.startswith("coverage-") or column == "accuracy":
        return ABSENT if math.isnan(value) else f"{100 * value:.1f} %"
    if column.startswith("wql") and 0 < value < 1:
        return f"{value:.4f}"  # a share, often of a few percent
    return number(value)


def label(name: object, limit: int = LONGEST_LABEL) -> str:
    """A series' or model's name for one line of a picture: no control characters, cut to ``limit``."""
    text = re.sub(r"\s", " ", str(name))
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
