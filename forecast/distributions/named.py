"""Likelihoods by the names that a configuration has for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from forecast.distributions.base import Likelihood
from forecast.distributions.counts import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from forecast.distributions.events import Bernoulli, Categorical
from forecast.distributions.implicit import ImplicitQuantile
from forecast.distributions.mixture import Mixture
from forecast.distributions.positive import LogNormal
from forecast.distributions.real import Laplace, Normal, StudentT
from forecast.distributions.tweedie import Tweedie
from forecast.errors import ConfigError, printable

MOST_COMPONENTS = 10
# Those of numbers; "categorical" needs to know its classes besides.
LIKELIHOODS: Mapping[str, Likelihood] = MappingProxyType(
    {
        each.name: each
        for each in (
            *(Normal(), StudentT(), Laplace(), ImplicitQuantile(), LogNormal(), Tweedie()),
            *(Poisson(), NegativeBinomial(), ZeroInflatedNegativeBinomial(), Bernoulli()),
        )
    }
)
TERM = re.compile(r"(?:(\d{1,3})\s*\*\s*)?(\w+)")


def likelihood(name: str, kind: str | None = None, classes: int | None = None) -> Likelihood:
    """The likelihood called ``name``.

    Args:
        name: one of :data:`LIKELIHOODS`; ``categorical``; or a mixture, such as ``normal+student_t``, ``3*normal``.
        kind: what the values are, one of :data:`~forecast.distributions.base.KINDS`; ``None`` checks nothing.
        classes: how many there are, for ``categorical`` alone.

    Raises ``ConfigError`` for an unknown name, a mixture that cannot be, and a likelihood under which some values of
    ``kind`` are impossible.
    """
    found = Categorical(classes or 0) if name == "categorical" else _numeric(name)
    if kind is not None and not found.supports(kind):
        able = [other.name for other in LIKELIHOODS.values() if other.supports(kind)] or ["categorical"]
        raise ConfigError(
            f"likelihood={found.name!r} is for {found.kind} values, and here they are {kind}: some would be "
            f"impossible. Use one of {', '.join(able)}."
        )
    return found


@lru_cache(maxsize=64)
def _numeric(name: str) -> Likelihood:
    if name in LIKELIHOODS:
        return LIKELIHOODS[name]
    components: list[Likelihood] = []
    for term in name.split("+"):
        match = TERM.fullmatch(term.strip())
        if match is None or match[2] not in (*LIKELIHOODS, "categorical"):
            raise ConfigError(
                f"likelihood={printable(name)} is not one of {', '.join((*LIKELIHOODS, 'categorical'))}, "
                "nor a mixture of them such as '2*normal+student_t'."
            )
        each = LIKELIHOODS.get(match[2], Categorical(2))
        components += [each] * int(match[1] or 1)
    if not 1 <= len(components) <= MOST_COMPONENTS:
        raise ConfigError(
            f"likelihood={printable(name)}: a mixture of {len(components)} components; "
            f"from 1 to {MOST_COMPONENTS} are possible."
        )
    return components[0] if len(components) == 1 else Mixture(tuple(components))
