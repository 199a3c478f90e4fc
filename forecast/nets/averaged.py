"""Several nets of one shape as one net: the mean of their forecasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy

from torch import Tensor, nn

from forecast.nets.facts import Facts
from forecast.windows.gather import Batch


class AveragedNet(nn.Module):
    """The mean of what its nets give, number by number, in the units that they work in.

    Point forecasts are averaged before they are brought back to original units, which is the same there: the way back
    is a shift and a factor. Quantiles are averaged at each probability (Lichtendahl et al. 2013, "Is It Better to
    Average Probabilities or Quantiles?", Management Science 59), and so are those that a net reads off its samples.
    They do not cross if no net's do.

    Args:
        nets: at least one; all give forecasts of one shape.
    """

    def __init__(self, nets: Iterable[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, batch: Batch) -> Tensor:
        """Forecasts (B, h, outputs), or of whatever shape the nets give."""
        # One net after the other: every number is rounded in the same order, which keeps quantiles ascending.
        total: Tensor = self.nets[0](batch)
        for net in self.nets[1:]:
            total = total + net(batch)
        return total / len(self.nets)


def averaged(net: nn.Module, weights: Sequence[Mapping[str, Tensor]]) -> nn.Module:
    """Copies of ``net`` with each of ``weights``, averaged; ``net`` as it is where there are not several."""
    if len(weights) < 2:
        return net
    nets = [deepcopy(net) for _ in weights]
    for one, own in zip(nets, weights, strict=True):
        one.load_state_dict(own)
    return AveragedNet(nets).eval()


def builder(make: Callable[[Facts], nn.Module], count: int) -> Callable[[Facts], nn.Module]:
    """What makes ``count`` nets averaged where ``make`` makes one; ``make`` itself for one."""
    return make if count == 1 else lambda facts: AveragedNet(make(facts) for _ in range(count))


def members_of(net: nn.Module) -> tuple[nn.Module, ...]:
    """The nets that ``net`` is the mean of, itself where it is none."""
    return tuple(net.nets) if isinstance(net, AveragedNet) else (net,)
