"""Between transformed models and plain facts and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError
from forecast.model import Fitted, Model
from forecast.models import build
from forecast.panel.panel import Panel
from forecast.panel.transforms.chain import Chain
from forecast.saved_ids import ids_json, restored_ids
from forecast.transformed import OPTIONS, FittedTransformed, Transformed, TransformedModel, tail_of
from forecast.transforms import as_transforms

Array = npt.NDArray[Any]


def transformed_facts(model: TransformedModel, fitted: FittedTransformed, inner: Mapping[str, Any]) -> dict[str, Any]:
    """Transforms, as asked for and with what the task filled in, and the facts of the model behind them."""
    return {
        "kind": "transformed",
        "class": "Transformed",
        "hyper_parameters": {"transforms": [t.facts() for t in model.transforms], **model.options},
        "chain": [spec.facts() for spec in fitted.chain.specs],
        "model": {"name": model.name, **inner},
    }


def chain_arrays(chain: Chain) -> dict[str, Array]:
    """What the transforms learned, and of which series."""
    arrays: dict[str, Array] = {"transforms.ids": np.frombuffer(ids_json(chain.ids), dtype=np.uint8)}
    for number, link in enumerate(chain.links):
        arrays |= {f"transforms.{number}.{key}": table for key, table in link.tables().items()}
    return arrays


def whole_model(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts of the model behind the transforms. Raises ``ConfigError`` when it is transformed itself."""
    inner: Mapping[str, Any] = entry["model"]
    if inner["kind"] in ("transformed", "calibrated"):
        raise ConfigError(f"{entry['name']}: a {inner['kind']} model within a transformed one")
    return inner


def restored_transformed(
    entry: Mapping[str, Any], arrays: Mapping[str, Array], panel: Panel, inner: Model, fitted: Fitted
) -> tuple[TransformedModel, FittedTransformed]:
    """The model of ``entry`` and ``arrays`` around the one restored. Raises ``ConfigError`` where they do not fit."""
    name = str(entry["model"]["name"])
    spec = build(Transformed, {"model": entry["model"]["class"], **entry["hyper_parameters"]})
    options = {option: getattr(spec, option) for option in OPTIONS}
    chain = _restored_chain(entry["chain"], arrays, panel)
    if [type(own) for own in chain.specs] != [type(asked) for asked in spec.transforms]:
        raise ConfigError(f"{name}: the transforms are not those asked for")
    tail = tail_of(inner, name) if spec.bias_corrected else None
    model = TransformedModel(inner, spec.transforms, name, **options)
    return model, FittedTransformed(fitted, chain, spec.non_negative, spec.integer, tail)


def _restored_chain(facts: Any, arrays: Mapping[str, Array], panel: Panel) -> Chain:
    if not isinstance(facts, list):
        raise ConfigError(f"transforms {facts!r}")
    specs, ids = as_transforms(facts), restored_ids(arrays["ids"])
    own = [
        {key.removeprefix(f"{n}."): value for key, value in arrays.items() if key.startswith(f"{n}.")}
        for n in range(len(specs))
    ]
    if len(arrays) != 1 + sum(len(tables) for tables in own):
        raise ConfigError("arrays of transforms that there are not")
    links = tuple(spec.restored(tables, panel, len(ids)) for spec, tables in zip(specs, own, strict=True))
    return Chain(specs, ids, links)
