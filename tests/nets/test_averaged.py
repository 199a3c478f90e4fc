"""Several nets as one: arithmetic of the mean, weights of its own, nothing where there is only one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.nets.averaged import AveragedNet, averaged, builder, members_of
from forecast.nets.facts import Facts
from forecast.windows.gather import Batch


class Tilted(nn.Module):
    """Forecasts the last value of the past times its one weight, with quantiles one apart."""

    def __init__(self, weight: float = 0.0, outputs: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.register_buffer("steps", torch.arange(float(outputs)))

    def forward(self, batch: Batch) -> Tensor:
        return (batch.past[:, -1:] * self.weight).unsqueeze(-1) + self.steps


BATCH = Batch(torch.tensor([[9.0, 1.0], [9.0, -2.0]]), None)


def test_point_forecasts_are_averaged():
    # 1 * (1 + 2 + 6) / 3 = 3 and -2 * 3 = -6
    assert AveragedNet([Tilted(1.0), Tilted(2.0), Tilted(6.0)])(BATCH).flatten().tolist() == [3.0, -6.0]


def test_quantiles_are_averaged_at_each_probability():
    net = AveragedNet([Tilted(1.0, outputs=3), Tilted(3.0, outputs=3)])
    assert net(BATCH)[:, 0].tolist() == [[2.0, 3.0, 4.0], [-4.0, -3.0, -2.0]]


def test_the_mean_of_ascending_quantiles_ascends_to_the_last_bit():
    torch.manual_seed(0)

    class Sorted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values = (torch.randn(500, 4, 9) * 1e3).sort(-1).values

        def forward(self, batch: Batch) -> Tensor:
            return self.values

    assert (AveragedNet([Sorted() for _ in range(5)])(BATCH).diff(dim=-1) >= 0).all()


def test_each_net_has_its_own_weights_and_the_one_they_were_made_from_keeps_its():
    net = Tilted(7.0)
    both = averaged(net, [{**net.state_dict(), "weight": torch.tensor(value)} for value in (1.0, 5.0)])
    assert [one.weight.item() for one in members_of(both)] == [1.0, 5.0]
    assert net.weight.item() == 7.0
    assert not both.training


def test_one_net_is_no_average():
    net = Tilted(7.0)
    assert averaged(net, [net.state_dict()]) is net
    assert averaged(net, []) is net
    assert members_of(net) == (net,)


def test_nets_are_built_once_for_each_snapshot():
    built = builder(lambda facts: Tilted(float(facts.h)), 3)(Facts(input_size=2, h=4))
    assert list(built.state_dict()) == [f"nets.{n}.{name}" for n in range(3) for name in ("weight", "steps")]
    assert isinstance(builder(lambda facts: Tilted(), 1)(Facts(2, 4)), Tilted)
