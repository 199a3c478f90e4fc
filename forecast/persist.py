"""Between fitted models and artefacts: what is written down of each, and how it is built again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.artifact import Artifact
from forecast.errors import ArtifactError, ConfigError, printable
from forecast.forecasts import check_ordinals
from forecast.model import Fitted, Model, Task
from forecast.models import LARGEST_SIZE, build, check_architecture, class_named, entries
from forecast.panel.panel import Panel
from forecast.panel.units import check_units
from forecast.saved_covariates import (
    covariate_arrays,
    covariate_facts,
    encoding_facts,
    restored_covariates,
    restored_encoding,
)
from forecast.schema import Schema
from forecast.timeline import DAY, Timeline, fit_timeline

if TYPE_CHECKING:
    from torch import nn

    from forecast.ensemble import FittedEnsemble, Weights
    from forecast.nets.facts import Facts
    from forecast.training.neural import FittedNeural, Neural

Array = npt.NDArray[Any]
PACKAGES = ("forecast", "torch", "pytorch-lightning", "numpy", "pandas", "statsmodels", "scikit-learn")
# What building a net from impossible sizes may raise, and what a net of such sizes may raise when it runs.
IMPOSSIBLE = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
LARGEST_PANEL = 100_000_000
MOST_LAYERS = 1000  # stacking is a loop: without a bound a forged number would keep us busy for days


@dataclass(frozen=True)
class Saved:
    """Everything that a Forecaster is made of after fitting."""

    models: dict[str, Model]
    fitted: dict[str, Fitted]
    task: Task
    panel: Panel


def versions() -> dict[str, str]:
    """Versions of this package and those that forecasts depend on, as installed."""
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
        facts = {"name": name, **_jsonable(_model_facts(model, saved.fitted[name]))}
        for key, value in _model_arrays(saved.fitted[name]).items():
            weights[f"{number}.{key}"] = value
        models.append(facts)
    panel = saved.panel
    facts = {
        "models": models,
        "task": _jsonable(asdict(saved.task)),
        "schema": asdict(panel.schema),
        "timeline": asdict(panel.timeline),
        "data": {"series": len(panel), "rows": len(panel.values), "id_dtype": str(panel.ids.dtype)},
        "static": covariate_facts(panel.static),
        "versions": versions(),
    }
    history: dict[str, Array] = {
        "values": panel.values,
        "offsets": panel.offsets,
        "first": panel.first,
        "ids": np.frombuffer(_ids_json(panel.ids), dtype=np.uint8),
        **covariate_arrays(panel.static, "static"),
    }
    return Artifact(facts, {"model": weights, "history": history})


def from_artifact(artifact: Artifact) -> Saved:
    """Build everything again. Only classes that our own yaml files name are ever instantiated.

    Raises ``ArtifactError`` when facts and arrays do not fit together.
    """
    try:
        facts = artifact.facts
        task = _task(facts["task"])
        panel = _panel(facts, artifact.arrays["history"])
        models: dict[str, Model] = {}
        fitted: dict[str, Fitted] = {}
        for number, (name, entry) in enumerate(_named(facts["models"], panel.schema)):
            prefix = f"{number}."
            arrays = {k.removeprefix(prefix): v for k, v in artifact.arrays["model"].items() if k.startswith(prefix)}
            models[name], fitted[name] = _restore(entry, arrays, panel, task)
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"The saved model's parts do not fit together: {printable(str(error), 200)}.") from error
    return Saved(models, fitted, task, panel)


def check_ids(ids: pd.Index) -> None:
    """Raise ``ArtifactError`` for ids that cannot be saved: worth knowing before training."""
    _ids_json(ids)


def _ids_json(ids: pd.Index) -> bytes:
    values = ids.tolist()
    if not all(isinstance(value, (str, int)) for value in values):
        raise ArtifactError(f"ids of dtype {ids.dtype} cannot be saved exactly. Convert them to text or integers.")
    try:
        return json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ArtifactError(f"the id {printable(error.object, 40)} holds half a character. Rename it.") from error


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
    ids = _ids(arrays["ids"]).rename(schema.id_col)
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
    panel = Panel(ids, values.copy(), offsets.copy(), first.copy(), timeline, schema, static)
    check_ordinals(timeline, int(panel.last.max()))
    return panel


def _ids(array: Array) -> pd.Index:
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ArtifactError("The saved history is inconsistent: its ids are not text.")
    values = json.loads(array.tobytes())
    if not isinstance(values, list) or not all(isinstance(value, (str, int)) for value in values):
        raise ArtifactError("The saved history is inconsistent: its ids are not a list of texts or whole numbers.")
    ids = pd.Index(values)
    if not ids.is_unique:
        raise ArtifactError("The saved history is inconsistent: two series have one id.")
    return ids


def _timeline(facts: Mapping[str, Any]) -> Timeline:
    """The saved grid: it is right when its own frequency, laid through one of its stamps, gives it back."""
    timeline: Timeline = build(Timeline, facts)
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


def _model_facts(model: Any, fitted: Any) -> dict[str, Any]:
    """Class, hyper-parameters and what fitting left behind: of nets that of training, of ensembles their members."""
    from forecast.ensemble import FittedEnsemble
    from forecast.training.cold import FittedCold
    from forecast.training.neural import FittedNeural, Neural

    if isinstance(fitted, FittedEnsemble):
        _check_ours(model.spec)
        return {
            "kind": "ensemble",
            "class": type(model.spec).__name__,
            "hyper_parameters": asdict(model.spec),
            "training": model.training.recipe,
            "members": [{"name": m.name, **_model_facts(m.model, m.fitted)} for m in fitted.members],
            "combine": fitted.combine,
            "history": dict(fitted.history),
        }
    if isinstance(model, Neural) and isinstance(fitted, FittedNeural):
        _check_ours(model.architecture)
        return {
            "kind": "neural",
            "class": type(model.architecture).__name__,
            "hyper_parameters": asdict(model.architecture),  # type: ignore[call-overload]
            "training": fitted.history["training"],
            "facts": asdict(fitted.facts),
            "static": encoding_facts(fitted.encoding),
            **({"units": asdict(fitted.units)} if isinstance(fitted, FittedCold) else {}),
            "history": fitted.history,
            "calibration_windows": None if fitted.intervals is None else fitted.intervals.count,
        }
    _check_ours(model)
    return {"kind": "local", "class": type(model).__name__, "hyper_parameters": asdict(model)}


def check_weights(default: Array, table: Array, ids: pd.Index, members: Sequence[object]) -> Weights:
    """Weights that came from elsewhere. Raises ``ConfigError`` unless they are shares of the members, for each id."""
    from forecast.ensemble import Weights

    shapes = default.shape == (len(members),) and table.shape == (len(ids), len(members))
    rows = np.vstack([default[None], table]) if shapes and members else np.full((1, 1), np.nan)
    if rows.dtype != np.float64 or not np.isfinite(rows).all() or (rows < 0).any():
        raise ConfigError("the weights of an ensemble must be one finite number for each member, not negative")
    if not np.allclose(rows.sum(1), 1.0):
        raise ConfigError("the weights of an ensemble must add up to 1")
    return Weights(default.copy(), ids, table.copy())


def _check_ours(spec: object) -> None:
    target = f"{type(spec).__module__}.{type(spec).__qualname__}"
    if target not in {entry.target for entry in entries().values()}:
        raise ArtifactError(
            f"{target} is a class of your own: saving and loading know the classes of forecast.models only, because "
            "loading runs no foreign code. Keep the fitted Forecaster in this process, or use a class of ours."
        )


def _model_arrays(fitted: Any) -> dict[str, Array]:
    from forecast.ensemble import FittedEnsemble
    from forecast.training.neural import FittedNeural
    from forecast.training.saved_states import state_arrays
    from forecast.training.stateful import FittedStateful

    if isinstance(fitted, FittedEnsemble):
        arrays = {
            f"member.{number}.{key}": value
            for number, member in enumerate(fitted.members)
            for key, value in _model_arrays(member.fitted).items()
        }
        weights = fitted.weights
        arrays |= {"weights.default": weights.default, "weights.table": weights.table}
        return arrays | {"weights.ids": np.frombuffer(_ids_json(weights.ids), dtype=np.uint8)}
    if not isinstance(fitted, FittedNeural):
        return {}
    arrays = {f"net.{name}": value.numpy() for name, value in fitted.net.state_dict().items()}
    if fitted.intervals is not None:
        arrays["intervals"] = fitted.intervals.table
    if fitted.ids is not None:
        arrays["ids"] = np.frombuffer(_ids_json(fitted.ids), dtype=np.uint8)
    if isinstance(fitted, FittedStateful):
        arrays |= {f"state.{name}": value for name, value in state_arrays(fitted.states).items()}
        arrays["state.ids"] = np.frombuffer(_ids_json(fitted.states.ids), dtype=np.uint8)
    return arrays


def _restore(entry: Mapping[str, Any], arrays: Mapping[str, Array], panel: Panel, task: Task) -> tuple[Model, Fitted]:
    hyper = entry["hyper_parameters"]
    if not isinstance(hyper, dict):
        raise ConfigError(f"hyper_parameters={hyper!r}")
    if any(isinstance(v, list) and len(v) > MOST_LAYERS for v in hyper.values()):
        raise ConfigError("hyper_parameters hold a list beyond reason")
    cls = class_named(entry["class"])
    spec = check_architecture(build(cls, {key: tuple(v) if isinstance(v, list) else v for key, v in hyper.items()}))
    kind = "neural" if hasattr(spec, "build") else "ensemble" if hasattr(spec, "trained_by") else "local"
    if entry["kind"] != kind:
        raise ConfigError(f"{entry['class']} is not of kind {entry['kind']!r}")
    if kind == "neural":
        return _restore_neural(spec, entry, arrays, panel, task)
    if kind == "ensemble":
        return _restore_ensemble(spec, entry, arrays, panel, task)
    return spec, spec.fit(panel, task)  # a local model learns nothing before it forecasts


def _restore_ensemble(
    spec: Any, entry: Mapping[str, Any], arrays: Mapping[str, Array], panel: Panel, task: Task
) -> tuple[Model, FittedEnsemble]:
    from forecast.ensemble import COMBINED, FittedEnsemble, Member
    from forecast.training.settings import Training

    if not isinstance(entry["members"], list) or not isinstance(entry["history"], dict):
        raise ConfigError(f"{entry['name']}: members and history of an ensemble")
    members = []
    for number, part in enumerate(entry["members"]):
        if part["kind"] == "ensemble":
            raise ConfigError(f"{entry['name']}: an ensemble within an ensemble")
        prefix = f"member.{number}."
        own = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        members.append(Member(str(part["name"]), *_restore(part, own, panel, task)))
    weights = check_weights(arrays["weights.default"], arrays["weights.table"], _ids(arrays["weights.ids"]), members)
    if entry["combine"] not in COMBINED:
        raise ConfigError(f"combine={entry['combine']!r}")
    fitted = FittedEnsemble(tuple(members), weights, entry["combine"], dict(entry["history"]))
    return spec.trained_by(build(Training, entry["training"]), entry["name"]), fitted


def _restore_neural(
    spec: Any, entry: Mapping[str, Any], arrays: Mapping[str, Array], panel: Panel, task: Task
) -> tuple[Neural, FittedNeural]:
    import torch

    from forecast.conformal import check_table
    from forecast.nets.stream import StreamNet
    from forecast.training.cold import FittedCold
    from forecast.training.neural import FittedNeural, Neural
    from forecast.training.saved_states import restored_states
    from forecast.training.settings import Training
    from forecast.training.stateful import FittedStateful, streaming

    facts = _facts(spec, entry, task)
    training = build(Training, entry["training"])
    model = Neural(spec, training, entry["name"])
    make = streaming(spec, entry["name"]).stream if training.stateful else spec.build
    net = _bare_net(spec, facts, entry, make)
    state = {k.removeprefix("net."): torch.from_numpy(v.copy()) for k, v in arrays.items() if k.startswith("net.")}
    wanted = {name: (tuple(value.shape), value.dtype) for name, value in net.state_dict().items()}
    if wanted != {name: (tuple(value.shape), value.dtype) for name, value in state.items()}:
        raise ArtifactError(f"{entry['name']}: the weights do not have the shapes of {entry['class']}.")
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise ArtifactError(f"{entry['name']}: weights {', '.join(broken)} hold NaN or infinity. Fit again.")
    with torch.random.fork_rng(devices=[]):
        net = make(facts)
    net.load_state_dict(state)
    net.eval()
    if ("intervals" in arrays) == bool(facts.probs):
        raise ConfigError("a net has calibrated intervals or quantiles of its own, one of the two")
    steps = facts.h + (facts.input_size if model.needs_static else 0)
    intervals = None if facts.probs else check_table(arrays["intervals"], entry["calibration_windows"], steps)
    if not isinstance(entry["history"], dict):
        raise ConfigError(f"history={entry['history']!r}")
    history = dict(entry["history"])
    if isinstance(net, StreamNet):
        saved = {k.removeprefix("state."): v for k, v in arrays.items() if k.startswith("state.")}
        states = restored_states(saved, _ids(saved.pop("ids")), net, facts)
        return model, FittedStateful(spec, facts, net, intervals, history, states=states)
    ids = _trained_ids(facts, arrays)
    encoding = restored_encoding(entry.get("static", []), facts.static, panel.static)
    if model.needs_static:
        units = check_units(entry["units"])
        return model, FittedCold(spec, facts, net, intervals, history, encoding=encoding, units=units)
    return model, FittedNeural(spec, facts, net, intervals, history, ids, encoding)


def _trained_ids(facts: Facts, arrays: Mapping[str, Array]) -> pd.Index | None:
    """The series that a net holds parameters of, one id each."""
    if not facts.series:
        return None
    ids = _ids(arrays["ids"])
    if len(ids) != facts.series:
        raise ConfigError(f"{len(ids)} ids for the parameters of {facts.series} series")
    return ids


def _bare_net(spec: Any, facts: Facts, entry: Mapping[str, Any], make: Callable[[Facts], nn.Module]) -> nn.Module:
    """The net without weights, which costs no memory whatever the sizes are."""
    import torch

    sizes = {**asdict(spec), **asdict(facts), "series": 0}
    numbers = [v for v in sizes.values() if isinstance(v, int)]
    if any(number > LARGEST_SIZE for number in numbers) or getattr(spec, "num_layers", 1) > MOST_LAYERS:
        raise ArtifactError(f"{entry['name']}: a size of {max(numbers)} is beyond reason; the model is not built.")
    try:
        with torch.device("meta"):
            net = make(facts)
    except IMPOSSIBLE as error:
        raise ArtifactError(f"{entry['name']}: no {entry['class']} has such sizes; the model is not built.") from error
    return net


def _facts(spec: Any, entry: Mapping[str, Any], task: Task) -> Facts:
    """The sizes that came from data and task, in agreement with the task and the hyper-parameters."""
    from forecast.nets.facts import Facts, needs_of
    from forecast.training.neural import trained_probs

    given = {key: tuple(v) if isinstance(v, list) else v for key, v in entry["facts"].items()}
    facts: Facts = build(Facts, given)
    whole = all(isinstance(m, int) and not isinstance(m, bool) for m in facts.seasons)
    if not whole or not all(1 <= m <= facts.input_size for m in facts.seasons):
        raise ConfigError(f"seasons={facts.seasons!r}")
    agree = facts.h == task.h and spec.input_size in (None, facts.input_size) and facts.channels in (1, 2)
    if not agree or facts.input_size < 1 or facts.probs != trained_probs(spec.quantiles):
        raise ConfigError(f"facts {given!r} do not fit task and hyper-parameters")
    if bool(facts.series) != needs_of(spec).series or not 0 <= facts.series <= LARGEST_PANEL:
        raise ConfigError(f"parameters of {facts.series} series")
    return facts
