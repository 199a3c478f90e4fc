"""Between models with conformal intervals and plain facts and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.conformal import check_sides
from forecast.errors import ConfigError
from forecast.intervals.calibrated import CalibratedModel
from forecast.intervals.fitted import FittedCalibrated
from forecast.intervals.scale import LocalScale
from forecast.intervals.settings import Intervals
from forecast.intervals.trackers import STATE, Trackers, check_trackers
from forecast.model import Fitted, Model, Task
from forecast.models import build
from forecast.saved_ids import ids_json, restored_ids

Array = npt.NDArray[Any]


def calibrated_facts(model: CalibratedModel, fitted: FittedCalibrated, inner: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked of the intervals, the scale, and the facts of the model that they are around."""
    return {
        "kind": "calibrated",
        "class": "Intervals",
        "hyper_parameters": asdict(model.settings),
        "scale": asdict(fitted.scale),
        "calibration_windows": fitted.sides.count,
        "model": {"name": model.name, **inner},
    }


def calibrated_arrays(fitted: FittedCalibrated) -> dict[str, Array]:
    """The tables of widths, and the state of adaptive intervals."""
    arrays: dict[str, Array] = {"intervals.lower": fitted.sides.lower, "intervals.upper": fitted.sides.upper}
    return arrays if fitted.trackers is None else arrays | tracker_arrays(fitted.trackers)


def tracker_arrays(trackers: Trackers) -> dict[str, Array]:
    """The state of adaptive intervals, and of which series."""
    arrays = {f"tracker.{name}": getattr(trackers, name) for name in STATE}
    return arrays | {"tracker.ids": np.frombuffer(ids_json(trackers.ids), dtype=np.uint8)}


def enclosed_model(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts of the model that the intervals are around. Raises ``ConfigError`` when it has conformal ones too."""
    inner: Mapping[str, Any] = entry["model"]
    if inner["kind"] == "calibrated":
        raise ConfigError(f"{entry['name']}: conformal intervals around conformal intervals")
    return inner


def restored_calibrated(
    entry: Mapping[str, Any], arrays: Mapping[str, Array], task: Task, inner: Model, fitted: Fitted
) -> tuple[CalibratedModel, FittedCalibrated]:
    """The model of ``entry`` and ``arrays`` around the one restored. Raises ``ConfigError`` where they do not fit."""
    settings: Intervals = build(Intervals, entry["hyper_parameters"])
    scale: LocalScale = build(LocalScale, entry["scale"])
    lower, upper = arrays["intervals.lower"], arrays["intervals.upper"]
    sides = check_sides(lower, upper, entry["calibration_windows"], task.h)
    trackers = restored_trackers(arrays, task.h, settings) if settings.method == "adaptive" else None
    if trackers is not None and (min(sides.lower.min(), sides.upper.min()) <= 0.0):
        raise ConfigError(f"{entry['name']}: adaptive intervals of no width")
    model = CalibratedModel(inner, settings, str(entry["model"]["name"]))
    return model, FittedCalibrated(fitted, settings, sides, scale, task.season_length, trackers)


def restored_trackers(arrays: Mapping[str, Array], h: int, settings: Intervals) -> Trackers:
    """What :func:`tracker_arrays` gave. Raises ``ConfigError`` or ``ArtifactError`` where it does not fit."""
    own = {name: arrays[f"tracker.{name}"] for name in STATE}
    return check_trackers(restored_ids(arrays["tracker.ids"]), own, h, settings)
