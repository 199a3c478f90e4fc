"""A learning rate from the data: steps at growing rates show where the loss falls and where it breaks (Smith 2015,
"Cyclical Learning Rates for Training Neural Networks", arXiv 1506.01186, "LR range test").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from forecast.errors import TrainingError
from forecast.training.runtime import in_bf16

if TYPE_CHECKING:
    from forecast.model import Task
    from forecast.nets.facts import Architecture
    from forecast.panel.panel import Panel
    from forecast.training.module import ForecastModule
    from forecast.training.settings import Training

Float = npt.NDArray[np.float64]

LOWEST, HIGHEST, STEPS = 1e-5, 1.0, 100
BROKEN = 1.0  # the loss has doubled
SMOOTHED = 9  # steps
NEARLY = 0.1  # share of the whole fall
USUAL = 4e-3  # where no rate lowers the loss


@dataclass(frozen=True)
class RateCurve:
    """What the loss did while the learning rate grew.

    Attributes:
        rates: the rate of each step, growing by a constant factor. The last are missing where the loss broke earlier.
        losses: the loss of each step's batch, before the step.
        untouched: the loss of the same batch with the weights as they were before the first step.
        suggestion: the rate to train with.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    untouched: tuple[float, ...]
    suggestion: float


def find_learning_rate(architecture: Architecture, panel: Panel, task: Task, training: Training) -> RateCurve:
    """Sweep the learning rate of ``architecture`` on the training windows of ``panel``, as ``auto`` does.

    The net is new, from ``task.seed``; the global random state is left as it was. Runs where ``training.accelerator``
    says. Raises ``DataError`` when no series is long enough, ``TrainingError`` when the very first gradient is not
    finite.
    """
    from forecast.training.neural import Neural
    from forecast.training.run import Job, rate_curve

    prepared = Neural(architecture, training).prepare(panel, task)
    return rate_curve(prepared.net, prepared.source, Job(architecture, prepared.facts, training, task.seed))


def sweep(module: ForecastModule, device: torch.device) -> RateCurve:
    """Train ``module`` on ``device`` for ``STEPS`` steps at growing rates, then put its weights back.

    Uses the batches and the random numbers that training will begin with; leaves other random state to the caller.
    """
    module.to(device)
    module.on_fit_start()
    net = module.net.train()
    before = {name: value.detach().clone() for name, value in net.state_dict().items()}
    optimizer: Any = module.configure_optimizers()
    all_rates = np.geomspace(LOWEST, HIGHEST, STEPS).tolist()
    rates, losses = [], []
    with torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(module.settings.precision, device.type)):
        with torch.no_grad():
            untouched = [float(module.loss_at(step, 0.0)) for step in range(STEPS)]
        net.load_state_dict(before)  # a net may carry a state from step to step
        unit = float(np.abs(untouched).mean())
        for step, rate in enumerate(all_rates):
            try:
                losses.append(float(module.learn(optimizer, step, rate, 0.0)))
            except TrainingError:
                if not losses:
                    raise
                break
            rates.append(rate)
            if not losses[-1] - untouched[step] <= BROKEN * unit:
                break
    net.load_state_dict(before)
    untouched = untouched[: len(rates)]
    return RateCurve(tuple(rates), tuple(losses), tuple(untouched), suggestion(rates, losses, untouched))


def suggestion(rates: Sequence[float], losses: Sequence[float], untouched: Sequence[float]) -> float:
    """The middle, on a logarithmic scale, between the rate by which half of the fall of the loss is done and the
    bottom, where it has nearly all been.

    The fall is that against the same batches without training, so that an easy batch is no merit of a rate. The
    bottom is the mean (of logarithms) of all rates within ``NEARLY`` of the lowest: flat bottoms have no one lowest
    point. A rate of 4e-3 where training lowered no loss.
    """
    change = np.asarray(losses) - np.asarray(untouched)
    finite = np.isfinite(change)
    change, log_rates = _smooth(change[finite]), np.log(np.asarray(rates)[finite])
    lowest = change.min(initial=0.0)
    if not lowest < 0.0:
        return USUAL
    bottom = float(log_rates[change <= (1.0 - NEARLY) * lowest].mean())
    half = float(log_rates[int(np.argmax(change <= 0.5 * lowest))])
    return float(np.exp(0.5 * (half + bottom)))


def _smooth(values: Float) -> Float:
    """Centred moving mean, its ends over what there is."""
    box = np.ones(min(SMOOTHED, max(1, values.size)))
    total: Float = np.convolve(values, box, "same")
    return total / np.convolve(np.ones_like(values), box, "same")
