"""Cold start: a series from its static features alone, by its age, in units of the panel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from forecast import ArtifactError, ConfigError, DataError, Forecaster, ForecastWarning, Training
from forecast.cli import main
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import ColdStart, create
from forecast.nets.facts import Facts
from forecast.training import neural
from forecast.training.cold import beginnings, prepare
from forecast.training.neural import Neural
from forecast.windows.gather import Batch
from forecast.windows.static import static_table
from tests.conftest import seasonal_frame
from tests.test_artifact import edit

NAN = float("nan")
TINY = ColdStart(input_size=4, hidden_size=8)
QUICK = Training(max_steps=3, batch_size=8, cycles=1, validations=1)
H = 3


def catalogue(count: int = 12, length: int = 20, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Products whose level is their size and whose slope is their colour's; they start at different times."""
    rng = np.random.default_rng(seed)
    ids = [f"p{number}" for number in range(count)]
    size, colour = rng.uniform(1.0, 3.0, count), rng.choice(["up", "down"], count)
    frames = []
    for name, level, kind, late in zip(ids, size, colour, rng.integers(0, 9, count), strict=True):
        step = np.arange(length - late)
        y = 100.0 * level * (1.0 + (0.05 if kind == "up" else -0.05) * step)
        stamps = pd.date_range("2020-01-01", periods=length, freq="MS")[late:]
        frames.append(pd.DataFrame({"unique_id": name, "ds": stamps, "y": y}))
    return pd.concat(frames, ignore_index=True), pd.DataFrame({"unique_id": ids, "size": size, "colour": colour})


FRAME, STATIC = catalogue()
NEW = pd.DataFrame({"unique_id": ["new1", "new2"], "size": [1.5, 2.5], "colour": ["up", "down"]})


def forecaster(training: Training = QUICK, model: ColdStart = TINY) -> Forecaster:
    return Forecaster({"cold_start": model}, h=H, freq="MS", training=training, progress=False)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return forecaster().fit(FRAME, static_df=STATIC)


def of(out: pd.DataFrame, name: str) -> np.ndarray:
    return out.loc[out["unique_id"] == name, "cold_start"].to_numpy()


def test_the_life_is_the_decoder_unrolled_from_the_embedding():
    torch.manual_seed(0)
    net = ColdStart(hidden_size=3, dropout=0.5).build(Facts(input_size=2, h=2, static=5)).eval()
    static = torch.randn(2, 5)
    weights = dict(net.decoder.named_parameters())
    embedded = torch.relu(static @ net.embed.weight.T + net.embed.bias)
    hidden, memory = torch.tanh(embedded @ net.begin.weight.T + net.begin.bias), torch.zeros(2, 3)
    expected = []
    for step in range(4):
        read = torch.cat([embedded, net.step[step].expand(2, -1)], dim=1)
        free = read @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
        free = free + hidden @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        i, f, g, o = free.chunk(4, dim=1)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(memory)
        level = embedded @ net.level.weight.T + net.level.bias
        expected.append(hidden @ net.project.weight.T + net.project.bias + level)
    life = net(Batch(torch.zeros(2, 1), None, static=static))
    torch.testing.assert_close(life, torch.stack(expected, dim=1))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "rnn_relu"])
def test_every_cell_gives_a_life_with_as_many_outputs_as_quantiles(cell):
    facts = Facts(input_size=4, h=3, probs=(0.1, 0.5, 0.9), static=2)
    net = ColdStart(cell=cell, hidden_size=6, num_layers=2, quantiles=(0.1, 0.9)).build(facts).eval()
    life = net(Batch(torch.zeros(5, 1), None, static=torch.randn(5, 2)))
    assert life.shape == (5, 7, 3)
    assert (life.diff(dim=-1) >= 0).all()


def test_without_static_features_it_says_what_it_needs_before_anything_is_trained(monkeypatch):
    with pytest.raises(ConfigError, match="pass static_df, a row for each series"):
        TINY.build(Facts(input_size=4, h=3))
    monkeypatch.setattr(Neural, "prepare", None)
    both = Forecaster({"line": create("linear"), "cold": TINY}, h=H, training=QUICK, progress=False)
    for call in (both.fit, both.cross_validation):
        with pytest.raises(
            ConfigError, match=r"cold: forecasts are made from static features alone, and there are none"
        ):
            call(FRAME)


def test_the_beginning_of_a_series_starts_with_its_first_known_row():
    frame = pd.DataFrame({"unique_id": list("aaaabb"), "ds": [1, 2, 3, 5, 4, 5], "y": [1.0, 2.0, 3.0, 5.0, 7.0, 8.0]})
    np.testing.assert_array_equal(beginnings(to_panel(frame), 3), [[1.0, 2.0, 3.0], [7.0, 8.0, NAN]])
    np.testing.assert_array_equal(beginnings(to_panel(frame), 5)[0], [1.0, 2.0, 3.0, NAN, 5.0])


def prepared(frame: pd.DataFrame, static: pd.DataFrame, val_size: int | None = None):
    return prepare(Neural(TINY, QUICK), to_panel(frame, static=static), Task(H, val_size=val_size))


