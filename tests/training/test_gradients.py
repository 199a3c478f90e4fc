"""Gradients: norms by hand, layers by name, clipping by norm and by value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from forecast import Forecaster, Training
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import LSTM, SegRNN
from forecast.nets.facts import Facts
from forecast.report.diagnosis import gradient_notes
from forecast.training.gradients import Gradients, layers_of
from forecast.training.neural import Neural

TINY = SegRNN(input_size=12, segment=4, hidden_size=8)


def two_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1, bias=False))


def give(net: nn.Module, *gradients: list | None) -> None:
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        parameter.grad = None if gradient is None else torch.tensor(gradient)


def test_norms_are_those_of_hand_arithmetic_before_clipping():
    net = two_layers()
    gradients = Gradients(net, limit=2.0, by="norm")
    give(net, [[3.0, 0.0]], [4.0], [[12.0]])
    assert gradients.clip().item() == 13.0
    clipped = [p.grad.flatten().tolist() for p in net.parameters()]
    assert [v for g in clipped for v in g] == pytest.approx([6 / 13, 0.0, 8 / 13, 24 / 13], rel=1e-6)
    give(net, [[0.0, 0.0]], [0.0], [[1.0]])
    gradients.clip()
    norms = gradients.norms()
    assert (norms.mean, norms.peak, norms.clipped) == (7.0, 13.0, 0.5)
    assert norms.layers == {"0": pytest.approx(math.hypot(1.5, 2.0)), "1": pytest.approx(6.5)}


def test_reading_the_norms_begins_anew():
    net = two_layers()
    gradients = Gradients(net, None, "norm")
    give(net, [[3.0, 0.0]], [4.0], [[12.0]])
    gradients.clip()
    gradients.norms()
    assert gradients.norms().mean == gradients.norms().peak == 0.0


def test_clipping_by_value_bounds_each_derivative_alone():
    net = two_layers()
    gradients = Gradients(net, limit=2.0, by="value")
    give(net, [[3.0, -0.5]], [-4.0], [[1.0]])
    assert gradients.clip().item() == pytest.approx(math.sqrt(9 + 0.25 + 16 + 1))
    assert [v for p in net.parameters() for v in p.grad.flatten().tolist()] == [2.0, -0.5, -2.0, 1.0]
    give(net, [[1.9, -0.5]], [-2.0], [[1.0]])
    gradients.clip()
    assert gradients.norms().clipped == 0.5


def test_without_a_limit_gradients_are_left_alone():
    net = two_layers()
    give(net, [[3e9, 0.0]], [4.0], [[12.0]])
    gradients = Gradients(net, None, "norm")
    gradients.clip()
    assert next(net.parameters()).grad.tolist() == [[3e9, 0.0]]
    assert gradients.norms().clipped == 0.0


def test_a_parameter_without_a_gradient_counts_as_zero_and_what_is_frozen_is_left_out():
    net = two_layers()
    gradients = Gradients(net, 1.0, "norm")
    give(net, [[3.0, 0.0]], None, [[4.0]])
    assert gradients.clip().item() == 5.0
    assert gradients.norms().layers == {"0": 3.0, "1": 4.0}
    net[0].requires_grad_(False)
    assert list(Gradients(net, 1.0, "norm").layers) == ["1"]


def test_layers_are_named_as_in_the_table_of_layers_and_stacked_recurrent_layers_one_by_one():
    net = LSTM(input_size=12, hidden_size=4, num_layers=2).build(Facts(12, 3, seasons=(12,)))
    names = ["encoder.rnn layer 1", "encoder.rnn layer 2", "decoder.project", "skip"]
    assert list(layers_of(net)) == names
    assert sorted(place for places in layers_of(net).values() for place in places) == list(
        range(len(list(net.parameters())))
    )
    assert list(layers_of(TINY.build(Facts(12, 3, seasons=(12,))))) == [
        "position",
        "embed",
        "encoder",
        "project",
        "skip",
    ]


def test_many_layers_are_told_by_the_parts_they_share():
    deep = nn.ModuleDict({"body": nn.Sequential(*(nn.Linear(1, 1) for _ in range(9))), "last": nn.Linear(1, 1)})
    assert list(layers_of(deep)) == ["body", "last"]
    assert len(layers_of(deep, most=10)) == 10
    wrapped = nn.ModuleDict({"net": deep})
    assert layers_of(wrapped) == layers_of(deep)
    assert list(layers_of(nn.ModuleDict({"net": nn.Linear(1, 1)}))) == ["net"]


def test_clipping_by_norm_equals_torchs_own(frame):
    torch.manual_seed(0)
    one, two = (LSTM(12, 8).build(Facts(12, 3)) for _ in range(2))
    two.load_state_dict(one.state_dict())
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        a.grad = torch.randn_like(a)
        b.grad = a.grad.clone()
    ours, theirs = Gradients(one, 0.7, "norm").clip(), nn.utils.clip_grad_norm_(two.parameters(), 0.7)
    assert torch.equal(ours, theirs)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_the_curve_holds_norms_by_layer_and_the_log_a_column_for_each(frame, tmp_path, quick):
    training = replace(quick, max_steps=4, validations=2, log_dir=tmp_path)
    fitted = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)._fitted["segrnn"]
    point = fitted.history["curves"][-1]
    assert list(point["layer_norms"]) == ["position", "embed", "encoder", "project", "skip"]
    assert 0 < max(point["layer_norms"].values()) <= point["gradient_norm"] <= point["gradient_peak"]
    assert "gradient_norm/encoder" in (tmp_path / "segrnn" / "metrics.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("by", ["norm", "value"])
def test_a_tiny_clip_all_but_stops_learning(by, frame, quick):
    def weights(training: Training) -> list[torch.Tensor]:
        net = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)._fitted["segrnn"].net
        return list(net.state_dict().values())

    plain = replace(quick, weight_decay=0.0)
    start = weights(replace(plain, learning_rate=1e-12))
    free = weights(replace(plain, gradient_clip=None))
    clipped = weights(replace(plain, gradient_clip=1e-12, gradient_clip_by=by))
    moved = [sum((a - b).abs().sum().item() for a, b in zip(w, start, strict=True)) for w in (free, clipped)]
    assert moved[1] < 0.01 * moved[0]


@dataclass(frozen=True)
class Saturating:
    """Sigmoids all the way down: each shrinks a gradient to a quarter or less."""

    input_size: int | None = 12
    quantiles: tuple[float, ...] = ()
    depth: int = 12

    def build(self, facts: Facts) -> nn.Module:
        class Net(nn.Module):
            def __init__(self, depth: int) -> None:
                super().__init__()
                self.first = nn.Linear(facts.input_size, 8)
                self.middle = nn.Sequential(*(m for _ in range(depth) for m in (nn.Sigmoid(), nn.Linear(8, 8))))
                self.last = nn.Linear(8, facts.h)

            def forward(self, batch) -> torch.Tensor:
                return self.last(self.middle(self.first(batch.past))).unsqueeze(-1)

        return Net(self.depth)


def test_a_net_in_which_gradients_vanish_is_named_and_a_sound_one_is_not(frame):
    training = Training(max_steps=12, batch_size=16, cycles=1, validations=6, patience=None)
    panel, task = to_panel(frame), Task(3, 12, progress=False)
    deep = Neural(Saturating(), training).fit(panel, task)
    (note,) = gradient_notes("deep", deep.history["curves"])
    assert "deep vanish" in note
    assert "the norm at first" in note
    for sound in (Saturating(depth=1), TINY, LSTM(12, 8)):
        assert gradient_notes("sound", Neural(sound, training).fit(panel, task).history["curves"]) == []
