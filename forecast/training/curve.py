"""The learning curve: a point for each validation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class CurvePoint:
    """One validation: where training was and how well it did. Losses are in window units.

    ``gradient_norm`` is the mean since the validation before, ``gradient_peak`` the largest, ``clipped`` the share of
    the steps that were clipped, ``layer_norms`` the norms layer by layer.
    """

    step: int
    seconds: float
    train_loss: float
    validation_loss: float | None
    gradient_norm: float
    cycle: int
    ends_cycle: bool
    learning_rate: float
    gradient_peak: float = 0.0
    clipped: float = 0.0
    layer_norms: dict[str, float] = field(default_factory=dict)

    @property
    def judged(self) -> float:
        """The loss to go by: that of validation, of training where there is none."""
        return self.train_loss if self.validation_loss is None else self.validation_loss

    def flat(self) -> dict[str, float]:
        """What is known, as one line of a log; a layer has a column of its own."""
        values = asdict(self)
        layers = values.pop("layer_norms")
        columns = {f"gradient_norm/{name}": norm for name, norm in layers.items()}
        return {name: value for name, value in values.items() if value is not None} | columns
