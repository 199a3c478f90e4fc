"""A fitted Forecaster from what it saved, of one frequency or of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from forecast import persist
from forecast.aliases import EACH
from forecast.artifact import Artifact
from forecast.errors import ArtifactError
from forecast.frequencies import MISFIT
from forecast.panel.time_functions import TimeFunction, check_functions
from forecast.saved_ids import restored_ids

if TYPE_CHECKING:
    from forecast.forecaster import Forecaster


def restored(
    stored: Artifact, cls: type[Forecaster], time_features: Mapping[str, TimeFunction] | None = None
) -> Forecaster:
    """The Forecaster that ``save`` wrote as ``stored``, told its functions of time again.

    Raises ``ArtifactError`` for a damaged or foreign model, ``ConfigError`` for functions that are missing.
    """
    functions = check_functions(time_features, persist.function_names(stored.facts))
    return _several(stored, cls, functions) if persist.PARTS in stored.facts else _one(stored, cls, functions)


def _one(stored: Artifact, cls: type[Forecaster], functions: Mapping[str, TimeFunction]) -> Forecaster:
    """Of one frequency."""
    saved = persist.from_artifact(stored, functions)
    whole = cls(
        saved.models,
        saved.task.h,
        saved.panel.timeline.freq,
        season_length=saved.task.season_length,
        seed=saved.task.seed,
        progress=saved.task.progress,
        time_features=functions,
        **saved.panel.schema.options(),
    )
    whole._resume(saved)
    return whole


def _several(stored: Artifact, cls: type[Forecaster], functions: Mapping[str, TimeFunction]) -> Forecaster:
    """Of several frequencies. Raises ``ArtifactError`` where the parts do not fit together."""
    try:
        facts = stored.facts
        parts = [_one(own, cls, functions) for own in _split(stored)]
        given = facts["freq"] if facts["freq"] == EACH else dict(facts["freq"])
        first = parts[0]
        options = {**first._options(), "seed": first.seed, "progress": first.progress}
        whole = cls(first.models, first.h, given, season_length=facts["season_length"], **options)
        if whole._several is None:
            raise ArtifactError(MISFIT)
        whole._several.take_over(parts, restored_ids(stored.arrays["history"]["ids"]))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(MISFIT) from error
    return whole


def _split(stored: Artifact) -> list[Artifact]:
    """The saved model of each frequency."""
    everything = stored.facts[persist.PARTS]
    if not isinstance(everything, list) or not everything:
        raise ArtifactError(MISFIT)
    return [Artifact(facts, _own(stored.arrays, f"{number}.")) for number, facts in enumerate(everything)]


def _own(arrays: Mapping[str, Mapping[str, Any]], prefix: str) -> dict[str, dict[str, Any]]:
    return {
        group: {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
        for group, named in arrays.items()
    }
