"""Covariates and their encoding in a saved model: plain JSON and arrays, every rule checked on the way back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.errors import ArtifactError, ConfigError, printable
from forecast.panel.covariates import Column, Covariates, Labels, Numbers
from forecast.panel.encoding import Encoding, LabelCode, NumberCode
from forecast.panel.panel import Panel
from forecast.panel.readings import Readings

if TYPE_CHECKING:
    from forecast.nets.facts import Facts

Array = npt.NDArray[Any]
ROLES = ("static", "hist", "futr")


def covariate_facts(covariates: Covariates | None) -> list[dict[str, str]]:
    """Name and kind of each column; an empty list where there is none."""
    columns = () if covariates is None else covariates.columns
    return [{"name": c.name, "kind": "numbers" if isinstance(c, Numbers) else "labels"} for c in columns]


def covariate_arrays(covariates: Covariates | None, prefix: str) -> dict[str, Array]:
    """The cells of each column, and the labels as JSON text, under names that begin with ``prefix``.

    Raises ``ArtifactError`` for labels that JSON cannot hold.
    """
    arrays: dict[str, Array] = {}
    for number, column in enumerate(() if covariates is None else covariates.columns):
        if isinstance(column, Numbers):
            arrays[f"{prefix}.{number}"] = column.values
            continue
        arrays[f"{prefix}.{number}"] = column.codes
        arrays[f"{prefix}.{number}.labels"] = np.frombuffer(_text(column), dtype=np.uint8)
    return arrays


def _text(column: Labels) -> bytes:
    try:
        return json.dumps(column.labels, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        label = printable(error.object, 40)
        raise ArtifactError(f"{column.name}: the label {label} holds half a character. Rename it.") from error


def restored_covariates(facts: Any, arrays: Mapping[str, Array], prefix: str, rows: int) -> Covariates | None:
    """The columns that :func:`covariate_facts` and :func:`covariate_arrays` wrote down, with ``rows`` rows each.

    Raises ``ConfigError`` when names, kinds, lengths, codes or labels do not fit.
    """
    columns = tuple(_column(entry, arrays, f"{prefix}.{number}", rows) for number, entry in enumerate(_entries(facts)))
    return Covariates(columns) if columns else None


def _entries(facts: Any) -> list[dict[str, Any]]:
    """A list of JSON objects, each with a name of its own."""
    whole = isinstance(facts, list) and all(isinstance(entry, dict) for entry in facts)
    names = [entry.get("name") for entry in facts] if whole else [None]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ConfigError(f"columns of covariates {printable(facts)}")
    entries: list[dict[str, Any]] = facts
    return entries


def _column(entry: Mapping[str, Any], arrays: Mapping[str, Array], key: str, rows: int) -> Column:
    cells = arrays[key]
    if cells.shape != (rows,):
        raise ConfigError(f"{entry['name']}: {cells.shape} cells for {rows} rows")
    if entry["kind"] == "numbers":
        if cells.dtype != np.float64 or np.isinf(cells).any():
            raise ConfigError(f"{entry['name']}: numbers must be finite or missing")
        return Numbers(entry["name"], cells.copy())
    if entry["kind"] != "labels":
        raise ConfigError(f"{entry['name']}: kind {entry['kind']!r} of a column")
    labels = _labels(json.loads(arrays[f"{key}.labels"].tobytes()), entry["name"])
    if cells.dtype != np.int64 or cells.min(initial=0) < -1 or cells.max(initial=-1) >= len(labels):
        raise ConfigError(f"{entry['name']}: codes that stand for no label")
    return Labels(entry["name"], cells.copy(), labels)


def _labels(values: Any, name: str) -> tuple[str, ...]:
    """Labels as they must be: texts, none empty, all different."""
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise ConfigError(f"{name}: labels that are no texts")
    if len(set(values)) < len(values):
        raise ConfigError(f"{name}: a label twice")
    return tuple(values)


def encoding_facts(encoding: Encoding | None) -> list[dict[str, Any]]:
    """How each column is encoded, as plain values."""
    if encoding is None:
        return []
    numbers = [
        {"name": c.name, "center": c.center, "spread": c.spread, "indicator": c.indicator, "within": c.within}
        for c in encoding.numbers
    ]
    return [*numbers, *({"name": c.name, "labels": list(c.labels)} for c in encoding.labels)]


def readings_facts(readings: Readings) -> dict[str, list[dict[str, Any]]]:
    """The encoding of each role, as plain values."""
    return {role: encoding_facts(getattr(readings, role)) for role in ROLES}


def restored_readings(entry: Mapping[str, Any], facts: Facts, panel: Panel) -> Readings:
    """What :func:`readings_facts` wrote down in the facts of a net, ``entry``; ``facts`` say what the net reads.

    Models saved before there were other covariates have ``static`` alone. Raises ``ConfigError`` for anything else.
    """
    given = entry.get("readings", {"static": entry.get("static", [])})
    if not isinstance(given, dict) or not set(given) <= set(ROLES):
        raise ConfigError(f"readings {printable(given)}")
    tables = {
        "static": panel.static,
        "hist": panel.hist,
        "futr": None if panel.futr is None else panel.futr.covariates,
    }
    return Readings(
        **{role: restored_encoding(given.get(role, []), getattr(facts, role), tables[role], role) for role in ROLES}
    )


def restored_encoding(facts: Any, width: int, covariates: Covariates | None, role: str = "static") -> Encoding | None:
    """What :func:`encoding_facts` wrote down, for a net that reads ``width`` cells of the columns of ``covariates``.

    Raises ``ConfigError`` for anything else.
    """
    entries = _entries(facts)
    if not entries:
        encoding = None
    else:
        labels = tuple(LabelCode(e["name"], _labels(e["labels"], e["name"])) for e in entries if "labels" in e)
        encoding = Encoding(tuple(_number_code(entry) for entry in entries if "labels" not in entry), labels)
    if width != (0 if encoding is None else encoding.width):
        raise ConfigError(f"{role} covariates of {width} cells, which is not what their encoding gives")
    kinds = {} if covariates is None else {column.name: type(column) for column in covariates.columns}
    wrong = [e["name"] for e in entries if kinds.get(e["name"]) is not (Labels if "labels" in e else Numbers)]
    if wrong:
        raise ConfigError(f"the history has no {role} covariates {', '.join(wrong)} of the kind that the net reads")
    return encoding


def _number_code(entry: Mapping[str, Any]) -> NumberCode:
    center, spread, indicator, within = entry["center"], entry["spread"], entry["indicator"], entry.get("within")
    real = all(isinstance(v, float) and math.isfinite(v) for v in (center, spread, 1.0 if within is None else within))
    if not real or min(spread, 1.0 if within is None else within) <= 0 or not isinstance(indicator, bool):
        raise ConfigError(f"{entry['name']}: centre {center!r}, spread {spread!r}, indicator {indicator!r}")
    return NumberCode(entry["name"], center, spread, indicator, within)
