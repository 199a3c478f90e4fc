"""What the arguments of the front door may be: budgets, and models in all their spellings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from forecast.errors import ConfigError
from forecast.model import Model
from forecast.models import as_model, build, name_of, named_training, plain

if TYPE_CHECKING:
    from forecast.training.settings import Training


def budgeted(training: Training | str | None, max_steps: int | None, max_time: float | None) -> Training:
    """``training`` (or the defaults) with the budget that was given directly, every value of the stated type."""
    from forecast.training.settings import Training

    if isinstance(training, str):
        training = named_training(training)
    if training is not None and not isinstance(training, Training):
        raise ConfigError(f"training={training!r} is not a forecast.Training object, nor the name of one.")
    chosen = training or Training()
    values = {f.name: plain(getattr(chosen, f.name)) for f in fields(chosen)}
    given = (("max_steps", max_steps), ("max_time", max_time))
    settings: Training = build(Training, values | {key: plain(value) for key, value in given if value is not None})
    return settings


def named_models(model: Any, training: Training) -> dict[str, Model]:
    """Column name -> model, for everything the ``model`` argument of :class:`Forecaster` may be."""
    if isinstance(model, Mapping):
        named = {str(name): as_model(spec, str(name), training) for name, spec in model.items()}
    else:
        specs = list(model) if isinstance(model, (list, tuple)) else [model]
        named = {}
        for spec in specs:
            base = spec if isinstance(spec, str) else name_of(spec)
            name, number = base, 2
            while name in named:
                name, number = f"{base}{number}", number + 1
            named[name] = as_model(spec, name, training)
    if not named:
        raise ConfigError("model is empty: name at least one.")
    return named