def test_every_fifth_series_is_held_out_of_training_units_and_encoding():
    frame, static = catalogue(12)
    source = prepared(frame, static).source
    held_out = source.validation_series
    assert len(held_out) == 2
    assert source.windows.total == 10
    names = [f"p{number}" for number in held_out]
    poisoned = frame.assign(y=frame["y"].where(~frame["unique_id"].isin(names), frame["y"] * 1.01))
    strange = static.assign(colour=static["colour"].where(~static["unique_id"].isin(names), "mauve"))
    one, two = prepared(frame, static), prepared(poisoned, strange)
    assert (two.source.validation_series == held_out).all()
    assert (one.units, one.readings) == (two.units, two.readings)
    for batch, other in zip(*(p.source.batch(64, 1, 2, 0.0)[:4] for p in (one, two)), strict=True):
        torch.testing.assert_close(batch, other)
    assert len(prepared(frame, static, val_size=0).source.validation) == 0


def test_windows_are_a_blank_past_and_the_life_of_their_own_series():
    frame, static = catalogue(12)
    p = prepared(frame, static, val_size=0)
    starts = p.source.windows.start(torch.arange(12))
    batch = p.source.at(starts)
    assert batch.observed.sum() == 0
    series = torch.searchsorted(torch.from_numpy(p.source.store.offsets), starts, right=True) - 1
    z = p.units.forward(beginnings(to_panel(frame), 7))[series]
    np.testing.assert_allclose(batch.future.numpy(), np.nan_to_num(z), rtol=1e-5)
    np.testing.assert_array_equal(batch.future_observed.numpy(), np.isfinite(z))
    sizes = static["size"].to_numpy()[series]
    assert (np.argsort(batch.static[:, 0].numpy()) == np.argsort(sizes)).all()


def test_series_never_seen_follow_their_features():
    frame, static = catalogue(60)
    training = Training(max_steps=300, batch_size=32, learning_rate=1e-2, cycles=1)
    fc = forecaster(training, ColdStart(input_size=4, hidden_size=16, dropout=0.0)).fit(frame, static_df=static)
    rows, table = catalogue(20, seed=7)
    out = fc.predict(static_df=table.assign(unique_id="new " + table["unique_id"]), level=[80])
    out = out[out["unique_id"].str.startswith("new")]
    truth = rows.groupby("unique_id", sort=False).head(H)["y"].to_numpy()
    curve = np.tile(frame[frame.groupby("unique_id").cumcount() < H].pipe(launch_mean), len(table))
    error, naive = np.abs(out["cold_start"] - truth).mean(), np.abs(curve - truth).mean()
    assert error < 0.25 * naive
    assert ((out["cold_start-lo-80"] <= truth) & (truth <= out["cold_start-hi-80"])).mean() >= 0.5


def launch_mean(rows: pd.DataFrame) -> np.ndarray:
    """The mean of the first rows of all series, step by step."""
    return rows.groupby(rows.groupby("unique_id").cumcount())["y"].mean().to_numpy()


def test_a_series_is_forecast_by_its_age(fitted):
    rows = FRAME[FRAME["unique_id"] == "p3"]
    net = fitted._fitted["cold_start"]
    newborn = fitted.predict(static_df=STATIC[STATIC["unique_id"] == "p3"].assign(unique_id="twin"))
    panel = to_panel(rows, static=STATIC[STATIC["unique_id"] == "p3"])
    whole = net.units.inverse(net._life(static_table(panel, net.readings.static).of(torch.tensor([0]))))[0, :, 0]
    assert whole.shape == (7,)
    np.testing.assert_allclose(of(newborn, "twin"), whole[:3], rtol=1e-6)
    for age in (1, 3, 4, 9):
        got = of(fitted.predict(rows.head(age)), "p3")
        np.testing.assert_allclose(got, whole[min(age, 4) : min(age, 4) + 3], rtol=1e-6)


def test_what_a_series_says_plays_no_part(fitted):
    rows = FRAME[FRAME["unique_id"] == "p3"].head(3)
    for y in ([1e9, -5.0, 0.0], [7.0, 7.0, 7.0]):
        np.testing.assert_array_equal(of(fitted.predict(rows.assign(y=y)), "p3"), of(fitted.predict(rows), "p3"))


def test_new_series_are_forecast_from_the_step_after_the_latest_row(fitted):
    out = fitted.predict(static_df=NEW, level=[90])
    assert out["unique_id"].unique().tolist() == [*STATIC["unique_id"], "new1", "new2"]
    last = FRAME["ds"].max()
    for name in ("new1", "new2"):
        stamps = out.loc[out["unique_id"] == name, "ds"]
        assert stamps.tolist() == pd.date_range(last, periods=H + 1, freq="MS")[1:].tolist()
    assert np.isfinite(out.drop(columns=["unique_id", "ds"])).all(axis=None)


