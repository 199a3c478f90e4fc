"""Likelihoods by name: a net's free numbers in, log-densities, samples and quantiles out.

A likelihood reads raw parameters, shape (…, ``parameters``), any finite numbers; everything else has shape (…). What
a raw number means is stated by its class. Densities are torch's where it has them; distribution functions and their
inverses, needed for forecasts alone, are scipy's.
"""

from forecast.distributions.base import KINDS, LEAST_SCALE, Likelihood
from forecast.distributions.counts import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from forecast.distributions.events import Bernoulli, Categorical
from forecast.distributions.implicit import ImplicitQuantile
from forecast.distributions.mixture import Mixture
from forecast.distributions.named import LIKELIHOODS, likelihood
from forecast.distributions.positive import LogNormal
from forecast.distributions.real import Laplace, Normal, StudentT
from forecast.distributions.tweedie import Tweedie

__all__ = [
    "KINDS",
    "LEAST_SCALE",
    "LIKELIHOODS",
    "Bernoulli",
    "Categorical",
    "ImplicitQuantile",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "Mixture",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "StudentT",
    "Tweedie",
    "ZeroInflatedNegativeBinomial",
    "likelihood",
]
