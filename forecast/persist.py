"""Between fitted models and artefacts: what is written down of each, and how it is built again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.artifact import Artifact
from forecast.errors import ArtifactError, ConfigError, printable
from forecast.model import Fitted, Model, Task
from forecast.models import build, class_named
from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import Timeline

if TYPE_CHECKING:
    from forecast.training.neural import FittedNeural, Neural

Array = npt.NDArray[Any]
PACKAGES = ("forecast", "torch", "pytorch-lightning", "numpy", "pandas", "statsmodels", "scikit-learn")
# Far beyond any net in use; keeps a forged manifest from asking for all of the memory.
LARGEST_SIZE = 1_000_000


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
    """Plain facts and arrays of ``saved``. Raises ``ArtifactError`` for ids that JSON cannot hold exactly."""
    weights: dict[str, Array] = {}
    models = []
    for number, (name, model) in enumerate(saved.models.items()):
        facts = {"name": name, **_model_facts(model, saved.fitted[name])}
        for key, value in _model_arrays(saved.fitted[name]).items():
            weights[f"{number}.{key}"] = value
        models.append(facts)
    panel = saved.panel
    facts = {
        "models": models,
        "task": asdict(saved.task),
        "schema": asdict(panel.schema),
        "timeline": asdict(panel.timeline),
        "data": {"series": len(panel), "rows": len(panel.values), "id_dtype": str(panel.ids.dtype)},
        "versions": versions(),
    }
    history: dict[str, Array] = {
        "values": panel.values,
        "offsets": panel.offsets,
        "first": panel.first,
        "ids": np.frombuffer(_ids_json(panel.ids), dtype=np.uint8),
    }
    return Artifact(facts, {"model": weights, "history": history})


def from_artifact(artifact: Artifact) -> Saved:
    """Build everything again. Only classes that our own yaml files name are ever instantiated.

    Raises ``ArtifactError`` when facts and arrays do not fit together.
    """
    try:
        facts = artifact.facts
        task = Task(**facts["task"])
        panel = _panel(facts, artifact.arrays["history"])
        models, fitted = {}, {}
        for number, entry in enumerate(facts["models"]):
            prefix = f"{number}."
            arrays = {k.removeprefix(prefix): v for k, v in artifact.arrays["model"].items() if k.startswith(prefix)}
            models[entry["name"]], fitted[entry["name"]] = _restore(entry, arrays, panel, task)
    except (KeyError, TypeError, ConfigError) as error:
        raise ArtifactError(f"The saved model's parts do not fit together: {printable(str(error), 200)}.") from error
    return Saved(models, fitted, task, panel)


def _ids_json(ids: pd.Index) -> bytes:
    values = ids.tolist()
    if not all(isinstance(value, (str, int)) for value in values):
        raise ArtifactError(f"ids of dtype {ids.dtype} cannot be saved exactly. Convert them to text or integers.")
    return json.dumps(values, ensure_ascii=False).encode()


def _panel(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Panel:
    schema = Schema(**facts["schema"])
    ids = pd.Index(json.loads(arrays["ids"].tobytes()), name=schema.id_col)
    panel = Panel(
        ids=ids,
        values=arrays["values"].astype(np.float64),
        offsets=arrays["offsets"].astype(np.int64),
        first=arrays["first"].astype(np.int64),
        timeline=Timeline(**facts["timeline"]),
        schema=schema,
    )
    if len(panel.offsets) != len(ids) + 1 or len(panel.first) != len(ids) or panel.offsets[-1] != len(panel.values):
        raise ArtifactError("The saved history is inconsistent: its offsets do not match its rows.")
    return panel


def _model_facts(model: Any, fitted: Any) -> dict[str, Any]:
    """Class, hyper-parameters and, for nets, what training left behind."""
    from forecast.training.neural import FittedNeural, Neural

    if isinstance(model, Neural) and isinstance(fitted, FittedNeural):
        return {
            "kind": "neural",
            "class": type(model.architecture).__name__,
            "hyper_parameters": asdict(model.architecture),  # type: ignore[call-overload]
            "training": fitted.history["training"],
            "facts": asdict(fitted.facts),
            "history": fitted.history,
            "calibration_windows": None if fitted.intervals is None else fitted.intervals.count,
        }
    return {"kind": "local", "class": type(model).__name__, "hyper_parameters": asdict(model)}


def _model_arrays(fitted: Any) -> dict[str, Array]:
    from forecast.training.neural import FittedNeural

    if not isinstance(fitted, FittedNeural):
        return {}
    arrays = {f"net.{name}": value.numpy() for name, value in fitted.net.state_dict().items()}
    if fitted.intervals is not None:
        arrays["intervals"] = fitted.intervals.table
    return arrays


def _restore(entry: Mapping[str, Any], arrays: Mapping[str, Array], panel: Panel, task: Task) -> tuple[Model, Fitted]:
    hyper = {key: tuple(v) if isinstance(v, list) else v for key, v in entry["hyper_parameters"].items()}
    spec = build(class_named(entry["class"]), hyper)
    if entry["kind"] == "local":
        return spec, spec.fit(panel, task)  # a local model learns nothing before it forecasts
    return _restore_neural(spec, entry, arrays)


def _restore_neural(spec: Any, entry: Mapping[str, Any], arrays: Mapping[str, Array]) -> tuple[Neural, FittedNeural]:
    import torch

    from forecast.conformal import Conformal
    from forecast.nets.facts import Facts
    from forecast.training.neural import FittedNeural, Neural
    from forecast.training.settings import Training

    sizes: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in entry["facts"].items()}
    facts = Facts(**sizes)
    numbers = [v for v in (*asdict(spec).values(), *asdict(facts).values()) if isinstance(v, int)]
    if any(number > LARGEST_SIZE for number in numbers):
        raise ArtifactError(f"{entry['name']}: a size of {max(numbers)} is beyond reason; the model is not built.")
    state = {k.removeprefix("net."): torch.from_numpy(v.copy()) for k, v in arrays.items() if k.startswith("net.")}
    try:
        with torch.device("meta"):
            shapes = {name: tuple(value.shape) for name, value in spec.build(facts).state_dict().items()}
    except (RuntimeError, ValueError, ZeroDivisionError) as error:
        raise ArtifactError(f"{entry['name']}: no {entry['class']} has such sizes; the model is not built.") from error
    if shapes != {name: tuple(value.shape) for name, value in state.items()}:
        raise ArtifactError(f"{entry['name']}: the weights do not have the shapes of {entry['class']}.")
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise ArtifactError(f"{entry['name']}: weights {', '.join(broken)} hold NaN or infinity. Fit again.")
    with torch.random.fork_rng(devices=[]):
        net = spec.build(facts)
    net.load_state_dict(state)
    net.eval()
    intervals = None
    if "intervals" in arrays:
        intervals = Conformal(arrays["intervals"].astype(np.float64), int(entry["calibration_windows"]))
    training = build(Training, entry["training"])
    return Neural(spec, training, entry["name"]), FittedNeural(spec, facts, net, intervals, dict(entry["history"]))
