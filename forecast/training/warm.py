"""Warm starts: a training that begins with the weights of a model trained before, where they fit."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pandas as pd
from torch import nn

from forecast.model import Fitted
from forecast.nets.averaged import members_of
from forecast.nets.facts import Facts
from forecast.panel.encoding import Encoding
from forecast.panel.readings import Readings
from forecast.training.stream_source import Carried

if TYPE_CHECKING:
    from forecast.training.neural import Prepared

WARM = "warm"


def start_from(prepared: Prepared, ids: pd.Index, before: Fitted) -> str:
    """Put the weights of ``before`` into the new net of ``prepared``, which is to be trained on series ``ids``.

    Gives ``warm``, or ``cold: `` and the reason where the weights mean something else there: another kind of net,
    parameters of another shape, other covariates, or parameters of series that are not the same ones. The net is
    then left as it is, new. Of a model that is the mean of several nets it is the last one that training goes on from.
    """
    from forecast.training.neural import FittedNeural

    if not isinstance(before, FittedNeural):
        return f"cold: the model before ({type(before).__name__}) is no net"
    net, old = _bare(prepared.net), members_of(before.net)[-1]
    reason = _other_shapes(net, old) or _other_features(prepared.readings, before.readings)
    reason = reason or _other_likelihood(prepared.facts, before.facts)
    if not reason and before.ids is not None and not before.ids.equals(ids):
        reason = "it has parameters of each series, and these are not the same series"
    if reason:
        return f"cold: {reason}"
    net.load_state_dict(old.state_dict())
    return WARM


def weights_digest(net: nn.Module) -> str:
    """What tells these weights from others."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _bare(net: nn.Module) -> nn.Module:
    """The net itself: stateful training wraps it with the state of its lanes."""
    return net.net if isinstance(net, Carried) else net


def _other_likelihood(new: Facts, old: Facts) -> str:
    if new.likelihood != old.likelihood:
        return f"likelihood={old.likelihood!r} was another one"
    return "" if new.classes == old.classes else "the classes were others"


def _other_shapes(new: nn.Module, old: nn.Module) -> str:
    if type(new) is not type(old):
        return f"a {type(new).__name__} cannot take the weights of a {type(old).__name__}"
    wanted = {name: tuple(value.shape) for name, value in new.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in old.state_dict().items()}
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            return f"{name} has shape {wanted.get(name, 'none')} now and had {given.get(name, 'none')}"
    return ""


def _other_features(new: Readings, old: Readings) -> str:
    """Means and spreads may move with the data; which cell stands for what may not."""

    def cells(encoding: Encoding | None) -> list[object]:
        if encoding is None:
            return []
        return [*((c.name, c.indicator) for c in encoding.numbers), *((c.name, c.labels) for c in encoding.labels)]

    for words, one, two in (
        ("static features", new.static, old.static),
        ("covariates known up to the cutoff", new.hist, old.hist),
        ("covariates known into the future", new.futr, old.futr),
    ):
        if cells(one) != cells(two):
            return f"the {words} are other ones, or have other labels"
    return ""
