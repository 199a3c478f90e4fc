"""How to train: taste, with defaults that suit most panels."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from forecast.errors import ConfigError
from forecast.training.schedule import Budget, Schedule

LOSSES = ("mase", "mae", "mse", "huber")
PRECISIONS = ("32", "bf16")
DEFAULT_MAX_STEPS = 12_000
DEFAULT_MAX_TIME = 170.0


@dataclass(frozen=True)
class Training:
    """Training settings; every field is also a key of ``conf/trainer/default.yaml``.

    Args:
        batch_size: windows in a step.
        learning_rate: peak of every cycle of the schedule (linear warm-up, then cosine to zero).
        weight_decay: AdamW's.
        max_steps: optimiser steps. With ``max_time`` alone, as many as fit.
        max_time: seconds of training, validation included. Where the clock decides, two runs differ slightly; with
            ``max_steps`` alone they are bit-equal. With neither given, 12,000 steps or 170 seconds, whichever is first.
        cycles: cosine cycles, each twice as long as the one before; 1 is a plain cosine.
        warmup: share of a cycle spent warming up.
        gradient_clip: largest gradient norm; ``None`` leaves gradients alone.
        average: decay of the moving average of the weights, which is what validation judges and the model keeps;
            0 keeps the weights themselves.
        loss: ``mase`` (absolute error over the window's seasonal naive error), ``mae``, ``mse`` or ``huber`` (over its
            mean absolute deviation). Nets with quantiles use the pinball loss, with the weights of ``mase`` if chosen.
        validations: how many times validation runs in a cycle.
        patience: stop after this many whole cycles without a better validation; ``None`` never stops early.
        threads: torch threads while training; ``None`` leaves torch's own setting. One is the default: the nets are
            small, a second thread gains little, costs dearly on a shared machine, and changes the last bits.
        precision: ``32``, or ``bf16`` (autocast), faster on processors and cards that have it.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``.
        log_dir: folder for Lightning's CSV log; ``None`` writes none.
        checkpoint_dir: folder where training can resume from after a crash; ``None`` keeps nothing.

    Raises ``ConfigError`` naming every setting out of range.
    """

    batch_size: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    max_steps: int | None = None
    max_time: float | None = None
    cycles: int = 6
    warmup: float = 0.05
    gradient_clip: float | None = 1.0
    average: float = 0.0
    loss: str = "mase"
    validations: int = 5
    patience: int | None = 3
    threads: int | None = 1
    precision: str = "32"
    accelerator: str = "auto"
    log_dir: str | Path | None = None
    checkpoint_dir: str | Path | None = None

    def __post_init__(self) -> None:
        wrong = [f"{name}={value!r}: {rule}" for name, value, ok, rule in self._rules() if not ok]
        if wrong:
            raise ConfigError("Training settings out of range: " + "; ".join(wrong) + ".")

    def _rules(self) -> list[tuple[str, object, bool, str]]:
        steps, seconds, clip, patience = self.max_steps, self.max_time, self.gradient_clip, self.patience
        return [
            ("batch_size", self.batch_size, self.batch_size >= 1, "at least 1"),
            ("learning_rate", self.learning_rate, self.learning_rate > 0, "above 0"),
            ("weight_decay", self.weight_decay, self.weight_decay >= 0, "at least 0"),
            ("max_steps", steps, steps is None or steps >= 1, "at least 1, or null"),
            ("max_time", seconds, seconds is None or seconds > 0, "above 0 seconds, or null"),
            ("cycles", self.cycles, 1 <= self.cycles <= 16, "from 1 to 16"),
            ("warmup", self.warmup, 0 <= self.warmup < 1, "from 0 to below 1"),
            ("gradient_clip", clip, clip is None or clip > 0, "above 0, or null"),
            ("average", self.average, 0 <= self.average < 1, "from 0 to below 1"),
            ("loss", self.loss, self.loss in LOSSES, f"one of {', '.join(LOSSES)}"),
            ("validations", self.validations, self.validations >= 1, "at least 1"),
            ("patience", patience, patience is None or patience >= 1, "at least 1, or null"),
            ("threads", self.threads, self.threads is None or self.threads >= 1, "at least 1, or null"),
            ("precision", self.precision, self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
        ]

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that shape the model, as plain values: folders are left out."""
        return asdict(replace(self, log_dir=None, checkpoint_dir=None))

    @property
    def schedule(self) -> Schedule:
        """Learning rate and validations over the budget."""
        return Schedule(self.cycles, self.validations, self.warmup)

    def budget(self) -> Budget:
        """A fresh budget that starts now."""
        if self.max_steps is None and self.max_time is None:
            return Budget(DEFAULT_MAX_STEPS, DEFAULT_MAX_TIME)
        return Budget(self.max_steps, self.max_time)
