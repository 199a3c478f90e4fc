"""The one LightningModule: a thin shell around net, loss and windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from forecast.errors import TrainingError
from forecast.nets.facts import Facts
from forecast.nets.forks import Forking
from forecast.nets.own_loss import OwnLoss
from forecast.nets.scaling import Scaled, scale_window
from forecast.training.average import WeightAverage
from forecast.training.gradients import GradientNorms, Gradients
from forecast.training.losses import cell_loss, mean_size, seasonal_error, weighted_mean
from forecast.training.schedule import Budget
from forecast.training.settings import Training
from forecast.training.source import Source
from forecast.training.stream_source import Judged, StreamSource, Stretch
from forecast.windows.gather import Batch

VALIDATION_BATCH = 1024


class ValidationChunks:
    """Ranges of validation windows, few enough at a time to fit the caches. Lightning wants an iterable of its own."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return -(-self.count // VALIDATION_BATCH)

    def __iter__(self) -> Iterator[range]:
        for start in range(0, self.count, VALIDATION_BATCH):
            yield range(start, min(start + VALIDATION_BATCH, self.count))


class ForecastModule(pl.LightningModule):
    """Steps and logging; nothing about architectures, data or schedules' choice lives here.

    Optimisation is manual so that several optimiser steps share one trip through Lightning's hooks. Every step is
    a pure function of (weights, optimiser state, seed, step number, learning rate): that is what makes resuming exact.
    ``learning_rate`` is the peak of the schedule, ``None`` until it is found; ``cut`` is what validation left of it.
    """

    def __init__(
        self, net: nn.Module, source: Source | StreamSource, facts: Facts, training: Training, budget: Budget, seed: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.source = source.with_zeros() if training.loss == "smape" and not facts.probs else source
        self.settings = training
        self.budget = budget
        self.schedule = training.course
        self.learning_rate = None if isinstance(training.learning_rate, str) else training.learning_rate
        self.cut = 1.0
        self.seed = seed
        self.cell_loss = cell_loss(training.loss, facts.probs)
        self.season = facts.seasons[0] if facts.seasons else 1
        self.done = 0
        self.average = self._new_average()
        self.resumed_average: tuple[list[Tensor], int] | None = None
        self.gradients = Gradients(net, training.gradient_clip, training.gradient_clip_by)
        self._reset()

    def _new_average(self) -> WeightAverage:
        settings = self.settings
        return WeightAverage(self.net, settings.averaging, settings.averaging_decay, settings.averaging_share)

    def _reset(self) -> None:
        self._loss = torch.zeros((), device=self.device)
        self._since = 0
        self.gradients.reset(self.device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over everything; each step sets its learning rate."""
        return torch.optim.AdamW(self.net.parameters(), weight_decay=self.settings.weight_decay, fused=True)

    def on_fit_start(self) -> None:
        """Bring the whole panel to the device once: gather and scaling then run there."""
        self.source = self.source.to(self.device)
        self.average = self._new_average()
        if self.resumed_average is not None:
            self.average.load(*self.resumed_average)
        self._reset()

    def transfer_batch_to_device(self, batch: range, device: torch.device, dataloader_idx: int) -> range:
        """Batches are step numbers: there is nothing to move."""
        return batch

    def training_step(self, steps: range, _: int) -> None:
        """Run the optimiser steps of one chunk."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        for step in steps:
            self._optimise(optimizer, step)
        self.done = steps.stop

    def _optimise(self, optimizer: Any, step: int) -> None:
        if self.learning_rate is None:
            raise ValueError("the learning rate has not been found yet")
        progress = self.budget.progress(step)
        rate = self.learning_rate * self.cut * self.schedule.learning_rate_share(progress)
        self._loss += self.learn(optimizer, step, rate, progress)
        self._since += 1
        self.average.update(step, progress)

    def learn(self, optimizer: Any, step: int, rate: float, progress: float) -> Tensor:
        """One optimiser step at learning rate ``rate`` on the batch of ``step``; gives the loss before it.

        Raises ``TrainingError`` for a gradient that is not finite; on a card, where looking would cost a wait, that
        is left to the next validation.
        """
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = self.loss_at(step, progress)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = self.gradients.clip()
        if norm.device.type == "cpu" and not math.isfinite(norm.item()):
            raise TrainingError(self._broken(step, loss))
        optimizer.step()
        return loss.detach()

    def loss_at(self, step: int, progress: float) -> Tensor:
        """The loss on the batch of ``step``."""
        torch.manual_seed(self.seed * 1_000_003 + step)  # dropout and teacher forcing of this step
        return self._batch_loss(self.source.batch(self.settings.batch_size, self.seed, step, progress))

    def _broken(self, step: int, loss: Tensor) -> str:
        return (
            f"Training met a non-finite gradient at step {step} (loss {loss.item():.4g}); no model was made. "
            "Lower learning_rate, set gradient_clip, or look for extreme values in the target."
        )

    def _batch_loss(self, batch: Batch | Stretch) -> Tensor:
        if isinstance(batch, Stretch):
            return self.loss_of_rows(self.net(batch))
        scaled = self._scaled(batch)
        if isinstance(self.net, OwnLoss):
            return self._own_loss(self.net, scaled)
        if isinstance(self.net, Forking):
            forks = self.net.forked(scaled.batch)
            weight = forks.weight * self._window_weight(scaled).unsqueeze(-1)
            return weighted_mean(self._errors(forks.output, forks.future, scaled), weight)
        return self.loss_of(self.net(scaled.batch), scaled)

    def _scaled(self, batch: Batch) -> Scaled:
        return self.source.scaled(batch) if isinstance(self.source, Source) else scale_window(batch)

    def loss_of(self, output: Tensor, scaled: Scaled) -> Tensor:
        """Mean loss over the known cells of the future, each window by its weight."""
        future = scaled.batch.future
        if future is None:
            raise ValueError("a loss needs the future of the window")
        weight = self._window_weight(scaled)
        if scaled.batch.future_observed is not None:
            weight = weight * scaled.batch.future_observed
        return weighted_mean(self._errors(output, future, scaled), weight)

    def _errors(self, output: Tensor, future: Tensor, scaled: Scaled) -> Tensor:
        """The error of each cell, (B, h) or (B, forks, h); relative to the size of its values for sMAPE."""
        errors = self.cell_loss(output, future)
        if scaled.batch.zero is None:
            return errors
        per_window = (-1,) + (1,) * (future.ndim - 1)
        spread = scaled.scale.view(per_window) if scaled.levels else 1.0
        return errors / mean_size(output, future, scaled.batch.zero.view(per_window), spread)

    def loss_of_rows(self, judged: Judged) -> Tensor:
        """Mean loss over the known cells ahead of rows of whole series, each row by its weight."""
        output, ahead = judged
        errors = self.cell_loss(output, ahead.future)
        if self.settings.loss == "smape" and output.shape[-1] == 1:
            errors = errors / mean_size(output, ahead.future, ahead.zero)
        return weighted_mean(errors, ahead.weight / ahead.error if self.settings.loss == "mase" else ahead.weight)

    def _own_loss(self, net: OwnLoss, scaled: Scaled) -> Tensor:
        cells = net.own_loss(scaled.batch)
        return weighted_mean(cells.error, cells.weight * (scaled.scale > 0))

    def _window_weight(self, scaled: Scaled) -> Tensor:
        """What each window counts (B, 1): nothing where the past is constant, because a constant forecasts itself."""
        weight = (scaled.scale > 0).to(scaled.batch.past.dtype)
        if self.settings.loss != "mase":
            return weight
        return weight / seasonal_error(scaled.batch.past, scaled.batch.observed, self.season)

    def on_validation_start(self) -> None:
        """Validation judges the averaged weights: they are what is kept."""
        self.average.swap()

    def on_validation_end(self) -> None:
        """Training goes on from its own."""
        self.average.swap()

    def validation_step(self, chunk: range, _: int) -> None:
        """Mean loss over one chunk of validation windows, in float32 as forecasts are made."""
        with torch.autocast(self.device.type, enabled=False):
            loss = self._validation_loss(slice(chunk.start, chunk.stop))
        self.log("validation_loss", loss, batch_size=len(chunk), logger=False)

    def _validation_loss(self, chosen: slice) -> Tensor:
        if isinstance(self.source, StreamSource):
            return self.loss_of_rows(self.source.judge(self.net, self.source.validation[chosen]))
        scaled = self._scaled(self.source.at(self.source.validation[chosen]))
        if isinstance(self.net, OwnLoss):
            return self._own_loss(self.net, scaled)
        blind = scaled.batch._replace(future=None, future_observed=None)
        return self.loss_of(self.net(blind), scaled)

    def train_averages(self) -> tuple[float, GradientNorms]:
        """Mean loss and gradient norms since the last call."""
        result = float(self._loss) / max(1, self._since), self.gradients.norms()
        self._reset()
        return result
