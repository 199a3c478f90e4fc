"""A recurrent net trained and run along whole series: its state is kept, so a forecast needs new rows alone."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch

from forecast.conformal import calibrate
from forecast.errors import ConfigError, ForecastWarning
from forecast.model import Task
from forecast.nets.facts import Facts, Needs
from forecast.nets.stream import Streaming, StreamNet, top, why_not
from forecast.nets.summary import layer_table, parameter_count
from forecast.panel.panel import Panel
from forecast.training.history import history_of
from forecast.training.neural import (
    FittedNeural,
    Prepared,
    chunks,
    derived_input_size,
    supported_seasons,
    trained_probs,
)
from forecast.training.runtime import threads
from forecast.training.states import States, advance, first_known, resumable, resumed
from forecast.training.stream_source import Carried, Judged, StreamSource, build_stream_source
from forecast.windows.store import has_unknown

if TYPE_CHECKING:
    from forecast.training.neural import Neural
    from forecast.training.run import Outcome

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


def prepare(model: Neural, panel: Panel, task: Task) -> Prepared:
    """Everything up to training along the series of ``panel``; the net is new from ``task.seed``.

    Raises ``DataError`` when no series is long enough.
    """
    settings = model.training
    facts = stream_facts(model, panel, task)
    source = build_stream_source(
        panel, facts, task.season_length, task.val_size, settings.batch_size, settings.chunk, task.seed
    )
    if not len(source.validation) and task.val_size is None:
        warnings.warn(
            f"{model.name}: no series is long enough to hold out {task.h} rows; the last weights are kept and "
            "intervals rest on rows that were trained on, so they may be too narrow.",
            ForecastWarning,
            stacklevel=5,
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        net = streaming(model.architecture, model.name).stream(facts)
    return Prepared(source, facts, Carried(net, source.lanes.count))


def finish(model: Neural, panel: Panel, trained: Prepared, outcome: Outcome) -> FittedStateful:
    """Calibrate the intervals of a net that was trained, and read every series of ``panel`` to its end."""
    source, facts, carried, *_ = trained
    if not isinstance(source, StreamSource) or not isinstance(carried, Carried):
        raise TypeError("only what was prepared for stateful training can be finished here")
    net, held_out = carried.net, len(source.validation) > 0
    with torch.inference_mode():
        judged = source.judge(carried, source.validation if held_out else source.trained())
    rows, forecasts = int(source.lanes.lengths.sum()), len(judged.output) if held_out else 0
    fitted = FittedStateful(
        model.architecture,
        facts,
        net,
        intervals=None if facts.probs else calibrate(residuals(judged)),
        history=history_of(outcome, model.training, rows, forecasts),
        states=States.start(panel.ids[:0], net, facts),
    )
    return fitted.advanced(panel)


def streaming(architecture: object, name: str) -> Streaming:
    """``architecture``, which can be trained along whole series. Raises ``ConfigError`` for one that cannot."""
    reason = why_not(architecture)
    if reason or not isinstance(architecture, Streaming):
        raise ConfigError(f"{name}: {type(architecture).__name__} cannot be trained with stateful=true: {reason}.")
    return architecture


def stream_facts(model: Neural, panel: Panel, task: Task) -> Facts:
    """Sizes of a net that reads whole series; ``input_size`` is how many rows level and spread are averaged over."""
    seasons = supported_seasons(panel, task)
    input_size = model.architecture.input_size or derived_input_size(panel, task, seasons, Needs())
    begun = panel.slice(first_known(panel), panel.lengths)
    return Facts(
        input_size=input_size,
        h=task.h,
        channels=2 if has_unknown(begun) else 1,
        seasons=tuple(m for m in seasons if m <= input_size),
        probs=trained_probs(model.architecture.quantiles),
    )


def residuals(judged: Judged) -> Float:
    """Errors of the point forecast in running spreads, (N, h); NaN where the actual is unknown."""
    error = (judged.output[..., 0] - judged.ahead.future).cpu().numpy().astype(np.float64)
    return np.where(judged.ahead.weight.cpu().numpy() > 0, error, np.nan)


@dataclass(frozen=True)
class FittedStateful(FittedNeural):
    """A trained net and the state of every series it has read: satisfies :class:`forecast.model.Fitted`.

    Forecasts depend on weights and rows alone. A series whose rows begin with those that its state has read is gone on
    with from there; any other (new, rewritten, cut short) is read from its first row. Predicting changes no state:
    :meth:`advanced` gives the model with the states of a longer history.

    ``seen`` is the panel that the states are of, when that is known: it need not be checked then.
    """

    net: StreamNet
    states: States = field(kw_only=True)
    seen: Panel | None = None

    @property
    def input_size(self) -> None:
        """It reads series from their first row, and pads none."""
        return

    def advanced(self, panel: Panel, before: Panel | None = None) -> Self:
        """The same model, its states those of the series of ``panel``.

        ``before`` vouches that the series which it shares with ``panel`` have the same rows there, with others after.
        """
        return replace(self, states=self._states_of(panel, before), seen=panel)

    def caught_up(self, panel: Panel) -> tuple[Self, Bool]:
        """:meth:`advanced`, and which series (S,) it went on with; the others were read from their first row."""
        place = resumable(self.states, panel)
        return replace(self, states=self._gone_on(panel, place), seen=panel), place >= 0

    def _states_of(self, panel: Panel, before: Panel | None = None) -> States:
        if panel is self.seen:
            return self.states
        unchanged = before is not None and before is self.seen
        return self._gone_on(panel, resumable(self.states, panel, unchanged=unchanged))

    def _gone_on(self, panel: Panel, place: Int) -> States:
        """The states of ``panel``, begun with those at ``place``."""
        return advance(self.net, self.facts, resumed(self.states, panel, place, self.net, self.facts), panel)

    def _outputs(self, panel: Panel) -> tuple[Float, Float]:
        """The net's outputs (S, h, outputs) and the running spread (S,) after the last row, in original units."""
        states = self._states_of(panel)
        hidden = top(torch.from_numpy(states.carry))
        coming = torch.from_numpy(states.running.coming(states.last, self.facts))
        outputs = np.empty((len(panel), self.facts.h, self.facts.outputs))
        # One thread: pieces are so small that on a busy machine two spend ten times as long waiting for each other.
        with torch.inference_mode(), threads(1):
            for rows in chunks(len(panel)):
                outputs[rows] = self.net.forecast(hidden[rows], coming[rows]).numpy()
        last, scale = states.running.value, states.running.scale
        return last[:, None, None] + scale[:, None, None] * outputs, scale

    def describe(self) -> dict[str, Any]:
        """Sizes, layers, learning curves."""
        facts = self.facts
        example = torch.zeros(2, 1, self.net.features), torch.zeros(2, facts.h, len(facts.seasons))
        return {
            "kind": type(self.architecture).__name__,
            "hyper_parameters": asdict(self.architecture),  # type: ignore[call-overload]
            "stateful": True,
            "input_size": facts.input_size,
            "h": facts.h,
            "seasons": list(facts.seasons),
            "parameters": parameter_count(self.net),
            "layers": layer_table(self.net, *example),
            **self.history,
        }