def test_new_series_may_stand_beside_given_ones(fitted):
    one = FRAME[FRAME["unique_id"] == "p1"].head(5)
    out = fitted.predict(one, static_df=pd.concat([STATIC, NEW]))
    assert out["unique_id"].unique().tolist() == ["p1", "new1", "new2"]
    np.testing.assert_allclose(of(out, "new2"), of(fitted.predict(static_df=NEW), "new2"), rtol=1e-6)
    later = out.loc[out["unique_id"] == "new1", "ds"]
    assert later.iloc[0] == one["ds"].max() + pd.DateOffset(months=1)


def test_a_net_that_reads_rows_refuses_series_without_any_by_name():
    both = Forecaster({"lstm": create("lstm", input_size=6), "cold": TINY}, h=H, training=QUICK, progress=False)
    both.fit(FRAME, static_df=STATIC)
    with pytest.raises(
        DataError, match="no rows to forecast from, and lstm cannot do without in series 'new1'"
    ) as told:
        both.predict(static_df=NEW)
    assert "'new2'" in str(told.value)
    assert len(both.predict(FRAME[FRAME["unique_id"] == "p1"], static_df=STATIC)) == H


def test_new_series_with_ids_of_another_type_are_refused(fitted):
    with pytest.raises(DataError, match="its ids are integer, those of the series are string"):
        fitted.predict(static_df=NEW.assign(unique_id=[1, 2]))


def test_a_saved_model_forecasts_new_series_the_same(fitted, tmp_path):
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    ask = {"static_df": NEW, "level": [80]}
    pd.testing.assert_frame_equal(loaded.predict(**ask), fitted.predict(**ask), check_exact=True)
    quantile = forecaster(model=ColdStart(input_size=4, hidden_size=8, quantiles=(0.1, 0.9))).fit(
        FRAME, static_df=STATIC
    )
    loaded = Forecaster.load(quantile.save(tmp_path / "q"))
    pd.testing.assert_frame_equal(loaded.predict(**ask), quantile.predict(**ask), check_exact=True)


@pytest.mark.parametrize("change", [{"size": 0.0}, {"spread": -1.0}, {"low": 9e9}, {"center": "0"}, {"more": 1.0}])
def test_units_that_cannot_be_are_refused_on_loading(change, fitted, tmp_path):
    folder = fitted.save(tmp_path / "m")
    edit(folder, lambda m: m["facts"]["models"][0]["units"].update(change))
    with pytest.raises(ArtifactError, match="units"):
        Forecaster.load(folder)


def test_the_summary_lists_its_layers(fitted):
    table = fitted.summary().set_index("layer")
    assert table.loc["embed", "parameters"] == 8 * (1 + 3 + 1)
    assert table.loc["decoder", "shape"] == "7 × 8"


def test_the_command_line_forecasts_series_without_rows(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted.save("m")
    NEW.to_csv("new.csv", index=False)
    assert main(["predict", "model=m", "static=new.csv", "level=[]", "output=out.parquet"]) == 0
    out = pd.read_parquet("out.parquet")
    pd.testing.assert_frame_equal(out, fitted.predict(static_df=NEW), check_exact=True)


def test_order_names_neighbours_and_batch_size_change_nothing(fitted, monkeypatch):
    expected = fitted.predict(static_df=NEW)
    shuffled = forecaster().fit(FRAME.sample(frac=1.0, random_state=3), static_df=STATIC.iloc[::-1])
    renamed = FRAME.assign(unique_id="z" + FRAME["unique_id"])
    other = forecaster().fit(renamed, static_df=STATIC.assign(unique_id="z" + STATIC["unique_id"]))
    for again in (shuffled, other):
        out = again.predict(static_df=NEW)
        np.testing.assert_allclose(of(out, "new1"), of(expected, "new1"), rtol=1e-6)
    alone = fitted.predict(static_df=NEW.iloc[[1]])
    np.testing.assert_allclose(of(alone, "new2"), of(expected, "new2"), rtol=1e-6)
    monkeypatch.setattr(neural, "PREDICT_BATCH", 1)
    np.testing.assert_allclose(fitted.predict(static_df=NEW)["cold_start"], expected["cold_start"], rtol=1e-6)


def test_rows_after_the_cutoff_change_no_forecast():
    position = FRAME.groupby("unique_id").cumcount(ascending=False)
    poisoned = FRAME.assign(y=FRAME["y"].mask(position < H, 1e9))
    one, two = (forecaster().cross_validation(f, static_df=STATIC, level=[80]) for f in (FRAME, poisoned))
    pd.testing.assert_frame_equal(one.drop(columns="y"), two.drop(columns="y"), check_exact=True)


def test_a_loss_that_needs_a_level_is_refused():
    with pytest.raises(ConfigError, match="loss='smape' is for nets that know a series' own level"):
        forecaster(Training(max_steps=2, loss="smape")).fit(FRAME, static_df=STATIC)


def test_one_monthly_frame_with_few_series_trains_on_all_of_them_with_a_warning():
    frame = seasonal_frame(3, 20)
    static = pd.DataFrame({"unique_id": ["s0", "s1", "s2"], "size": [0.0, 1.0, 2.0]})
    with pytest.warns(ForecastWarning, match="3 series are too few to hold any out"):
        out = forecaster().fit(frame, static_df=static).predict()
    assert np.isfinite(out["cold_start"]).all()
