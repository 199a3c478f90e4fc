"""Several models, one forecast: the mean, the median, or a mean weighted by how well each did on held-out rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.checks import whole_number
from forecast.errors import ConfigError, some
from forecast.model import Advancing, Continuing, Fitted, Model, Prediction, Task, kind_of, reach_of
from forecast.models import as_model, create, entries
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.training.settings import Training

Float = npt.NDArray[np.float64]

COMBINATIONS = ("mean", "median", "robust", "weighted")
SEED_STRIDE = 7919
MOST_SEEDS = 100


@dataclass(frozen=True)
class Weights:
    """What each member counts, series by series.

    Attributes:
        default: (M,) weights of a series that has none of its own; they add up to 1, as every row of ``table`` does.
        ids: the series that have weights of their own.
        table: (len(ids), M).
    """

    default: Float
    ids: pd.Index
    table: Float

    @classmethod
    def equal(cls, count: int) -> Weights:
        """The same for every member and series."""
        return cls(np.full(count, 1.0 / count), pd.Index([]), np.empty((0, count)))

    def of(self, ids: pd.Index) -> Float:
        """Weights of the series ``ids``, shape (S, M)."""
        place = self.ids.get_indexer(ids) if len(self.ids) else np.full(len(ids), -1)
        weights = np.tile(self.default, (len(ids), 1))
        weights[place >= 0] = self.table[place[place >= 0]]
        return weights


@dataclass(frozen=True)
class Member:
    """One model of an ensemble: its name within it, the model and the model fitted."""

    name: str
    model: Model
    fitted: Fitted


@dataclass(frozen=True)
class FittedEnsemble:
    """Fitted members and what each counts: satisfies :class:`forecast.model.Fitted`.

    Attributes:
        members: at least one.
        weights: of every series.
        combine: the weighted ``mean``, the weighted ``median`` or, ``robust``, half-way between the two; of points and
            of quantiles alike (quantile averaging: Lichtendahl et al. 2013, "Is It Better to Average Probabilities or
            Quantiles?", Management Science 59).
        history: plain facts for :meth:`describe`: how the ensemble came about.
    """

    members: tuple[Member, ...]
    weights: Weights
    combine: str = "mean"
    history: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """Combine the members' forecasts. A member is asked only for the series it has a weight in; what it cannot
        forecast (NaN) the others make up for."""
        weights = self.weights.of(panel.ids)
        # Points and quantiles are combined alike, so they travel in one array: slice 0 is the point.
        outputs = np.full((len(self.members), len(panel), h, 1 + len(probs)), np.nan)
        reasons: dict[int, str] = {}
        for number, member in enumerate(self.members):
            asked = np.flatnonzero(weights[:, number] > 0.0)
            if not asked.size:
                continue
            part = member.fitted.predict(panel.take(asked), h, probs)
            outputs[number, asked, :, 0] = part.point
            outputs[number, asked, :, 1:] = part.quantiles
            for position, reason in part.reasons.items():
                reasons.setdefault(int(asked[position]), reason)
        combined = COMBINED[self.combine](outputs, weights)
        quantiles = np.maximum.accumulate(combined[..., 1:], axis=-1)
        told: dict[str, Any] = {}
        if self.kind == "event":  # points are probabilities: 0 until the probability that it does not happen is reached
            chance = combined[..., :1]
            quantiles = np.where(np.isnan(chance), np.nan, np.asarray(probs) > 1.0 - chance)
            told = {"shares": chance, "classes": (1.0,)}
        return Prediction(combined[..., 0], quantiles, tuple(probs), dict(sorted(reasons.items())), **told)

    @property
    def kind(self) -> str:
        """The kind of values that it forecasts: events where every member does."""
        kinds = {kind_of(member.fitted) for member in self.members}
        return "event" if kinds == {"event"} else "real"

    @property
    def discrete(self) -> bool:
        """Whether its quantiles are whole numbers."""
        return self.kind == "event"

    @property
    def reach(self) -> tuple[float, float]:
        """The probabilities between which every member has quantiles."""
        low, high = zip(*(reach_of(member.fitted) for member in self.members), strict=True)
        return max(low), min(high)

    def advanced(self, panel: Panel, before: Panel | None = None) -> FittedEnsemble:
        """The same ensemble with its stateful members as they stand after the last row of each series."""
        members = tuple(
            replace(member, fitted=member.fitted.advanced(panel, before))
            if isinstance(member.fitted, Advancing)
            else member
            for member in self.members
        )
        return replace(self, members=members)

    def describe(self) -> dict[str, Any]:
        """How the ensemble came about, its members, and the learning curves of its first net."""
        table = self.weights.table
        mean = table.mean(0) if len(table) else self.weights.default
        described = [member.fitted.describe() for member in self.members]
        nets = [facts for facts in described if facts.get("layers")]
        return {
            **{key: nets[0][key] for key in ("curves", "layers") if nets and key in nets[0]},
            "parameters": sum(facts.get("parameters", 0) for facts in described),
            "combine": self.combine,
            "members": [
                {"name": member.name, "weight": round(float(weight), 4)}
                for member, weight in zip(self.members, mean, strict=True)
            ],
            **self.history,
        }


def _shares(outputs: Float, weights: Float) -> Float:
    """Weights (S, M) of the members that have a forecast, adding up to 1 (or 0 where none has), like ``outputs``."""
    share = np.where(np.isnan(outputs), 0.0, weights.T[:, :, None, None])
    total = share.sum(0)
    return np.asarray(share / np.where(total > 0.0, total, 1.0))


def weighted_mean(outputs: Float, weights: Float) -> Float:
    """Mean over the members (M, S, h, Q) that have a forecast, weighted by (S, M); NaN where none has."""
    share = _shares(outputs, weights)
    mean = (np.nan_to_num(outputs) * share).sum(0)
    return np.where(share.sum(0) > 0.0, mean, np.nan)


def weighted_median(outputs: Float, weights: Float) -> Float:
    """Median over the members (M, S, h, Q) that have a forecast, weighted by (S, M); NaN where none has.

    Each forecast sits in the middle of its share of the line from 0 to 1; the median is read off at one half, between
    forecasts linearly. With equal weights it is the ordinary median.
    """
    share = _shares(outputs, weights)
    order = np.argsort(np.where(share > 0.0, outputs, np.inf), axis=0)
    share = np.take_along_axis(share, order, 0)
    ordered = np.take_along_axis(outputs, order, 0)
    place = np.where(share > 0.0, share.cumsum(0) - share / 2.0, 2.0)
    last = np.maximum((share > 0.0).sum(0) - 1, 0)
    below = np.clip((place <= 0.5).sum(0) - 1, 0, last)
    above = np.minimum(below + 1, last)

    def at(values: Float, index: npt.NDArray[np.int64]) -> Float:
        return np.asarray(np.take_along_axis(values, index[None], 0)[0])

    start, width = at(place, below), at(place, above) - at(place, below)
    way = np.clip(np.where(width > 0.0, 0.5 - start, 0.0) / np.where(width > 0.0, width, 1.0), 0.0, 1.0)
    return np.asarray(at(ordered, below) * (1.0 - way) + at(ordered, above) * way)


def robust_mean(outputs: Float, weights: Float) -> Float:
    """Half-way between :func:`weighted_mean` and :func:`weighted_median`: one member gone astray does half the harm."""
    return 0.5 * weighted_mean(outputs, weights) + 0.5 * weighted_median(outputs, weights)


COMBINED = {"mean": weighted_mean, "median": weighted_median, "robust": robust_mean}


@dataclass(frozen=True)
class Ensemble:
    """Several models, combined.

    A name that comes twice is the same model from another seed, so three times ``segrnn`` is a seed ensemble, and so
    is ``Ensemble(("segrnn",), seeds=3)``. Every net trains by the training settings, ``max_time`` included.

    Args:
        members: names of models or baselines.
        combine: ``mean``, ``median`` (a member gone astray does no harm), ``robust`` (half-way between them) or
            ``weighted``: a mean weighted by the inverse of the squared error on the last rows of each series, for
            which every member is fitted a second time.
        seeds: how many seeds each net among the members is trained from, 1 to 100. A baseline, where a seed changes
            nothing, is there once whatever this says.
        settings: hyper-parameters of members, by name, in place of those of their yaml files:
            ``{"segrnn": {"hidden_size": 256}}``.

    Raises ``ConfigError`` when fitted without members, with an unknown combination, an impossible number of seeds or
    settings of what is no member.
    """

    members: tuple[str, ...] = ("segrnn", "segrnn", "segrnn")
    combine: str = "median"
    seeds: int = 1
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def trained_by(self, training: Training, name: str) -> EnsembleModel:
        """The ensemble as a model whose nets train by ``training``."""
        if not self.members:
            raise ConfigError(f"{name}: members is empty. Name at least one model.")
        if self.combine not in COMBINATIONS:
            raise ConfigError(f"{name}: combine={self.combine!r} is not one of {', '.join(COMBINATIONS)}.")
        whole_number(f"{name}: seeds", self.seeds, 1, MOST_SEEDS)
        refuse_nested(name, self.members)
        strangers = sorted(set(self.settings) - set(self.members))
        if strangers:
            raise ConfigError(f"{name}: settings of {', '.join(strangers)}, not among members {list(self.members)}.")
        return EnsembleModel(self, training, name)


@dataclass(frozen=True)
class EnsembleModel:
    """An ensemble with training settings: satisfies :class:`forecast.model.Model`.

    ``start`` is a fitted ensemble whose members of the same names training begins with; ``None`` begins anew.
    """

    spec: Ensemble
    training: Training
    name: str = "ensemble"
    start: Fitted | None = field(default=None, repr=False, compare=False)

    @property
    def reads_static(self) -> bool:
        """Whether any member makes use of static features."""
        return any(getattr(model, "reads_static", False) for model, _ in self.models().values())

    @property
    def reads_hist(self) -> bool:
        """Whether any member makes use of covariates known up to the cutoff."""
        return any(getattr(model, "reads_hist", False) for model, _ in self.models().values())

    @property
    def reads_futr(self) -> bool:
        """Whether any member makes use of covariates known into the future."""
        return any(getattr(model, "reads_futr", False) for model, _ in self.models().values())

    @property
    def needs_static(self) -> bool:
        """Whether any member has nothing else to go by."""
        return any(getattr(model, "needs_static", False) for model, _ in self.models().values())

    @property
    def kind(self) -> str:
        """The kind of values that it forecasts: events where every member does."""
        return "event" if {kind_of(model) for model, _ in self.models().values()} == {"event"} else "real"

    def models(self) -> dict[str, tuple[Model, int]]:
        """Every member by a name of its own, with the number of its seed."""
        named: dict[str, tuple[Model, int]] = {}
        counts: Counter[str] = Counter()
        for member in self.spec.members:
            for _ in range(self.spec.seeds if entries()[member].is_net else 1):
                number = counts[member]
                name = f"{member}#{number + 1}" if number else member
                named[name] = as_model(self._created(member), name, self.training), number
                counts[member] += 1
        return named

    def _check_kinds(self) -> None:
        """Raise ``ConfigError`` where forecasts of members cannot be averaged."""
        kinds = {name: kind_of(model) for name, (model, _) in self.models().items()}
        labels = [name for name, kind in kinds.items() if kind == "class"]
        if labels:
            raise ConfigError(f"{self.name}: {some(labels)} forecast classes, which have no mean. Use one by itself.")
        events = [name for name, kind in kinds.items() if kind == "event"]
        if events and len(events) < len(kinds):
            rest = [name for name in kinds if name not in events]
            raise ConfigError(
                f"{self.name}: {some(events)} forecast probabilities of events and {some(rest)} values. Give all "
                "likelihood='bernoulli' by settings=, or none."
            )

    def _created(self, member: str) -> Any:
        return create(member, **self.spec.settings.get(member, {}))

    def continued(self, fitted: Fitted) -> EnsembleModel:
        """The same ensemble, the training of its nets begun with the weights that they have in ``fitted``."""
        return replace(self, start=fitted)

    def _begun(self, name: str, model: Model) -> Model:
        """The member ``model``, continued where there is one of its name to continue."""
        before = self.start.members if isinstance(self.start, FittedEnsemble) else ()
        fitted = next((member.fitted for member in before if member.name == name), None)
        return model.continued(fitted) if fitted is not None and isinstance(model, Continuing) else model

    def fit(self, panel: Panel, task: Task) -> FittedEnsemble:
        """Fit every member on ``panel``; raises what they raise, and ``ConfigError`` for forecasts that do not mix."""
        self._check_kinds()
        members = tuple(
            Member(name, model, self._begun(name, model).fit(panel, reseeded(task, number)))
            for name, (model, number) in self.models().items()
        )
        weights = self._validated(panel, task) if self.spec.combine == "weighted" else Weights.equal(len(members))
        return FittedEnsemble(members, weights, "mean" if self.spec.combine == "weighted" else self.spec.combine)

    def _validated(self, panel: Panel, task: Task) -> Weights:
        """Weights from forecasts of the last ``h`` rows, which the members have not seen."""
        from forecast.panel.split import actuals, known_at

        cutoff = panel.last - task.h
        past = known_at(panel, cutoff)
        actual = actuals(panel, cutoff, task.h)[past.chosen]
        size = np.nanmean(np.abs(np.where(np.isfinite(actual), actual, np.nan))) or 1.0
        losses = []
        for model, number in self.models().values():
            fitted = model.fit(past.panel, reseeded(task, number))
            error = np.abs(fitted.predict(past.panel, task.h).point / size - actual / size)
            losses.append(float(np.nanmean(error)))
        strength = 1.0 / np.maximum(np.array(losses), 1e-9) ** 2
        return replace(Weights.equal(len(losses)), default=strength / strength.sum())


def refuse_nested(name: str, members: Sequence[str]) -> None:
    """Raise ``ConfigError`` when a member of the ensemble ``name`` is an ensemble itself."""
    nested = [member for member in members if hasattr(create(member), "trained_by")]
    if nested:
        raise ConfigError(f"{name}: {', '.join(nested)} is an ensemble itself. Name its members instead.")


def reseeded(task: Task, number: int) -> Task:
    """``task`` for the ``number``-th model of its kind: the same for 0, else from a seed of its own."""
    return replace(task, seed=(task.seed + SEED_STRIDE * number) % 2**31) if number else task
