"""What a model made of another one says of itself: what the other one says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from forecast.model import Model

if TYPE_CHECKING:
    from forecast.training.settings import Training


class Wrapped:
    """A model around ``inner``, which decides what covariates are read and how nets are trained."""

    inner: Model

    @property
    def reads_static(self) -> bool | None:
        """Whether the model makes use of static features; ``None`` where it does not say."""
        return getattr(self.inner, "reads_static", None)

    @property
    def reads_hist(self) -> bool | None:
        """Whether the model makes use of covariates known up to the cutoff; ``None`` where it does not say."""
        return getattr(self.inner, "reads_hist", None)

    @property
    def reads_futr(self) -> bool | None:
        """Whether the model makes use of covariates known into the future; ``None`` where it does not say."""
        return getattr(self.inner, "reads_futr", None)

    @property
    def training(self) -> Training | None:
        """The training settings of its nets; ``None`` for a baseline."""
        return getattr(self.inner, "training", None)

    @property
    def inner_recipe(self) -> tuple[str, Mapping[str, Any] | None]:
        """The class of ``inner`` and its hyper-parameters, training settings aside, as plain values."""
        inner: Any = getattr(self.inner, "architecture", None) or getattr(self.inner, "spec", None) or self.inner
        values = asdict(inner) if is_dataclass(inner) and not isinstance(inner, type) else None
        return type(inner).__qualname__, values
