"""How to train: taste, with defaults that suit most panels."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from forecast.errors import ConfigError
from forecast.training.schedule import SCHEDULES, Budget, Schedule

AUTO = "auto"
LOSSES = ("mase", "smape", "mae", "mse", "huber", "quantile")
CLIPS = ("norm", "value")
AVERAGES = ("none", "ema", "swa")
SAMPLINGS = ("windows", "series")
PRECISIONS = ("auto", "32", "bf16")
DEFAULT_MAX_STEPS = 12_000
DEFAULT_MAX_TIME = 170.0


@dataclass(frozen=True)
class Training:
    """Training settings; every field is also a key of ``conf/trainer/default.yaml``.

    Args:
        batch_size: windows in a step; an eighth as many series for a net that learns from whole series (ES-RNN).
        learning_rate: peak of the schedule. ``auto`` looks for it first, on a hundred steps or fewer that are then
            taken back (:func:`~forecast.training.finder.find_learning_rate`); their seconds count.
        weight_decay: AdamW's.
        max_steps: optimiser steps. With ``max_time`` alone, as many as fit.
        max_time: seconds of training, validation included. Where the clock decides, two runs differ slightly; with
            ``max_steps`` alone they are bit-equal. With neither given, 12,000 steps or 170 seconds, whichever is first.
        schedule: the learning rate over the budget: ``cycles`` of cosines, each twice as long as the one before;
            ``cosine``, one of them; ``one_cycle``, up, down and out; ``plateau``, constant until validation stalls.
        cycles: cycles of ``cycles``, or stretches of equal length of ``plateau``; the others are one cycle.
        warmup: share of a cycle spent warming up; ``one_cycle`` has its own way up.
        plateau_factor: what ``plateau`` multiplies the rate by.
        plateau_patience: validations in a row without a better one after which it does.
        gradient_clip: largest gradient; ``None`` leaves gradients alone.
        gradient_clip_by: what that bounds: the ``norm`` of the whole gradient, which keeps its direction, or the
            ``value`` of each single derivative.
        averaging: average of the weights, which is what validation judges and the model keeps: ``none``, ``ema`` (an
            exponential moving average) or ``swa`` (the mean over the end of training, where the rate stays up).
        averaging_decay: decay of ``ema`` for each step.
        averaging_share: share of training, at its end, that ``swa`` averages over.
        snapshots: how many nets of one training the model is made of, at most; forecasts are their mean. 1: the best
            weights alone. More, with ``schedule=cycles``: beside them the weights at the latest other ends of cycles
            that did nearly as well in validation (Huang et al. 2017, "Snapshot Ensembles: Train 1, Get M for Free",
            arXiv 1704.00109). Training takes no longer; prediction and memory grow with the nets that are kept.
        loss: ``mase`` (absolute error over the window's seasonal naive error), ``smape`` (over the mean size of
            forecast and actual), or ``mae``, ``mse``, ``huber`` or ``quantile`` (pinball) over its mean absolute
            deviation. Nets with quantiles use the pinball loss whatever is chosen, with the weights of ``mase`` if
            that is.
        revin: a factor and a shift learned between the window and the net, and taken back of the forecast (Kim et al.
            2022, "Reversible Instance Normalization", ICLR); level and spread of the window are always taken out.
        sampling: what is drawn evenly for training: ``windows``, so that long series are seen more, or ``series``.
        recency: draw late windows of a series more often than early ones: going back by this share of its windows
            halves the chance (0.5: the first is drawn a quarter as often as the last). ``None`` draws evenly.
        stateful: train along whole series with the state carried on, instead of on windows (nets that read row by row
            only); ``batch_size`` then counts the series read side by side. New rows alone advance such a model.
        chunk: rows of each series in a step of stateful training: the state goes on beyond them, the gradient does not.
        validations: how many times validation runs in a cycle.
        patience: stop after this many whole cycles without a better validation; ``None`` never stops early.
        threads: torch threads while training; ``None`` leaves torch's own setting. One is the default: the nets are
            small, a second thread gains little, costs dearly on a shared machine, and changes the last bits.
        precision: ``32``, ``bf16`` (autocast), or ``auto``: bf16 where the processor or card computes in it natively,
            which is up to twice as fast there. Forecasts are always made in float32.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``.
        log_dir: folder for Lightning's CSV log; ``None`` writes none.
        checkpoint_dir: folder where training can resume from after a crash; ``None`` keeps nothing.

    Raises ``ConfigError`` naming every setting out of range.
    """

    batch_size: int = 128
    learning_rate: float | str = 4e-3
    weight_decay: float = 1e-2
    max_steps: int | None = None
    max_time: float | None = None
    schedule: str = "cycles"
    cycles: int = 6
    warmup: float = 0.05
    plateau_factor: float = 0.5
    plateau_patience: int = 3
    gradient_clip: float | None = 1.0
    gradient_clip_by: str = "norm"
    averaging: str = "none"
    averaging_decay: float = 0.99
    averaging_share: float = 0.25
    snapshots: int = 1
    loss: str = "mase"
    revin: bool = False
    sampling: str = "windows"
    recency: float | None = None
    stateful: bool = False
    chunk: int = 64
    validations: int = 5
    patience: int | None = 3
    threads: int | None = 1
    precision: str = "auto"
    accelerator: str = "auto"
    log_dir: str | Path | None = None
    checkpoint_dir: str | Path | None = None

    def __post_init__(self) -> None:
        wrong = [f"{name}={value!r}: {rule}" for name, value, ok, rule in self._rules() if not ok]
        if wrong:
            raise ConfigError("Training settings out of range: " + "; ".join(wrong) + ".")

    def _rules(self) -> list[tuple[str, object, bool, str]]:
        steps, seconds, clip, patience = self.max_steps, self.max_time, self.gradient_clip, self.patience
        rate, decay, tail = self.learning_rate, self.averaging_decay, self.averaging_share
        return [
            ("batch_size", self.batch_size, self.batch_size >= 1, "at least 1"),
            ("learning_rate", rate, rate == AUTO if isinstance(rate, str) else rate > 0, f"above 0, or {AUTO}"),
            ("weight_decay", self.weight_decay, self.weight_decay >= 0, "at least 0"),
            ("max_steps", steps, steps is None or steps >= 1, "at least 1, or null"),
            ("max_time", seconds, seconds is None or seconds > 0, "above 0 seconds, or null"),
            self._choice("schedule", SCHEDULES),
            ("cycles", self.cycles, 1 <= self.cycles <= 16, "from 1 to 16"),
            ("warmup", self.warmup, 0 <= self.warmup < 1, "from 0 to below 1"),
            ("plateau_factor", self.plateau_factor, 0 < self.plateau_factor < 1, "between 0 and 1, both excluded"),
            ("plateau_patience", self.plateau_patience, self.plateau_patience >= 1, "at least 1"),
            ("gradient_clip", clip, clip is None or clip > 0, "above 0, or null"),
            self._choice("gradient_clip_by", CLIPS),
            self._choice("averaging", AVERAGES),
            ("averaging_decay", decay, 0 < decay < 1, "between 0 and 1, both excluded"),
            ("averaging_share", tail, 0 < tail <= 1, "above 0, up to 1"),
            *self._several(),
            self._choice("loss", LOSSES),
            self._choice("sampling", SAMPLINGS),
            ("recency", self.recency, self.recency is None or self.recency > 0, "above 0, or null"),
            ("chunk", self.chunk, self.chunk >= 1, "at least 1"),
            *self._whole_series(),
            ("validations", self.validations, self.validations >= 1, "at least 1"),
            ("patience", patience, patience is None or patience >= 1, "at least 1, or null"),
            ("threads", self.threads, self.threads is None or self.threads >= 1, "at least 1, or null"),
            self._choice("precision", PRECISIONS),
        ]

    def _several(self) -> list[tuple[str, object, bool, str]]:
        """What keeping more than the best weights asks for: cycles that each end at a learning rate of zero."""
        count, name = self.snapshots, "snapshots"
        one, annealed = count <= 1, self.schedule == "cycles"
        why = "1 with stateful=true, where a series has one state, which belongs to one net"
        return [
            (name, count, 1 <= count <= max(1, self.cycles), f"from 1 to the number of cycles ({self.cycles})"),
            (name, count, one or annealed, f"1 with schedule={self.schedule}; only cycles has several good ends"),
            (name, count, one or not self.stateful, why),
        ]

    def _whole_series(self) -> list[tuple[str, object, bool, str]]:
        """What stateful training, which reads every series from its first row to its last, cannot draw."""
        if not self.stateful:
            return []
        why = "with stateful=true, which reads every series whole"
        return [
            ("sampling", self.sampling, self.sampling == "windows", f"windows {why}"),
            ("recency", self.recency, self.recency is None, f"null {why}"),
        ]

    def _choice(self, name: str, choices: tuple[str, ...]) -> tuple[str, object, bool, str]:
        value = getattr(self, name)
        return name, value, value in choices, f"one of {', '.join(choices)}"

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that shape the model, as plain values: folders are left out."""
        return asdict(replace(self, log_dir=None, checkpoint_dir=None))

    @property
    def course(self) -> Schedule:
        """Learning rate and validations over the budget."""
        averaged = self.averaging_share if self.averaging == "swa" else 0.0
        return Schedule(self.cycles, self.validations, self.warmup, self.schedule, averaged)

    def budget(self) -> Budget:
        """A fresh budget that starts now."""
        if self.max_steps is None and self.max_time is None:
            return Budget(DEFAULT_MAX_STEPS, DEFAULT_MAX_TIME)
        return Budget(self.max_steps, self.max_time)
