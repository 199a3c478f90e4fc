"""Between fitted models and plain facts and arrays: nets, local models, ensembles of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArtifactError, ConfigError
from forecast.intervals.fitted import FittedCalibrated
from forecast.model import Fitted, Model, Task
from forecast.models import LARGEST_SIZE, build, check_architecture, class_named, entries
from forecast.panel.panel import Panel
from forecast.panel.units import check_units
from forecast.saved_covariates import (
    readings_facts,
    restored_readings,
)
from forecast.saved_ids import ids_json, restored_ids
from forecast.saved_intervals import calibrated_arrays, calibrated_facts, enclosed_model, restored_calibrated
from forecast.saved_transforms import chain_arrays, restored_transformed, transformed_facts, whole_model

if TYPE_CHECKING:
    from torch import nn

    from forecast.ensemble import FittedEnsemble, Weights
    from forecast.nets.facts import Facts
    from forecast.training.neural import FittedNeural, Neural

Array = npt.NDArray[Any]
# What building a net from impossible sizes may raise, and what a net of such sizes may raise when it runs.
IMPOSSIBLE = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
LARGEST_PANEL = 100_000_000
MOST_LAYERS = 1000  # stacking is a loop: without a bound a forged number would keep us busy for days


def model_facts(model: Any, fitted: Any) -> dict[str, Any]:
    """Class, hyper-parameters and what fitting left behind: of nets that of training, of ensembles their members."""
    from forecast.ensemble import FittedEnsemble
    from forecast.nets.averaged import members_of
    from forecast.training.cold import FittedCold
    from forecast.training.neural import FittedNeural, Neural
    from forecast.transformed import FittedTransformed

    if isinstance(fitted, FittedCalibrated):
        return calibrated_facts(model, fitted, model_facts(model.inner, fitted.fitted))
    if isinstance(fitted, FittedTransformed):
        return transformed_facts(model, fitted, model_facts(model.inner, fitted.fitted))
    if isinstance(fitted, FittedEnsemble):
        _check_ours(model.spec)
        return {
            "kind": "ensemble",
            "class": type(model.spec).__name__,
            "hyper_parameters": asdict(model.spec),
            "training": model.training.recipe,
            "members": [{"name": m.name, **model_facts(m.model, m.fitted)} for m in fitted.members],
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
            "readings": readings_facts(fitted.readings),
            "snapshots": len(members_of(fitted.net)),
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


def model_arrays(fitted: Any) -> dict[str, Array]:
    """The numbers of a fitted model by name; none for one that learns nothing."""
    from forecast.ensemble import FittedEnsemble
    from forecast.training.neural import FittedNeural
    from forecast.training.saved_states import state_arrays
    from forecast.training.stateful import FittedStateful
    from forecast.transformed import FittedTransformed

    if isinstance(fitted, FittedCalibrated):
        return calibrated_arrays(fitted) | {f"model.{key}": v for key, v in model_arrays(fitted.fitted).items()}
    if isinstance(fitted, FittedTransformed):
        return chain_arrays(fitted.chain) | {f"model.{key}": v for key, v in model_arrays(fitted.fitted).items()}
    if isinstance(fitted, FittedEnsemble):
        arrays = {
            f"member.{number}.{key}": value
            for number, member in enumerate(fitted.members)
            for key, value in model_arrays(member.fitted).items()
        }
        weights = fitted.weights
        arrays |= {"weights.default": weights.default, "weights.table": weights.table}
        return arrays | {"weights.ids": np.frombuffer(ids_json(weights.ids), dtype=np.uint8)}
    if not isinstance(fitted, FittedNeural):
        return {}
    arrays = {f"net.{name}": value.numpy() for name, value in fitted.net.state_dict().items()}
    if fitted.intervals is not None:
        arrays["intervals"] = fitted.intervals.table
    if fitted.ids is not None:
        arrays["ids"] = np.frombuffer(ids_json(fitted.ids), dtype=np.uint8)
    if isinstance(fitted, FittedStateful):
        arrays |= {f"state.{name}": value for name, value in state_arrays(fitted.states).items()}
        arrays["state.ids"] = np.frombuffer(ids_json(fitted.states.ids), dtype=np.uint8)
    return arrays


def restored(entry: Mapping[str, Any], arrays: Mapping[str, Array], panel: Panel, task: Task) -> tuple[Model, Fitted]:
    """The model of ``entry`` and ``arrays``, and the fitted one. Raises ``ConfigError`` or ``ArtifactError``."""
    hyper = entry["hyper_parameters"]
    if not isinstance(hyper, dict):
        raise ConfigError(f"hyper_parameters={hyper!r}")
    if entry["kind"] == "calibrated":
        inside = restored(enclosed_model(entry), _below(arrays, "model."), panel, task)
        return restored_calibrated(entry, arrays, task, *inside)
    if entry["kind"] == "transformed":
        inside = restored(whole_model(entry), _below(arrays, "model."), panel, task)
        return restored_transformed(entry, _below(arrays, "transforms."), panel, *inside)
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


def _below(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The arrays whose names begin with ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _restore_ensemble(
    spec: Any, entry: Mapping[str, Any], arrays: Mapping[str, Array], panel: Panel, task: Task
) -> tuple[Model, FittedEnsemble]:
    from forecast.ensemble import COMBINED, FittedEnsemble, Member
    from forecast.training.settings import Training

    if not isinstance(entry["members"], list) or not isinstance(entry["history"], dict):
        raise ConfigError(f"{entry['name']}: members and history of an ensemble")
    members = []
    for number, part in enumerate(entry["members"]):
        if part["kind"] in ("ensemble", "transformed", "calibrated"):
            raise ConfigError(f"{entry['name']}: {part['kind']} within an ensemble")
        own = _below(arrays, f"member.{number}.")
        members.append(Member(str(part["name"]), *restored(part, own, panel, task)))
    ids = restored_ids(arrays["weights.ids"])
    weights = check_weights(arrays["weights.default"], arrays["weights.table"], ids, members)
    if entry["combine"] not in COMBINED:
        raise ConfigError(f"combine={entry['combine']!r}")
    fitted = FittedEnsemble(tuple(members), weights, entry["combine"], dict(entry["history"]))
    return spec.trained_by(build(Training, entry["training"]), entry["name"]), fitted


def _restore_neural(
    spec: Any, entry: Mapping[str, Any], arrays: Mapping[str, Array], panel: Panel, task: Task
) -> tuple[Neural, FittedNeural]:
    import torch

    from forecast.conformal import check_table
    from forecast.nets.averaged import builder
    from forecast.nets.regression import whole_net
    from forecast.nets.static import with_rates
    from forecast.nets.stream import StreamNet
    from forecast.training.cold import FittedCold
    from forecast.training.neural import FittedNeural, Neural
    from forecast.training.saved_states import restored_states
    from forecast.training.settings import Training
    from forecast.training.stateful import FittedStateful, streaming

    facts = _facts(spec, entry, task)
    training = build(Training, entry["training"])
    model = Neural(spec, training, entry["name"])
    count = entry.get("snapshots", 1)
    if type(count) is not int or not 1 <= count <= training.snapshots:
        raise ConfigError(f"snapshots={count!r}")
    whole = streaming(spec, entry["name"]).stream if training.stateful else whole_net(spec, training.revin)
    make = builder(whole, count)
    net = _bare_net(spec, facts, entry, make)
    state = {k.removeprefix("net."): torch.from_numpy(v.copy()) for k, v in arrays.items() if k.startswith("net.")}
    wanted = {name: (tuple(value.shape), value.dtype) for name, value in net.state_dict().items()}
    state = with_rates(state, wanted)
    if wanted != {name: (tuple(value.shape), value.dtype) for name, value in state.items()}:
        raise ArtifactError(f"{entry['name']}: the weights do not have the shapes of {entry['class']}.")
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise ArtifactError(f"{entry['name']}: weights {', '.join(broken)} hold NaN or infinity. Fit again.")
    with torch.random.fork_rng(devices=[]):
        net = make(facts)
    net.load_state_dict(state)
    net.eval()
    if ("intervals" in arrays) == facts.spread_out:
        raise ConfigError("a net has calibrated intervals or quantiles of its own, one of the two")
    steps = facts.h + (facts.input_size if model.needs_static else 0)
    intervals = None if facts.spread_out else check_table(arrays["intervals"], entry["calibration_windows"], steps)
    if not isinstance(entry["history"], dict):
        raise ConfigError(f"history={entry['history']!r}")
    history = dict(entry["history"])
    if isinstance(net, StreamNet):
        saved = {k.removeprefix("state."): v for k, v in arrays.items() if k.startswith("state.")}
        states = restored_states(saved, restored_ids(saved.pop("ids")), net, facts)
        return model, FittedStateful(spec, facts, net, intervals, history, states=states)
    ids = _trained_ids(facts, arrays)
    readings = restored_readings(entry, facts, panel)
    if model.needs_static:
        units = check_units(entry["units"])
        return model, FittedCold(spec, facts, net, intervals, history, readings=readings, units=units)
    return model, FittedNeural(spec, facts, net, intervals, history, ids, readings)


def _trained_ids(facts: Facts, arrays: Mapping[str, Array]) -> pd.Index | None:
    """The series that a net holds parameters of, one id each."""
    if not facts.series:
        return None
    ids = restored_ids(arrays["ids"])
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
    from forecast.nets.facts import Facts, likelihood_of, needs_of
    from forecast.training.neural import trained_probs

    given = {key: tuple(v) if isinstance(v, list) else v for key, v in entry["facts"].items()}
    facts: Facts = build(Facts, given)
    whole = all(isinstance(m, int) and not isinstance(m, bool) for m in facts.seasons)
    if not whole or not all(1 <= m <= facts.input_size for m in facts.seasons):
        raise ConfigError(f"seasons={facts.seasons!r}")
    agree = facts.h == task.h and spec.input_size in (None, facts.input_size) and facts.channels in (1, 2)
    if not agree or facts.input_size < 1 or facts.probs != trained_probs(spec.quantiles):
        raise ConfigError(f"facts {given!r} do not fit task and hyper-parameters")
    if facts.likelihood != likelihood_of(spec) or bool(facts.classes) != (facts.likelihood == "categorical"):
        raise ConfigError(f"facts {given!r} do not fit task and hyper-parameters")
    if bool(facts.series) != needs_of(spec).series or not 0 <= facts.series <= LARGEST_PANEL:
        raise ConfigError(f"parameters of {facts.series} series")
    return facts
