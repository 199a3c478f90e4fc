"""Run the training of one net: Lightning's trainer, quiet, with our callbacks."""

from __future__ import annotations

import hashlib
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor, nn

from forecast.allocator import keep_freed_memory
from forecast.errors import ConfigError, TrainingError, out_of_memory, printable
from forecast.filenames import folder_name
from forecast.nets.facts import Facts
from forecast.progress import progress as progress_bar
from forecast.training.curve import CurvePoint
from forecast.training.finder import RateCurve, sweep
from forecast.training.keeper import Keeper, ResumeOptimizer, as_best
from forecast.training.module import ForecastModule, ValidationChunks
from forecast.training.plateau import Plateau
from forecast.training.runtime import device_type, in_bf16, threads
from forecast.training.schedule import Budget, Chunks
from forecast.training.settings import Training
from forecast.training.source import Source
from forecast.training.stream_source import StreamSource


@dataclass(frozen=True)
class Job:
    """One training: what is trained, how, from which seed, and what to show of it.

    ``architecture`` is what the net was built from; together with the data it tells one job from another, and so does
    ``start``, the digest of the weights that training begins with where those are not new.
    """

    architecture: object
    facts: Facts
    training: Training
    seed: int = 0
    label: str = "net"
    shown: bool = False
    start: str = ""

    def fingerprint(self, source: Source | StreamSource) -> str:
        """Identifies the job and its data, so that only the same job is ever resumed."""
        parts = (self.architecture, self.facts, sorted(self.training.recipe.items()), self.seed)
        digest = hashlib.sha256(repr(parts).encode() + self.start.encode())
        for part in source.content():
            digest.update(part)
        return digest.hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What training gave: the curves, which point the best weights are from, and the peak learning rate.

    ``kept`` are the weights at every point that the model is made of, the best one among them, by step.
    """

    curves: tuple[CurvePoint, ...]
    best_step: int
    steps: int
    seconds: float
    learning_rate: float | None = None
    kept: dict[int, dict[str, Tensor]] = field(default_factory=dict)


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
def honest_ends(batch_size: int) -> Iterator[None]:
    """Whatever ends training early says so to those outside.

    Lightning makes exit code 1 of Ctrl-C and 0, as if all were well, of SIGTERM, which it hears at the end of a period
    only: here Ctrl-C stays ``KeyboardInterrupt``, and SIGTERM is 143, at once unless somebody else listens to it.
    Memory that ran out is a ``TrainingError`` with the way out.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise TrainingError(
            f"Memory ran out while training with batch_size={batch_size}; no model was made. Lower batch_size, or "
            "choose a smaller net or input_size."
        ) from error
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, _: object) -> NoReturn:
    """What was saved is whole, and what is being saved removes its temporary file on the way out."""
    raise SystemExit(128 + number)


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


def train(net: nn.Module, source: Source | StreamSource, job: Job) -> Outcome:
    """Train ``net`` in place and leave the best weights in it.

    The global random state is left as it was. Raises ``TrainingError`` when a gradient is not finite.
    """
    keep_freed_memory()
    training = job.training
    budget = training.budget()
    folder, fingerprint = None, ""
    if training.checkpoint_dir is not None:
        fingerprint = job.fingerprint(source)
        folder = Path(training.checkpoint_dir) / f"{folder_name(job.label)}-{fingerprint[:12]}"
    plateau = Plateau(training.plateau_factor, training.plateau_patience) if training.schedule == "plateau" else None
    keeper = Keeper(training.patience, folder, fingerprint, plateau, training.snapshots)
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices), quiet_lightning(), threads(training.threads):
        module = ForecastModule(net, source, job.facts, training, budget, job.seed)
        slots = keeper.restore(module)
        callbacks: list[pl.Callback] = [keeper, Bar(job.label, job.shown)]
        if slots is not None:
            callbacks.append(ResumeOptimizer(slots))
        if not keeper.finished:
            with honest_ends(training.batch_size):
                _fit(module, job, callbacks, budget)
        as_best(module, keeper)
    net.eval()
    net.cpu()
    best = keeper.best_point
    if best is None:
        raise TrainingError(f"{job.label}: the training budget left no time for a single step. Raise max_time.")
    curves = tuple(keeper.curves)
    return Outcome(curves, best.step, module.done, budget.elapsed(), module.learning_rate, keeper.kept)


def rate_curve(net: nn.Module, source: Source | StreamSource, job: Job) -> RateCurve:
    """Sweep the learning rate on what :func:`train` would train; ``net`` and the random state are left as they were."""
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices), quiet_lightning(), threads(job.training.threads):
        module = ForecastModule(net, source, job.facts, job.training, job.training.budget(), job.seed)
        trainer = _trainer(job.training, logger=False)
        curve = sweep(module, trainer.strategy.root_device)
    net.cpu()
    return curve


def _fit(module: ForecastModule, job: Job, callbacks: list[pl.Callback], budget: Budget) -> None:
    training = job.training
    held_out = ValidationChunks(len(module.source.validation))
    logger = (
        CSVLogger(str(training.log_dir), name=folder_name(job.label), version="")
        if training.log_dir is not None
        else False
    )
    trainer = _trainer(
        training,
        max_epochs=-1,
        precision="bf16-mixed" if in_bf16(training.precision, device_type(training.accelerator)) else "32-true",
        logger=logger,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
    )
    if module.learning_rate is None:
        module.learning_rate = sweep(module, trainer.strategy.root_device).suggestion
    trainer.fit(module, Chunks(budget, training.course, module.done), held_out if len(held_out) else None)


def _trainer(training: Training, **options: Any) -> pl.Trainer:
    """Lightning's trainer on one device. Raises ``ConfigError`` when this machine has none of the kind asked for."""
    try:
        return pl.Trainer(accelerator=training.accelerator, devices=1, **options)
    except (MisconfigurationException, ModuleNotFoundError) as error:
        raise ConfigError(
            f"accelerator={training.accelerator!r} cannot be used on this machine ({printable(str(error), 200)}). "
            "Choose accelerator='cpu', or 'auto' for the best there is."
        ) from error
