"""Run the training of one net: Lightning's trainer, quiet, with our callbacks."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch import nn

from forecast.errors import TrainingError
from forecast.nets.facts import Facts
from forecast.progress import progress as progress_bar
from forecast.training.keeper import CurvePoint, Keeper, ResumeOptimizer, as_best
from forecast.training.module import ForecastModule, ValidationChunks
from forecast.training.runtime import keep_freed_memory, threads
from forecast.training.schedule import Budget, Chunks
from forecast.training.settings import Training
from forecast.training.source import Source


@dataclass(frozen=True)
class Job:
    """One training: what is trained, how, from which seed, and what to show of it.

    ``architecture`` is what the net was built from; together with the data it tells one job from another.
    """

    architecture: object
    facts: Facts
    training: Training
    seed: int = 0
    label: str = "net"
    shown: bool = False

    def fingerprint(self, source: Source) -> str:
        """Identifies the job and its data, so that only the same job is ever resumed."""
        parts = (self.architecture, self.facts, sorted(self.training.recipe.items()), self.seed)
        digest = hashlib.sha256(repr(parts).encode())
        digest.update(source.store.values.numpy().tobytes())
        digest.update(source.store.offsets.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What training gave: the curves, and which point the weights are from."""

    curves: tuple[CurvePoint, ...]
    best_step: int
    steps: int
    seconds: float


class Bar(pl.Callback):
    """Shows how far training has come, in thousandths of its budget."""

    def __init__(self, label: str, shown: bool) -> None:
        self.label = label
        self.shown = shown
        self.told = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        self._context = progress_bar(self.label, 1000, self.shown)
        self._advance = self._context.__enter__()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Move the bar."""
        if isinstance(pl_module, ForecastModule):
            reached = int(1000 * pl_module.budget.progress(pl_module.done))
            if reached > self.told:
                self._advance(reached - self.told)
                self.told = reached

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar, full: stopping early is also an end."""
        self._advance(1000 - self.told)
        self._context.__exit__(None, None, None)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar where it stands."""
        if hasattr(self, "_context"):
            self._context.__exit__(None, None, None)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning's banners, tips and data-loader advice do not apply here."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    rank = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    rank_level = rank.level
    rank.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"pytorch_lightning\..*")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
        rank.setLevel(rank_level)


def train(net: nn.Module, source: Source, job: Job) -> Outcome:
    """Train ``net`` in place and leave the best weights in it.

    The global random state is left as it was. Raises ``TrainingError`` when a gradient is not finite.
    """
    keep_freed_memory()
    training = job.training
    budget = training.budget()
    folder, fingerprint = None, ""
    if training.checkpoint_dir is not None:
        fingerprint = job.fingerprint(source)
        folder = Path(training.checkpoint_dir) / f"{job.label}-{fingerprint[:12]}"
    keeper = Keeper(training.patience, folder, fingerprint)
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices), quiet_lightning(), threads(training.threads):
        module = ForecastModule(net, source, job.facts, training, budget, job.seed)
        slots = keeper.restore(module)
        callbacks: list[pl.Callback] = [keeper, Bar(job.label, job.shown)]
        if slots is not None:
            callbacks.append(ResumeOptimizer(slots))
        if not keeper.finished:
            _fit(module, job, callbacks, budget)
        as_best(module, keeper)
    net.eval()
    net.cpu()
    best = keeper.best_point
    if best is None:
        raise TrainingError(f"{job.label}: the training budget left no time for a single step. Raise max_time.")
    return Outcome(tuple(keeper.curves), best.step, module.done, budget.elapsed())


def _fit(module: ForecastModule, job: Job, callbacks: list[pl.Callback], budget: Budget) -> None:
    training = job.training
    held_out = ValidationChunks(len(module.source.validation))
    logger = CSVLogger(str(training.log_dir), name=job.label, version="") if training.log_dir is not None else False
    trainer = pl.Trainer(
        max_epochs=-1,
        accelerator=training.accelerator,
        devices=1,
        precision="bf16-mixed" if training.precision == "bf16" else "32-true",
        logger=logger,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, Chunks(budget, training.schedule, module.done), held_out if len(held_out) else None)
