"""Several likelihoods of the same kind of values, each with a share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from forecast.distributions.base import Likelihood, wide
from forecast.distributions.numeric import Float, between, between_positive, between_wholes, elementwise, like
from forecast.errors import ConfigError

# Components of equal name that were told the same at the start of training would stay the same for ever: their raw
# numbers are told this far apart, locations (window units, or logarithms of means) and first measures of spread.
APART, WIDTHS_APART = 0.25, 1.0


@dataclass(frozen=True)
class Mixture(Likelihood):
    """Raw numbers: those of each component in turn, then the logit of each component's share.

    Those of components of equal name are offset evenly by ±:data:`APART` in the location and ±:data:`WIDTHS_APART` in
    the number after it. Raises ``ConfigError`` for components of different kinds, and for what cannot be mixed.
    """

    components: tuple[Likelihood, ...]

    def __post_init__(self) -> None:
        _check(self.components)

    @property
    def name(self) -> str:
        runs = ((name, len(list(run))) for name, run in groupby(each.name for each in self.components))
        return "+".join(name if count == 1 else f"{count}*{name}" for name, count in runs)

    @property
    def parameters(self) -> int:
        return sum(each.parameters + 1 for each in self.components)

    @property
    def draws(self) -> int:  # type: ignore[override]
        """Those of the component that needs most, and one that chooses the component."""
        return 1 + max(each.draws for each in self.components)

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.components[0].kind

    @property
    def at_zero(self) -> bool:  # type: ignore[override]
        return any(each.at_zero for each in self.components)

    @property
    def moves(self) -> tuple[int, ...]:  # type: ignore[override]
        starts = np.cumsum([0, *(each.parameters for each in self.components)]).tolist()
        return tuple(start + move for start, each in zip(starts, self.components, strict=False) for move in each.moves)

    def parts(self, raw: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logarithms of the shares, (…, components), and the raw numbers of each component, offset."""
        raw = wide(raw)
        own, start = [], 0
        for by in self.offsets():
            own.append(raw[..., start : start + len(by)] + raw.new_tensor(by))
            start += len(by)
        return functional.log_softmax(raw[..., start:], -1), own

    def offsets(self) -> list[list[float]]:
        """What is added to the raw numbers of each component."""
        names = [each.name for each in self.components]
        counts, met, found = Counter(names), Counter[str](), []
        for each in self.components:
            count = counts[each.name]
            place = 2.0 * met[each.name] / (count - 1) - 1.0 if count > 1 else 0.0
            met[each.name] += 1
            found.append([APART * place, WIDTHS_APART * place, *[0.0] * each.parameters][: each.parameters])
        return found

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        shares, own = self.parts(raw)
        return torch.logsumexp(shares + self._each(own, lambda each, part: each.log_prob(part, value)), -1)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        shares, own = self.parts(raw)
        return (shares.exp() * self._each(own, lambda each, part: each.cdf(part, value))).sum(-1).clamp(max=1.0)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        """Between the quantiles of the components, where the shares of all together reach ``probs``."""
        precise = wide(raw).double()
        ends = self._each(self.parts(precise)[1], lambda each, part: each.quantile(part, probs.double()))
        solve = {"real": self._between, "positive": self._between_positive}.get(self.kind, self._wholes)
        return like(elementwise(solve, probs, ends.amin(-1), ends.amax(-1), *precise.unbind(-1)), raw)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """See :meth:`Likelihood.sample`: the last draw chooses the component, which reads the draws before it."""
        shares, own = self.parts(raw)
        below = shares.exp()[..., :-1].cumsum(-1) < uniform[..., -1:]
        chosen = below.sum(-1, keepdim=True)
        drawn = self._each(own, lambda each, part: each.sample(part, uniform[..., : each.draws]))
        return drawn.gather(-1, chosen.expand(*drawn.shape[:-1], 1)).squeeze(-1)

    def mean(self, raw: Tensor) -> Tensor:
        shares, own = self.parts(raw)
        return (shares.exp() * self._each(own, lambda each, part: each.mean(part))).sum(-1)

    def variance(self, raw: Tensor) -> Tensor:
        shares, own = self.parts(raw)
        means = self._each(own, lambda each, part: each.mean(part))
        within = self._each(own, lambda each, part: each.variance(part))
        between = (means - (shares.exp() * means).sum(-1, keepdim=True)).square()
        return (shares.exp() * (within + between)).sum(-1)

    def _each(self, own: list[Tensor], what: Callable[[Likelihood, Tensor], Tensor]) -> Tensor:
        """``what`` of each component, (…, components)."""
        return torch.stack([what(each, part) for each, part in zip(self.components, own, strict=True)], -1)

    def _between(self, probs: Float, low: Float, high: Float, *raw: Float) -> Float:
        return between(self._cdf, probs, low, high, *raw)

    def _between_positive(self, probs: Float, low: Float, high: Float, *raw: Float) -> Float:
        return between_positive(self._cdf, probs, low, high, *raw)

    def _wholes(self, probs: Float, low: Float, high: Float, *raw: Float) -> Float:
        return between_wholes(self._cdf, probs, low - 1.0, high, *raw)

    def _cdf(self, value: Float, *raw: Float) -> Float:
        found: Float = self.cdf(torch.from_numpy(np.stack(raw, -1)), torch.from_numpy(value)).numpy()
        return found


def _check(components: tuple[Likelihood, ...]) -> None:
    if len(components) < 2:
        raise ConfigError(f"a mixture of {len(components)}: two components at least.")
    for each in components:
        if not each.has_density:
            raise ConfigError(f"{each.name} has no density that could be mixed. It bends to any shape: use it alone.")
        if each.kind in ("event", "class"):
            raise ConfigError(f"a mixture of {each.name} is {each.name} again: use likelihood={each.name!r}.")
    kinds = {each.kind: each.name for each in components}
    if len(kinds) > 1:
        found = ", ".join(f"{name} is for {kind} values" for kind, name in kinds.items())
        raise ConfigError(f"components of a mixture share one kind of values, and {found}. Leave all but one kind out.")
