"""The one LightningModule: a thin shell around net, loss and windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
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
from forecast.training.losses import cell_loss, seasonal_error, weighted_mean
from forecast.training.schedule import Budget
from forecast.training.settings import Training
from forecast.training.source import Source
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
    a pure function of (weights, optimiser state, seed, step number): that is what makes resuming exact.
    """

    def __init__(
        self, net: nn.Module, source: Source, facts: Facts, training: Training, budget: Budget, seed: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.source = source
        self.settings = training
        self.budget = budget
        self.schedule = training.schedule
        self.seed = seed
        self.cell_loss = cell_loss(training.loss, facts.probs)
        self.season = facts.seasons[0] if facts.seasons else 1
        self.done = 0
        self.average = WeightAverage(net, training.average)
        self.resumed_average: list[Tensor] | None = None
        self._reset()

    def _reset(self) -> None:
        self._loss = torch.zeros((), device=self.device)
        self._norm = torch.zeros((), device=self.device)
        self._since = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over everything."""
        return torch.optim.AdamW(
            self.net.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay, fused=True
        )

    def on_fit_start(self) -> None:
        """Bring the whole panel to the device once: gather and scaling then run there."""
        self.source = replace(self.source, store=self.source.store.to(self.device))
        self.average = WeightAverage(self.net, self.settings.average)
        if self.resumed_average is not None:
            self.average.load(self.resumed_average)
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
        progress = self.budget.progress(step)
        share = self.schedule.learning_rate_share(progress)
        for group in optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * share
        torch.manual_seed(self.seed * 1_000_003 + step)  # dropout and teacher forcing of this step
        batch = self.source.batch(self.settings.batch_size, self.seed, step, progress)
        loss = self._batch_loss(batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        limit = self.settings.gradient_clip
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), math.inf if limit is None else limit, foreach=True)
        if norm.device.type == "cpu" and not math.isfinite(norm.item()):
            raise TrainingError(self._broken(step, loss))
        optimizer.step()
        self.average.update(step)
        self._loss += loss.detach()
        self._norm += norm.detach()
        self._since += 1

    def _broken(self, step: int, loss: Tensor) -> str:
        return (
            f"Training met a non-finite gradient at step {step} (loss {loss.item():.4g}); no model was made. "
            "Lower learning_rate, set gradient_clip, or look for extreme values in the target."
        )

    def _batch_loss(self, batch: Batch) -> Tensor:
        scaled = scale_window(batch, self.source.levels)
        if isinstance(self.net, OwnLoss):
            return self._own_loss(self.net, scaled)
        if isinstance(self.net, Forking):
            forks = self.net.forked(scaled.batch)
            weight = forks.weight * self._window_weight(scaled).unsqueeze(-1)
            return weighted_mean(self.cell_loss(forks.output, forks.future), weight)
        return self.loss_of(self.net(scaled.batch), scaled)

    def loss_of(self, output: Tensor, scaled: Scaled) -> Tensor:
        """Mean loss over the known cells of the future, each window by its weight."""
        future = scaled.batch.future
        if future is None:
            raise ValueError("a loss needs the future of the window")
        weight = self._window_weight(scaled)
        if scaled.batch.future_observed is not None:
            weight = weight * scaled.batch.future_observed
        return weighted_mean(self.cell_loss(output, future), weight)

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
        """Mean loss over one chunk of validation windows."""
        batch = self.source.at(self.source.validation[chunk.start : chunk.stop])
        scaled = scale_window(batch, self.source.levels)
        if isinstance(self.net, OwnLoss):
            loss = self._own_loss(self.net, scaled)
        else:
            blind = scaled.batch._replace(future=None, future_observed=None)
            loss = self.loss_of(self.net(blind), scaled)
        self.log("validation_loss", loss, batch_size=len(chunk), logger=False)

    def train_averages(self) -> tuple[float, float]:
        """Mean loss and gradient norm since the last call."""
        count = max(1, self._since)
        result = float(self._loss) / count, float(self._norm) / count
        self._reset()
        return result
