"""Between fitted models and artefacts: what is written down of each, and how it is built again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import as_freq, plain_freq
from forecast.artifact import Artifact
from forecast.bad_series import Bad
from forecast.errors import ArtifactError, ConfigError, printable
from forecast.forecasts import check_ordinals
from forecast.model import Fitted, Model, Task
from forecast.models import LARGEST_SIZE, build
from forecast.panel.calendar import with_calendar
from forecast.panel.covariates import Covariates
from forecast.panel.known import Known
from forecast.panel.panel import Panel
from forecast.panel.time_functions import TimeFunction, check_functions
from forecast.saved_covariates import (
    covariate_arrays,
    covariate_facts,
    restored_covariates,
)
from forecast.saved_ids import ids_json, restored_ids
from forecast.saved_models import model_arrays, model_facts, restored
from forecast.schema import Schema
from forecast.timeline import DAY, Timeline, fit_timeline

if TYPE_CHECKING:
    pass

Array = npt.NDArray[Any]
PARTS = "frequencies"  # in the facts of a model of several frequencies: those of each
PACKAGES = ("forecast", "torch", "pytorch-lightning", "numpy", "pandas", "statsmodels", "scikit-learn", "holidays")


@dataclass(frozen=True)
class Saved:
    """Everything that a Forecaster is made of after fitting."""

    models: dict[str, Model]
    fitted: dict[str, Fitted]
    task: Task
    panel: Panel
    bad: Bad = field(default_factory=dict)


def versions() -> dict[str, str]:
    """Versions of this package and those that forecasts depend on, as installed."""
    return dict(_installed())


@cache
def _installed() -> dict[str, str]:
    """Looked up once: that takes tens of milliseconds."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def to_artifact(saved: Saved) -> Artifact:
    """Plain facts and arrays of ``saved``.

    Raises ``ArtifactError`` for ids that JSON cannot hold exactly and for models that :func:`from_artifact` would not
    build: those of classes that are not ours.
    """
    weights: dict[str, Array] = {}
    models = []
    for number, (name, model) in enumerate(saved.models.items()):
        facts = {"name": name, **_jsonable(model_facts(model, saved.fitted[name]))}
        for key, value in model_arrays(saved.fitted[name]).items():
            weights[f"{number}.{key}"] = value
        models.append(facts)
    panel = saved.panel
    facts = {
        "models": models,
        "task": _jsonable(asdict(saved.task)),
        "schema": asdict(panel.schema),
        "timeline": timeline_facts(panel.timeline),
        "data": {"series": len(panel), "rows": len(panel.values), "id_dtype": str(panel.ids.dtype)},
        "static": covariate_facts(panel.static),
        "hist": covariate_facts(panel.hist),
        "futr": covariate_facts(_past_futr(panel)),
        "bad_series": list(saved.bad.values()),
        "versions": versions(),
    }
    history: dict[str, Array] = {
        "values": panel.values,
        "offsets": panel.offsets,
        "first": panel.first,
        "ids": np.frombuffer(ids_json(panel.ids), dtype=np.uint8),
        **covariate_arrays(panel.static, "static"),
        **covariate_arrays(panel.hist, "hist"),
        **covariate_arrays(_past_futr(panel), "futr"),
        "bad_ids": np.frombuffer(ids_json(pd.Index(list(saved.bad), dtype=object)), dtype=np.uint8),
    }
    return Artifact(facts, {"model": weights, "history": history})


def from_artifact(artifact: Artifact, functions: Mapping[str, TimeFunction] | None = None) -> Saved:
    """Build everything again. Only classes that our own yaml files name are ever instantiated.

    ``functions`` are the functions of time that the models were fitted with: their code is not saved. Raises
    ``ArtifactError`` when facts and arrays do not fit together, ``ConfigError`` when functions are missing.
    """
    if PARTS in artifact.facts:
        raise ArtifactError("This model has several frequencies: Forecaster.load reads it, a job has one frequency.")
    check_functions(functions, function_names(artifact.facts))
    try:
        facts = artifact.facts
        task = _task(facts["task"])
        panel = _panel(facts, artifact.arrays["history"])
        bad = _bad(facts.get("bad_series", []), artifact.arrays["history"])
        models: dict[str, Model] = {}
        fitted: dict[str, Fitted] = {}
        dated = with_calendar(panel, task.h, functions)
        for number, (name, entry) in enumerate(_named(facts["models"], panel.schema)):
            prefix = f"{number}."
            arrays = {k.removeprefix(prefix): v for k, v in artifact.arrays["model"].items() if k.startswith(prefix)}
            models[name], fitted[name] = restored(entry, arrays, dated, task)
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"The saved model's parts do not fit together: {printable(str(error), 200)}.") from error
    return Saved(models, fitted, task, panel, bad)


def function_names(facts: Mapping[str, Any]) -> list[str]:
    """The functions of time that a saved model was fitted with; none where it is too damaged to say."""
    parts = facts.get(PARTS)
    own = parts[0] if isinstance(parts, list) and parts else facts
    schema = own.get("schema") if isinstance(own, Mapping) else None
    names = schema.get("time_features") if isinstance(schema, Mapping) else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _past_futr(panel: Panel) -> Covariates | None:
    """Covariates known into the future at the rows of the panel: what lies beyond is asked for at each forecast."""
    return None if panel.futr is None else panel.futr.between(panel.first, panel.lengths).covariates


