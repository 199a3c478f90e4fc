"""Always a forecast: trouble with some series stays with those, and is explained."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from forecast.batch.models import pieces
from forecast.batch.models.chain import Link
from forecast.batch.models.earlier import Earlier
from forecast.batch.models.fallback import Forecasts, forecasts_with_fallbacks
from forecast.errors import ArtifactError, ConfigError, DataError, Fault
from forecast.forecasts import Wanted
from forecast.model import Prediction, Task
from forecast.models import as_model, create
from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import Timeline
from tests.batch.models.toys import OutOfMemoryError, Toy, last_values

ASKED = Wanted((80.0,), (0.5,))
DAYS = Timeline("D", "tick", 86_400_000_000)


def many(series: int, length: int = 20, seed: int = 0) -> Panel:
    import pandas as pd

    values = np.random.default_rng(seed).normal(10, 1, series * length)
    offsets = np.arange(series + 1, dtype=np.int64) * length
    return Panel(pd.Index(np.arange(series)), values, offsets, np.zeros(series, np.int64), DAYS, Schema())


def poisoned(panel: Panel, bad: list[int], value: float = np.nan) -> Panel:
    values = panel.values.copy()
    for at in bad:
        values[panel.offsets[at] : panel.offsets[at + 1]] = value
    return replace(panel, values=values)


def raises_on(value: float, error: type[Exception] = ValueError):
    """Trouble with every panel that holds a series ending in ``value``."""

    def trouble(panel: Panel, point: np.ndarray) -> None:
        if (last_values(panel) == value).any():
            raise error(f"cannot do {value}")

    return trouble


def link(name: str, fitted, **kwargs) -> Link:
    return Link(name, lambda: fitted, **kwargs)


TASK = Task(4, 7, progress=False)


def baselines(panel: Panel) -> list[Link]:
    names = (("ets", "batched_ets", False), ("seasonal_naive", "seasonal_naive", True), ("naive", "naive", True))
    return [link(name, create(yaml).fit(panel, TASK), safe=safe) for name, yaml, safe in names]


def test_with_nothing_wrong_the_model_forecasts_everything():
    panel = many(5)
    result = forecasts_with_fallbacks([link("net", Toy(1.0)), *baselines(panel)], panel, 4, ASKED)
    assert (result.source == "net").all() and (result.reason == "").all()
    assert np.array_equal(result.point[:, 0], last_values(panel) + 1.0)
    assert result.probs == (0.1, 0.5, 0.9) and result.quantiles.shape == (5, 4, 3)
    assert result.counts() == {"net": 5}
    assert dict(result.prediction.reasons) == {}


@pytest.mark.parametrize(
    "error",
    [ValueError, RuntimeError, np.linalg.LinAlgError, ZeroDivisionError, KeyError, IndexError, MemoryError, OSError],
)
@pytest.mark.parametrize("bad", [[0], [7, 8, 9], [511, 512, 1299]])
def test_an_exception_costs_only_the_series_that_cause_it(error, bad):
    panel = poisoned(many(1300), bad, 5.0)
    clean = forecasts_with_fallbacks([link("net", Toy(1.0))], many(1300), 4, ASKED)
    chain = [link("net", Toy(1.0, raises_on(5.0, error))), *baselines(panel)]
    result = forecasts_with_fallbacks(chain, panel, 4, ASKED)
    good = np.setdiff1d(np.arange(1300), bad)
    assert set(np.flatnonzero(result.source != "net")) == set(bad)
    assert np.array_equal(result.point[good], clean.point[good]) and (result.reason[good] == "").all()
    for at in bad:
        assert result.source[at] == "ets" and error.__name__ in result.reason[at] and "5.0" in result.reason[at]
        assert np.allclose(result.point[at], 5.0)


def test_forecasts_that_are_not_finite_or_absurd_go_down_the_chain_one_by_one():
    panel = many(600)

    def trouble(panel, point):
        point[3, 2], point[4, 0], point[5, 1] = np.nan, np.inf, 1e12
        return point

    result = forecasts_with_fallbacks([link("net", Toy(0.0, trouble)), *baselines(panel)], panel, 4, ASKED)
    assert np.flatnonzero(result.source != "net").tolist() == [3, 4, 5]
    assert result.reason[3] == result.reason[4] == "net: the forecast is not finite"
    assert "beyond 1e+06 times" in result.reason[5]
    assert np.isfinite(result.point).all() and np.isfinite(result.quantiles).all()


def test_a_series_walks_the_whole_chain_and_every_step_is_told():
    panel = many(3)
    down = Toy(0.0, raises_on(5.0))
    nan = Toy(0.0, lambda panel, point: np.where(np.arange(len(panel))[:, None] == 1, np.nan, point))
    chain = [link("net", down), link("last_good", nan), link("ets", nan), link("naive", Toy())]
    result = forecasts_with_fallbacks(chain, poisoned(panel, [1], 5.0), 4, ASKED)
    assert result.source.tolist() == ["net", "naive", "net"]
    assert result.reason[1] == (
        "net: ValueError: cannot do 5.0; last_good: the forecast is not finite; ets: the forecast is not finite"
    )


def test_later_models_are_not_loaded_when_nobody_needs_them():
    def never():
        raise AssertionError("loaded for nothing")

    panel = many(3)
    result = forecasts_with_fallbacks([link("net", Toy()), Link("last_good", never)], panel, 4, ASKED)
    assert (result.source == "net").all()


def test_a_link_that_cannot_be_loaded_or_is_not_there_is_passed_over():
    def damaged():
        raise ArtifactError("version x is damaged")

    panel = many(3)
    chain = [Link("net", damaged), Link("last_good", lambda: None), *baselines(panel)]
    result = forecasts_with_fallbacks(chain, panel, 4, ASKED)
    assert (result.source == "ets").all()
    assert set(result.reason) == {"net: version x is damaged"}


def test_what_quarantine_holds_starts_at_the_seasonal_naive_and_says_why():
    panel = many(30)
    net = Toy()
    fault = Fault("y", "17 rows are outside 0 … 100", "Mend them.", 3)
    held = {3: (fault, fault), 4: "sensor\x1b[31m is off", 99: "not in the panel"}
    result = forecasts_with_fallbacks([link("net", net), *baselines(panel)], panel, 4, ASKED, held)
    assert np.flatnonzero(result.source != "net").tolist() == [3, 4]
    assert set(result.source[[3, 4]]) == {"seasonal_naive"}
    assert result.reason[3].startswith("quarantined: y: 17 rows are outside") and "and 1 more" in result.reason[3]
    assert "\x1b" not in result.reason[4] and "is off" in result.reason[4]


def test_good_series_do_not_change_by_a_bit_whatever_their_neighbours_are(panel, task, brief, net):
    """With a real net and real baselines: quarantined, poisoned and unforecastable neighbours."""
    model = as_model(net, "dlinear", brief)
    fitted = model.fit(panel, task)
    crowd = many(700, 40)
    healthy = forecasts_with_fallbacks([link("net", fitted), *baselines(crowd)], crowd, 4, ASKED)
    bad = [0, 5, 300, 512, 640]
    sick = poisoned(crowd, bad[:2], np.nan)
    sick = poisoned(sick, bad[2:4], 1e300)

    class Moody:
        """The net, which cannot stand one of the series."""

        def predict(self, panel, h, probs=()):
            if (panel.values[panel.offsets[:-1]] == 1e300).any():
                raise RuntimeError("overflow")
            return fitted.predict(panel, h, probs)

    chain = [link("net", Moody()), *baselines(crowd)]
    result = forecasts_with_fallbacks(chain, sick, 4, ASKED, {640: "stuck"})
    good = np.setdiff1d(np.arange(700), bad)
    assert (result.source[good] == "net").all() and (result.source[bad] != "net").all()
    assert np.array_equal(result.point[good], healthy.point[good])
    assert np.array_equal(result.quantiles[good], healthy.quantiles[good])


def test_baselines_do_not_even_notice_that_others_are_missing():
    crowd = many(60, 40)
    everyone = forecasts_with_fallbacks(baselines(crowd), crowd, 4, ASKED)
    chain = [link("net", Toy(0.0, lambda panel, point: np.where(np.arange(60)[:, None] % 7 == 2, np.nan, point)))]
    some = forecasts_with_fallbacks([*chain, *baselines(crowd)], crowd, 4, ASKED)
    moved = np.arange(60) % 7 == 2
    assert (some.source[moved] == "ets").all()
    assert np.array_equal(some.point[moved], everyone.point[moved])
    assert np.array_equal(some.quantiles[moved], everyone.quantiles[moved])


@pytest.mark.parametrize("room", [1, 3, 100, 700, 5000])
@pytest.mark.parametrize(
    "error",
    [OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()],
)
def test_when_memory_runs_out_fewer_series_are_forecast_at_a_time(room, error):
    panel = many(1500)

    def trouble(panel, point):
        if len(panel) > room:
            raise error

    toy = Toy(1.0, trouble)
    result = forecasts_with_fallbacks([link("net", toy), *baselines(panel)], panel, 4, ASKED)
    assert (result.source == "net").all()
    assert np.array_equal(result.point, forecasts_with_fallbacks([link("net", Toy(1.0))], panel, 4, ASKED).point)
    tried = [size for size in toy.calls if size > room]
    assert len(tried) <= 12, "it goes on asking for more than there is room for"


def test_a_model_that_never_works_is_given_up_soon_and_the_chain_goes_on():
    panel = many(20_000, 10)

    def broken(panel, point):
        raise RuntimeError("no kernel image is available")

    toy = Toy(0.0, broken)
    result = forecasts_with_fallbacks([link("net", toy), link("naive", Toy())], panel, 4, ASKED)
    assert (result.source == "naive").all()
    assert len(toy.calls) < 200
    assert set(result.reason) == {"net: RuntimeError: no kernel image is available"}
    wrong = Toy(0.0, lambda panel, point: (_ for _ in ()).throw(ConfigError("h=9 is beyond the trained horizon of 4.")))
    result = forecasts_with_fallbacks([link("net", wrong), link("naive", Toy())], panel, 4, ASKED)
    assert len(wrong.calls) == 1 and set(result.reason) == {"net: h=9 is beyond the trained horizon of 4."}


def test_a_block_of_bad_series_does_not_cost_the_other_blocks_their_model():
    panel = poisoned(many(5000, 8), list(range(512, 1024)), 5.0)
    toy = Toy(1.0, raises_on(5.0, DataError_of))
    result = forecasts_with_fallbacks([link("net", toy), link("naive", Toy())], panel, 4, ASKED)
    assert np.flatnonzero(result.source != "net").tolist() == list(range(512, 1024))
    assert len(toy.calls) < 100


def DataError_of(text: str) -> DataError:
    return DataError(Fault("y", text, "Mend it."))


def test_a_forecast_of_the_wrong_shape_counts_as_none():
    panel = many(3)

    class Short:
        def predict(self, panel, h, probs=()):
            return Prediction(np.zeros((len(panel), h - 1)), np.zeros((len(panel), h - 1, len(probs))), probs)

    result = forecasts_with_fallbacks([link("net", Short()), *baselines(panel)], panel, 4, ASKED)
    assert (result.source == "ets").all() and "shape (3, 3)" in result.reason[0]


def test_quantiles_that_cross_are_put_in_order():
    panel = many(3)

    class Crossing(Toy):
        def predict(self, panel, h, probs=()):
            made = super().predict(panel, h, probs)
            return replace(made, quantiles=made.quantiles[..., ::-1].copy())

    result = forecasts_with_fallbacks([link("net", Crossing())], panel, 4, ASKED)
    assert (np.diff(result.quantiles, axis=-1) >= 0).all()


def test_where_a_model_lets_another_stand_in_its_reason_is_kept():
    panel = poisoned(many(3), [1], 7.0)
    panel = replace(
        panel, values=np.where(np.arange(60) == 25, 7.0, np.where(panel.values == 7.0, np.nan, panel.values))
    )
    result = forecasts_with_fallbacks(baselines(panel), panel, 4, ASKED)
    assert result.source.tolist() == ["ets"] * 3
    assert "1 known value" in result.reason[1] and result.reason[0] != result.reason[1]


def test_a_series_of_which_nothing_is_known_gets_its_last_published_forecast():
    import pandas as pd

    panel = poisoned(many(4), [1, 2])
    stamps = panel.timeline.stamps(np.arange(18, 23))  # made two rows ago
    rows = [
        {"unique_id": 1, "ds": ds, "mean": 10.0 + k, "lo-80": 9.0 + k, "hi-80": 11.0 + k, "q-0.5": 10.0 + k}
        for k, ds in enumerate(stamps)
    ]
    earlier = Earlier.of(pd.DataFrame(rows), panel.timeline, ASKED)
    chain = [link("net", Toy()), *baselines(panel), link("earlier_forecast", earlier, safe=True)]
    result = forecasts_with_fallbacks(chain, panel, 4, ASKED)
    assert result.source.tolist() == ["net", "earlier_forecast", "none", "net"]
    assert result.point[1].tolist() == [12.0, 13.0, 14.0, 14.0]  # steps 20, 21, 22 of it; the last one is repeated
    assert result.quantiles[1, :, 0].tolist() == [11.0, 12.0, 13.0, 13.0]
    assert "published before" in result.reason[1] and "repeated for 1 of 4" in result.reason[1]
    assert np.isnan(result.point[2]).all()
    assert result.reason[2] == (
        "no value of it is known; earlier_forecast: none was published before; no model could forecast it"
    )


def test_earlier_forecasts_find_their_place_across_time_zones():
    import pandas as pd

    local = pd.date_range("2024-03-30", periods=4, tz="Europe/Rome")
    grid = Timeline("D", "tick", 86_400_000_000, tz="Europe/Rome")
    earlier = Earlier.of(
        pd.DataFrame({"unique_id": "a", "ds": local.tz_convert("UTC"), "mean": range(4)}), grid, Wanted()
    )
    day = int(grid.ordinals(np.array(["2024-03-30"], dtype="datetime64[us]"))[0][0])
    assert earlier.first.tolist() == [day] and earlier.point.tolist() == [[0.0, 1.0, 2.0, 3.0]]
    hourly = Timeline("h", "tick", 3_600_000_000, tz="Europe/Rome")
    stamps = pd.date_range("2024-03-31 01:00", periods=3, freq="h", tz="Europe/Rome")
    earlier = Earlier.of(pd.DataFrame({"unique_id": "a", "ds": stamps, "mean": range(3)}), hourly, Wanted())
    assert earlier.point.tolist() == [[0.0, 1.0, 2.0]]
    steps = Timeline(1, "step", 1)
    earlier = Earlier.of(pd.DataFrame({"unique_id": 1, "ds": [5, 6], "mean": [1.0, 2.0]}), steps, Wanted())
    assert earlier.first.tolist() == [5]


def test_no_series_is_too_short_and_none_is_lost():
    panel = many(6, 8).head(np.array([0, 1, 2, 3, 8, 0]))
    result = forecasts_with_fallbacks([link("net", Toy()), *baselines(panel)], panel, 4, ASKED)
    assert result.source.tolist() == ["none", "net", "net", "net", "net", "none"]
    assert result.reason[0] == "no value of it is known; no model could forecast it"


def test_the_gaps_of_a_panel_are_filled_as_its_schema_says():
    panel = replace(many(2), schema=Schema(missing="zero"))
    panel.values[19] = np.nan
    result = forecasts_with_fallbacks([link("net", Toy())], panel, 4, Wanted())
    assert result.point[0].tolist() == [0.0] * 4


def test_the_caller_s_panel_is_not_changed():
    panel = poisoned(many(600), [3], 5.0)
    before = panel.values.copy()
    forecasts_with_fallbacks([link("net", Toy(0.0, raises_on(5.0))), *baselines(panel)], panel, 4, ASKED, {7: "x"})
    assert np.array_equal(panel.values, before)


def test_pieces_end_where_the_batches_of_nets_end():
    from forecast.training.neural import PREDICT_BATCH

    assert pieces.BLOCK == PREDICT_BATCH


def test_a_hundred_thousand_series_take_seconds_with_one_bad_among_them():
    panel = poisoned(many(100_000, 30), [77_777], 5.0)
    started = time.process_time()
    chain = [link("net", Toy(1.0, raises_on(5.0))), *baselines(panel)]
    result = forecasts_with_fallbacks(chain, panel, 28, Wanted((80.0, 90.0), (0.5,)))
    assert time.process_time() - started < 60  # a second or two; the bound only catches a loop over series
    assert np.flatnonzero(result.source != "net").tolist() == [77_777]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_forecasts_are_put_in_another_order_with_everything_that_is_said_of_them(order):
    rng = np.random.default_rng(0)
    point, quantiles = rng.normal(size=(3, 2)), rng.normal(size=(4, 3, 2)).transpose(1, 2, 0)
    source, reason = (np.array(words, dtype=object) for words in (["a", "b", "a"], ["", "why", "x"]))
    made = Forecasts(point.copy(), quantiles.copy(order="K"), (0.1, 0.2, 0.3, 0.4), source, reason)
    counts, now = made.counts(), made.arranged(np.array(order))
    assert np.array_equal(now.point, point[order]) and np.array_equal(now.quantiles, quantiles[order])
    assert now.source.tolist() == source[order].tolist() and now.reason.tolist() == reason[order].tolist()
    assert now.counts() == counts
