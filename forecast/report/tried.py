"""What an ensemble is made of, and what was tried on the way to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecast.report.wording import ABSENT, duration, number


def tried_table(describe: Mapping[str, Any]) -> dict[str, Any] | None:
    """One row a candidate or member, best loss first, those that left early last; ``None`` for a single model.

    ``describe`` may hold ``members`` (``name, weight``), ``tried`` (``name, seconds, mase, smape, loss, verdict``)
    and ``why``. Members trained from several seeds (``segrnn#2``) count with the candidate they come from.
    """
    members, tried = describe.get("members") or (), describe.get("tried") or ()
    if not members and not tried:
        return None
    weights: dict[str, float] = {}
    for member in members:
        name = str(member["name"]).partition("#")[0]
        weights[name] = weights.get(name, 0.0) + float(member["weight"])
    rows = [_row(trial, weights) for trial in sorted(tried, key=_place)] or [
        {"name": name, "cells": [ABSENT, ABSENT, ABSENT, ABSENT, f"{weight:.0%}"], "verdict": ""}
        for name, weight in weights.items()
    ]
    return {"why": str(describe.get("why", "")), "rows": rows}


def _place(trial: Mapping[str, Any]) -> float:
    return float(trial.get("loss", float("inf")))


def _row(trial: Mapping[str, Any], weights: Mapping[str, float]) -> dict[str, Any]:
    scores = [number(float(trial[key])) if key in trial else ABSENT for key in ("mase", "smape", "loss")]
    weight = weights.get(str(trial["name"]), 0.0)
    cells = [*scores, duration(trial.get("seconds")), f"{weight:.0%}" if weight else ABSENT]
    return {"name": str(trial["name"]), "cells": cells, "verdict": str(trial.get("verdict", ""))}
