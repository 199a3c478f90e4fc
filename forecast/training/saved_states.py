"""States between a stateful model and an artefact: plain arrays, every one checked on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ConfigError
from forecast.nets.facts import Facts
from forecast.nets.running import Running
from forecast.nets.stream import StreamNet
from forecast.training.states import States

Array = npt.NDArray[Any]


def state_arrays(states: States) -> dict[str, Array]:
    """Everything but the ids, by name."""
    return {"last": states.last, "check": states.check.view(np.int64), "carry": states.carry, **vars(states.running)}


def restored_states(arrays: Mapping[str, Array], ids: pd.Index, net: StreamNet, facts: Facts) -> States:
    """What :func:`state_arrays` gave, for series called ``ids``.

    Raises ``ConfigError`` unless these could be states of ``net``: of its shapes, finite, and nothing below zero that
    counts or measures.
    """
    expected = state_arrays(States.start(ids, net, facts))
    shapes = {name: (value.shape, value.dtype) for name, value in arrays.items()}
    if shapes != {name: (value.shape, value.dtype) for name, value in expected.items()}:
        raise ConfigError(f"states of {len(ids)} series do not have the shapes of the net")
    own = {name: value.copy() for name, value in arrays.items()}
    sound = all(np.isfinite(own[name]).all() for name in ("carry", "count", "mean", "spread", "value"))
    if not sound or np.isinf(own["recent"]).any() or (own["count"] < 0).any() or (own["spread"] < 0).any():
        raise ConfigError("states hold NaN, infinity, or a count or spread below zero")
    running = Running(*(own[name] for name in vars(Running.start(0, facts))))
    return States(ids, own["last"], own["check"].view(np.uint64), running, own["carry"])
