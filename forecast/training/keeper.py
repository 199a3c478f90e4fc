"""What is kept while training runs: learning curves, the best weights or several, and a place to resume from."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import safetensors.torch
import torch
from torch import Tensor

from forecast.atomic import as_storage_errors, write_bytes
from forecast.errors import ForecastWarning, TrainingError, printable
from forecast.training.curve import CurvePoint
from forecast.training.module import ForecastModule
from forecast.training.plateau import Plateau
from forecast.training.snapshots import above, chosen

FILE = "training.safetensors"
# Validation losses closer than this share are a tie.
TIE = 0.02


class Keeper(pl.Callback):
    """Records a point at each validation, keeps the best weights in memory, stops when patience runs out.

    Without validation windows the last weights are the best. With ``folder`` everything needed to go on is written
    there after each validation, atomically and without pickle. With ``plateau`` the learning rate follows validation.
    With more than one of ``snapshots`` the weights at other ends of cycles are kept beside the best.
    """

    def __init__(
        self,
        patience: int | None,
        folder: Path | None,
        fingerprint: str,
        plateau: Plateau | None = None,
        snapshots: int = 1,
    ) -> None:
        self.patience = patience
        self.snapshots = snapshots
        self.plateau = plateau
        self.folder = folder
        self.fingerprint = fingerprint
        self.curves: list[CurvePoint] = []
        self.kept: dict[int, dict[str, Tensor]] = {}  # by step, ascending
        self.best_point: CurvePoint | None = None
        self.finished = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning calls this after the validation that ends a period."""
        module = _ours(pl_module)
        loss, norms = module.train_averages()
        logged = trainer.callback_metrics.get("validation_loss")
        passed = max(1, module.schedule.passed(module.budget.progress(module.done)))
        point = CurvePoint(
            step=module.done,
            seconds=round(module.budget.elapsed(), 3),
            train_loss=loss,
            validation_loss=None if logged is None else float(logged),
            gradient_norm=norms.mean,
            cycle=(passed - 1) // module.schedule.validations,
            ends_cycle=module.schedule.ends_stretch(passed),
            learning_rate=float(trainer.optimizers[0].param_groups[0]["lr"]),
            gradient_peak=norms.peak,
            clipped=norms.clipped,
            layer_norms=norms.layers,
        )
        self._check_finite(point)
        self.curves.append(point)
        if self._is_better(point):
            self.best_point = point
        self._keep(point.step, module)
        self._set_cut(module)
        for logger in trainer.loggers:
            logger.log_metrics(point.flat(), step=point.step)
        self.finished = module.budget.progress(module.done) >= 1.0 or self._out_of_patience()
        if self.folder is not None:
            self._save(self.folder, trainer, module)
        if self.finished:
            trainer.should_stop = True

    def _keep(self, step: int, module: ForecastModule) -> None:
        """Hold the weights at ``step`` where they are worth it, and let go of those that no longer are."""
        steps = chosen(self.curves, self.best_point, self.snapshots)
        if step in steps:
            with module.average.applied():
                self.kept[step] = {name: value.detach().clone() for name, value in module.net.state_dict().items()}
        self.kept = {step: self.kept[step] for step in steps if step in self.kept}

    def _set_cut(self, module: ForecastModule) -> None:
        """What is left of the learning rate after the validations so far; of training losses where there are none."""
        if self.plateau is not None:
            module.cut = self.plateau.cut([point.judged for point in self.curves])

    def _check_finite(self, point: CurvePoint) -> None:
        """Refuse to go on, and to publish anything, once numbers are lost. One look a period costs no device sync."""
        values = {"training loss": point.train_loss, "gradient norm": point.gradient_norm}
        if point.validation_loss is not None:
            values["validation loss"] = point.validation_loss
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"The {name} is {value} by step {point.step}; no model was made. Lower learning_rate, set "
                    "gradient_clip, or look for extreme values in the target."
                )

    def _is_better(self, point: CurvePoint) -> bool:
        """Only ends of cycles compete: in between the learning rate is high and a good score is often luck.

        Of scores that validation can hardly tell apart, the one after more training is taken: it has seen more.
        """
        best = self.best_point
        if point.validation_loss is None or best is None or best.validation_loss is None:
            return True
        if point.ends_cycle != best.ends_cycle:
            return point.ends_cycle
        rivals = [p.validation_loss for p in self.curves if p.ends_cycle == point.ends_cycle]
        lowest = min(loss for loss in rivals if loss is not None)
        return point.validation_loss <= above(lowest, TIE)

    def _out_of_patience(self) -> bool:
        """Whether enough whole cycles have passed since the cycle of the best validation."""
        best = self.best_point
        if self.patience is None or best is None or best.validation_loss is None:
            return False
        now = self.curves[-1]
        return now.ends_cycle and now.cycle - best.cycle >= self.patience

    def _save(self, folder: Path, trainer: pl.Trainer, module: ForecastModule) -> None:
        tensors = {f"net.{name}": value for name, value in module.net.state_dict().items()}
        for step, weights in self.kept.items():
            tensors |= {f"kept.{step}.{name}": value for name, value in weights.items()}
        tensors |= {f"average.{number}": value for number, value in enumerate(module.average.mean)}
        state = trainer.optimizers[0].state_dict()["state"]
        for number, slots in state.items():
            tensors |= {f"optimizer.{number}.{slot}": value for slot, value in slots.items()}
        facts = {
            "fingerprint": self.fingerprint,
            "step": module.done,
            "learning_rate": module.learning_rate,
            "averaged_steps": module.average.count,
            "elapsed": module.budget.elapsed(),
            "finished": self.finished,
            "curves": [asdict(point) for point in self.curves],
        }
        plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        text = json.dumps(facts)
        data = safetensors.torch.save(plain, metadata={"training": text, "sha256": _digest(text, plain)})
        with as_storage_errors(folder / FILE, len(data)):
            write_bytes(folder / FILE, data)

    def _load(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The checkpoint of this very job, if there is one that can be read."""
        if self.folder is None or not (self.folder / FILE).is_file():
            return None
        path = self.folder / FILE
        try:
            facts, tensors = _read(path)
        except (safetensors.SafetensorError, ValueError, OSError) as error:
            message = f"{path} cannot be read ({printable(str(error))}); training starts from the beginning."
            warnings.warn(message, ForecastWarning, stacklevel=2)
            return None
        return (facts, tensors) if facts.get("fingerprint") == self.fingerprint else None

    def restore(self, module: ForecastModule) -> dict[int, Any] | None:
        """Put an interrupted training of the same job back; gives the optimiser state, or None for a fresh start."""
        loaded = self._load()
        if loaded is None:
            return None
        facts, tensors = loaded
        self.finished = facts["finished"]
        module.net.load_state_dict(_under(tensors, "net."))
        module.done = facts["step"]
        module.budget.elapsed_before = facts["elapsed"]
        self.kept = _by_number(_under(tensors, "kept."))
        averages = _under(tensors, "average.")
        module.resumed_average = [averages[str(n)] for n in range(len(averages))], facts["averaged_steps"]
        module.learning_rate = facts["learning_rate"]
        self.curves = [CurvePoint(**point) for point in facts["curves"]]
        self._set_cut(module)
        for point in self.curves:
            if self._is_better(point):
                self.best_point = point
        return _by_number(_under(tensors, "optimizer."))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts and tensors of a checkpoint. Raises ``ValueError`` for one of which any bit is not as it was written."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    text = metadata.get("training", "")
    if metadata.get("sha256") != _digest(text, tensors):
        raise ValueError("its checksum does not match")
    facts: dict[str, Any] = json.loads(text)
    return facts, tensors


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 over the facts and every tensor: name, type, shape and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _by_number(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """What is called ``number.name``, by number, ascending."""
    found: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        found.setdefault(int(number), {})[name] = value
    return dict(sorted(found.items()))


def _ours(module: pl.LightningModule) -> ForecastModule:
    if not isinstance(module, ForecastModule):
        raise TypeError(f"expected a ForecastModule, got {type(module).__name__}")
    return module


class ResumeOptimizer(pl.Callback):
    """Puts restored optimiser slots in place once Lightning has built the optimiser."""

    def __init__(self, slots: dict[int, Any]) -> None:
        self.slots = slots

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Load the slots into the (only) optimiser."""
        optimizer = trainer.optimizers[0]
        state = optimizer.state_dict()
        optimizer.load_state_dict({"state": self.slots, "param_groups": state["param_groups"]})


def as_best(module: ForecastModule, keeper: Keeper) -> None:
    """Load the best weights into the net."""
    if keeper.best_point is not None:
        with torch.no_grad():
            module.net.load_state_dict(keeper.kept[keeper.best_point.step])
