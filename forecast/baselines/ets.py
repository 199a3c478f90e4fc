"""Exponential smoothing in state space form: which forms to try, how to fit one, and how to choose."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.baselines.local import Ask
from forecast.baselines.series import Estimate, Unfit
from forecast.baselines.variance import smoothing_growth
from forecast.errors import ConfigError

if TYPE_CHECKING:
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

Float = npt.NDArray[np.float64]

MAX_ITERATIONS = 200  # a handful of parameters converges in about ten
SIMULATIONS = 1000
POSITIVE = 1e-3  # smallest value, relative to the mean, for which ratios make sense


class Form(NamedTuple):
    """One form of exponential smoothing; each component is ``add``, ``mul`` or ``none``."""

    error: str
    trend: str
    damped: bool
    seasonal: str

    @property
    def ratios(self) -> bool:
        """Whether the form needs positive values."""
        return "mul" in (self.error, self.trend, self.seasonal)

    def parameters(self, season: int) -> int:
        """Free numbers: smoothing parameters, initial states and the error variance."""
        return 3 + 2 * (self.trend != "none") + self.damped + (season if self.seasonal != "none" else 0)


@dataclass(frozen=True)
class Fit:
    """A fitted form: its criterion (smaller is better), statsmodels' model and the estimated parameters."""

    form: Form
    criterion: float
    model: ETSModel
    params: Float


def forms(error: str, trend: str, damped: bool | None, seasonal: str, season: int) -> list[Form]:
    """The forms to try; ``auto`` (``None`` for ``damped``) leaves a component open.

    Left open, the trend of a series with a season is damped: undamped ones win the criterion now and then and lose the
    forecast (Gardner and McKenzie 1985). The error is as additive or multiplicative as the season, since the mixtures
    are either unstable or no better, and take longer than all others together.
    """
    trends: list[tuple[str, bool]] = [("none", False)] if trend in ("auto", "none") and not damped else []
    if trend != "none":
        undamped = [] if trend == "auto" and season > 1 and damped is None else [False]
        kinds = [True, *undamped] if damped is None else [damped]
        trends += [("add" if trend == "auto" else trend, kind) for kind in kinds]
    seasonals = ["none"] if season == 1 or seasonal in ("none", "auto") else []
    if season > 1 and seasonal != "none":
        seasonals += ["add", "mul"] if seasonal == "auto" else [seasonal]
    errors = ["add", "mul"] if error == "auto" else [error]
    return [
        Form(kind, *shape, pattern)
        for kind, shape, pattern in itertools.product(errors, trends, seasonals)
        if "auto" not in (error, seasonal) or pattern in ("none", kind)
    ]


def check_damped(trend: str, damped: bool | None) -> None:
    """Raise ``ConfigError`` for a damped trend where there is none."""
    if trend == "none" and damped:
        raise ConfigError("damped=True needs a trend. Set trend to 'add', or damped to false.")


def choose(y: Float, candidates: list[Form], season: int) -> Fit:
    """The candidate with the smallest AICc on ``y`` (n,); ``Unfit`` when none can be fitted."""
    positive = bool(y.min() > POSITIVE * np.abs(y).mean())
    causes: list[str] = []
    best: Fit | None = None
    for form in candidates:
        if form.ratios and not positive and len(candidates) > 1:
            continue
        if len(y) <= form.parameters(season) + 1:
            causes.append(f"{len(y)} rows are too few")
            continue
        fit = _fit(y, form, season)
        if fit is None:
            causes.append("the optimiser did not converge")
        elif best is None or fit.criterion < best.criterion:
            best = fit
    if best is None:
        raise Unfit(causes[-1] if causes else "multiplicative forms need positive values")
    return best


def _fit(y: Float, form: Form, season: int) -> Fit | None:
    """Fit one form by maximum likelihood given heuristic initial states (Hyndman et al. 2008, section 2.6.1).

    Estimating the initial states too takes up to forty times as long and did not forecast better. ``None`` when the
    optimiser ran out of iterations or the likelihood is not a number (a perfect fit's is infinite, and welcome).
    """
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    seasonal = form.seasonal != "none"
    enough = len(y) >= 10 + 2 * (season // 2 if seasonal else 0)
    model = ETSModel(
        y,
        error=form.error,
        trend=form.trend if form.trend != "none" else None,
        damped_trend=form.damped,
        seasonal=form.seasonal if seasonal else None,
        seasonal_periods=season if seasonal else None,
        initialization_method="heuristic" if enough else "estimated",
    )
    iterations = itertools.count(1)
    last = 0

    def count(_: Float) -> None:
        nonlocal last
        last = next(iterations)

    params = model.fit(disp=False, maxiter=MAX_ITERATIONS, return_params=True, callback=count)
    likelihood = float(model.loglike(params))
    if last >= MAX_ITERATIONS or np.isnan(likelihood):
        return None
    k, n = form.parameters(season), len(y)
    return Fit(form, 2.0 * k - 2.0 * likelihood + 2.0 * k * (k + 1) / (n - k - 1), model, params)


def forecast(fit: Fit, ask: Ask, note: str = "") -> Estimate:
    """Point forecasts, and quantiles from the error variance: in closed form for additive errors, else simulated.

    The simulated paths use normal errors in antithetic pairs, the same for every series and derived from ``ask.seed``.
    """
    results = fit.model.smooth(fit.params)
    point = np.asarray(results.forecast(ask.h), np.float64).reshape(ask.h)
    if not ask.probs:
        return Estimate(point, np.empty((ask.h, 0)), note)
    free = max(len(results.resid) - len(fit.params), 1)
    variance = float(np.square(results.resid).sum()) / free
    if fit.form.ratios:
        half = np.random.default_rng(ask.seed).standard_normal((ask.h, SIMULATIONS // 2))
        errors = np.concatenate([half, -half], axis=1) * np.sqrt(variance)
        paths = results.simulate(ask.h, anchor="end", repetitions=SIMULATIONS, random_errors=errors)
        return Estimate(point, np.quantile(np.asarray(paths), ask.probs, axis=1).T, note)
    named = dict(zip(fit.model.param_names, fit.params, strict=True))
    growth = smoothing_growth(
        ask.h,
        named["smoothing_level"],
        named.get("smoothing_trend", 0.0),
        named.get("smoothing_seasonal", 0.0),
        named.get("damping_trend", 1.0),
        fit.model.seasonal_periods,
    )
    return Estimate.normal(point, np.sqrt(variance * growth), ask, note)