def _jsonable(value: Any) -> Any:
    """``value`` with numpy scalars as Python's own numbers and paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def _task(facts: Mapping[str, Any]) -> Task:
    task: Task = build(Task, facts)
    sizes = (("h", task.h, 1), ("season_length", task.season_length, 1), ("val_size", min(task.val_size or 0, 0), 0))
    wrong = [f"{name}={value}" for name, value, least in sizes if not least <= value <= LARGEST_SIZE]
    if wrong or not 0 <= task.seed < 2**31:
        raise ConfigError(f"task out of range: {', '.join(wrong) or f'seed={task.seed}'}")
    return task


def _named(models: Any, schema: Schema) -> list[tuple[str, Mapping[str, Any]]]:
    """Every model's entry with its name: at least one, all different, none a column of the frame."""
    if not isinstance(models, list) or not models or not all(isinstance(entry, dict) for entry in models):
        raise ConfigError("models must be a list of at least one")
    names = [entry["name"] for entry in models]
    taken = {schema.id_col, schema.time_col, schema.target_col, "cutoff"}
    if not all(isinstance(name, str) and name not in taken for name in names) or len(set(names)) < len(names):
        raise ConfigError(f"names {names!r} of models")
    return list(zip(names, models, strict=True))


def _panel(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Panel:
    """The saved history; every rule of :class:`~forecast.panel.panel.Panel` is checked."""
    schema: Schema = build(Schema, facts["schema"])
    timeline = _timeline(facts["timeline"])
    ids = restored_ids(arrays["ids"]).rename(schema.id_col)
    if not len(ids):
        raise ArtifactError("The saved history is inconsistent: it has no series.")
    values, offsets, first = arrays["values"], arrays["offsets"], arrays["first"]
    if values.dtype != np.float64 or offsets.dtype != np.int64 or first.dtype != np.int64:
        raise ArtifactError("The saved history is inconsistent: an array has another type than we write.")
    if values.ndim != 1 or offsets.shape != (len(ids) + 1,) or first.shape != (len(ids),):
        raise ArtifactError("The saved history is inconsistent: its offsets do not match its series.")
    if offsets[0] != 0 or offsets[-1] != len(values) or (np.diff(offsets) < 1).any() or (offsets < 0).any():
        raise ArtifactError("The saved history is inconsistent: its offsets do not match its rows.")
    if np.isinf(values).any() or not np.isfinite(values).any():
        raise ArtifactError("The saved history is damaged: it holds infinite values, or none at all.")
    check_ordinals(timeline, int(first.min()), int(first.max()))
    static = restored_covariates(facts.get("static", []), arrays, "static", len(ids))
    hist, futr = (restored_covariates(facts.get(role, []), arrays, role, len(values)) for role in ("hist", "futr"))
    for role, table, names in (("hist_exog", hist, schema.hist_exog), ("futr_exog", futr, schema.futr_exog)):
        if not set(names) <= set(() if table is None else table.names):
            raise ConfigError(f"the history lacks columns of {role}={names}")
    panel = Panel(ids, values.copy(), offsets.copy(), first.copy(), timeline, schema, static, hist)
    if futr is not None:
        panel = replace(panel, futr=Known(futr, panel.offsets, panel.first))
    check_ordinals(timeline, int(panel.last.max()))
    return panel


def timeline_facts(timeline: Timeline) -> dict[str, Any]:
    """A grid as JSON can hold it."""
    return {**asdict(timeline), "freq": plain_freq(timeline.freq)}


def _bad(reasons: Any, arrays: Mapping[str, Array]) -> Bad:
    """The saved bad series and their faults; none where the model was saved before there were any."""
    if not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
        raise ConfigError("the reasons of bad series must be texts")
    return dict(zip(restored_ids(arrays["bad_ids"]).tolist(), reasons, strict=True)) if reasons else {}


def _timeline(facts: Mapping[str, Any]) -> Timeline:
    """The saved grid: it is right when its own frequency, laid through one of its stamps, gives it back."""
    timeline: Timeline = build(Timeline, {**facts, "freq": as_freq(facts["freq"])})
    if timeline.kind not in ("step", "tick", "month", "business") or not 1 <= timeline.step <= 2**53:
        raise ConfigError(f"timeline of kind {timeline.kind!r} with step {timeline.step}")
    if not (0 <= timeline.phase < timeline.step and 0 <= timeline.time_of_day < DAY):
        raise ConfigError(f"timeline with phase {timeline.phase} and time of day {timeline.time_of_day}")
    if timeline.tz is not None:
        try:
            pd.DatetimeIndex([]).tz_localize(timeline.tz)
        except (LookupError, OSError, ValueError) as error:
            raise ConfigError(f"time zone {timeline.tz!r} is not known") from error
    origin = timeline.stamps(np.zeros(1, dtype=np.int64))
    if fit_timeline(timeline.freq, origin, timeline.tz) != timeline:
        raise ConfigError(f"timeline {timeline!r} is not one of freq={timeline.freq!r}")
    return timeline
