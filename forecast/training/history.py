"""What training leaves behind in words and figures."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from forecast.training.settings import Training

if TYPE_CHECKING:
    from forecast.training.run import Outcome


def history_of(outcome: Outcome, training: Training, windows: int, validation_windows: int) -> dict[str, Any]:
    """What training left behind, for ``summary()``, the report and the saved model."""
    return {
        "curves": [asdict(point) for point in outcome.curves],
        "best_step": outcome.best_step,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 3),
        "training": training.recipe,
        **({"snapshots": len(outcome.kept), "snapshot_steps": list(outcome.kept)} if training.snapshots > 1 else {}),
        "learning_rate": outcome.learning_rate,
        "windows": windows,
        "validation_windows": validation_windows,
    }
