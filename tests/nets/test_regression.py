"""A net behind a regression on what is known of the future."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from forecast.models import MQRNN, DeepAR, SegRNN
from forecast.nets.facts import Facts
from forecast.nets.regression import Regressed, RegressedForking, RegressedOwnLoss, regressed
from forecast.windows.gather import Batch

FACTS = Facts(input_size=6, h=3, futr=2)


class Repeat(nn.Module):
    """The mean of the past for every step."""

    def forward(self, batch: Batch) -> Tensor:
        return batch.past.mean(1, keepdim=True).unsqueeze(-1).expand(-1, 3, 1)


def batch(masked: bool = False) -> Batch:
    generator = torch.Generator().manual_seed(0)
    past, future = torch.randn(4, 6, generator=generator), torch.randn(4, 3, generator=generator)
    futr = torch.randn(4, 9, 2, generator=generator)
    if not masked:
        return Batch(past, None, future, None, futr=futr)
    known = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]).expand(4, 6)
    return Batch(past * known, known, future, torch.ones(4, 3), futr=futr)


def learned(net: nn.Module) -> Regressed:
    """Some regression, not the zero that it starts with."""
    module = regressed(net, FACTS)
    assert isinstance(module, Regressed)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for weight in (module.linear.weight, module.out.weight):
            nn.init.normal_(weight)
    return module.eval()


def test_it_begins_as_the_net_alone():
    net = Repeat()
    assert torch.equal(regressed(net, FACTS)(batch()), net(batch()))


@pytest.mark.parametrize("masked", [False, True])
def test_what_is_explained_is_taken_from_the_past_and_put_back_into_the_future(masked):
    """A linear effect of any size on past and future is followed exactly, as in a regression by hand."""
    net, given = Repeat(), batch(masked)
    module = learned(net)
    nn.init.zeros_(module.out.weight)
    slope = module.linear.weight[0]
    effect = given.futr @ slope  # (4, 9)
    last = 5 if not masked else 3  # the last known row
    effect = effect - effect[:, last : last + 1]
    moved = given.past + effect[:, :6]
    if masked:
        moved = moved * given.observed
    torch.testing.assert_close(
        module(given._replace(past=moved)), net(given) + effect[:, 6:].unsqueeze(-1), atol=1e-5, rtol=1e-5
    )


def test_unknown_cells_stay_zero_and_the_future_is_rid_of_its_effect_too():
    given = batch(masked=True)
    module = learned(Repeat())
    effect = module.effect(given)
    rid = module.rid(given, effect)
    assert (rid.past[given.observed == 0] == 0).all()
    torch.testing.assert_close(rid.future + effect.future, given.future)


def test_a_level_common_to_all_rows_has_no_effect():
    given = batch()
    module = learned(Repeat())
    nn.init.zeros_(module.out.weight)
    shifted = given._replace(futr=given.futr + 3.0)
    torch.testing.assert_close(module(shifted), module(given), atol=1e-5, rtol=1e-5)


def test_the_past_does_not_depend_on_covariates_that_come_later_than_a_step():
    """Step k of a direct net answers to the covariates of step k, not to those of other steps."""
    given, module = batch(), learned(Repeat())
    futr = given.futr.clone()
    futr[:, 7] += 1.0
    moved = module(given._replace(futr=futr)) - module(given)
    assert (moved[:, [0, 2]] == 0).all()
    assert (moved[:, 1] != 0).all()


def test_nets_with_a_judgement_of_their_own_keep_it():
    facts = Facts(input_size=8, h=3, futr=2)
    assert isinstance(regressed(DeepAR(8).build(Facts(8, 3, futr=2)), facts), RegressedOwnLoss)
    assert isinstance(regressed(MQRNN(8).build(facts), facts), RegressedForking)
    assert type(regressed(SegRNN(8).build(facts), facts)) is Regressed
    plain = SegRNN(8).build(Facts(8, 3))
    assert regressed(plain, Facts(8, 3)) is plain


def test_a_batch_without_the_covariates_is_refused():
    with pytest.raises(ValueError, match="the batch has none"):
        regressed(Repeat(), FACTS)(batch()._replace(futr=None))
