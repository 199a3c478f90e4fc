"""Stateful training: along whole series, with a state that new rows alone advance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import ConfigError, DataError, Forecaster, ForecastWarning, Training
from forecast.cli import main
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import GRU, LSTM, RNN
from forecast.nets.stream import StreamNet
from forecast.resources import conf_dir
from forecast.training.neural import Neural
from forecast.training.stateful import FittedStateful
from forecast.training.stream_source import Stretch
from tests.conftest import seasonal_frame
from tests.training.interruption import killed_once_saved

# What the door says of frames as ragged as these is tested elsewhere.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:y. {words}:forecast.ForecastWarning")
    for words in ("the last values", r"\d+ unknown values? before", r"\d+ values? of .* far from the others")
]

QUICK = Training(max_steps=3, batch_size=4, cycles=1, validations=1, stateful=True, chunk=16)
SMALL = {"input_size": 12, "hidden_size": 6}
CELLS = {
    "lstm": LSTM(**SMALL, num_layers=2, dropout=0.1),
    "gru": GRU(**SMALL),
    "rnn": RNN(**SMALL),
    "rnn_relu": RNN(**SMALL, nonlinearity="relu"),
    "quantiles": LSTM(**SMALL, quantiles=(0.1, 0.9)),
}
H = 3


def forecaster(name: str = "lstm", training: Training = QUICK, **options) -> Forecaster:
    return Forecaster({"net": CELLS[name]}, h=H, freq="MS", training=training, progress=False, **options)


@pytest.fixture(scope="module")
def fitted() -> dict[str, Forecaster]:
    frame = gappy(seasonal_frame(3, 60))
    return {name: forecaster(name).fit(frame) for name in CELLS}


def gappy(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a few values unknown, so that the nets are told about known rows."""
    return frame.assign(y=frame["y"].mask(frame.index % 17 == 5))


def model_of(forecaster: Forecaster) -> FittedStateful:
    (model,) = forecaster._fitted.values()
    assert isinstance(model, FittedStateful)
    return model


def weights_of(forecaster: Forecaster) -> list[torch.Tensor]:
    return list(model_of(forecaster).net.state_dict().values())


def same(one: Forecaster, two: Forecaster) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights_of(one), weights_of(two), strict=True))


def read_again(forecaster: Forecaster, frame: pd.DataFrame, **asked) -> np.ndarray:
    """Forecasts of ``frame`` by reading every series from its first row: new names have no states."""
    out = forecaster.predict(frame.assign(unique_id="again " + frame["unique_id"]), **asked)
    return out.drop(columns=["unique_id", "ds"]).to_numpy()


def by_id(out: pd.DataFrame, column: str = "net") -> dict[str, np.ndarray]:
    return {key: rows[column].to_numpy() for key, rows in out.groupby("unique_id")}


# --- states ---------------------------------------------------------------------------------------------------------


@settings(max_examples=8)
@given(data=st.data())
@pytest.mark.parametrize("name", CELLS)
def test_updating_in_any_steps_equals_reading_everything_again(name, data, fitted):
    frame = gappy(seasonal_frame(3, 60))
    place = frame.groupby("unique_id").cumcount()
    begin = data.draw(st.integers(4, 50))
    model = forecaster(name)
    first = frame[(place < begin) & (frame["unique_id"] != "s2")]
    model._fitted = {"net": model_of(fitted[name]).advanced(to_panel(first, freq="MS"))}
    model._panel, model._task = to_panel(first, freq="MS"), fitted[name]._task
    done = begin
    while done < 60:
        more = done + data.draw(st.integers(1, 30))
        new = (place >= done) & (place < more) & (frame["unique_id"] != "s2")
        if done == begin:  # a series that was not there before
            new |= (frame["unique_id"] == "s2") & (place < more)
        else:
            new |= (frame["unique_id"] == "s2") & (place >= done) & (place < more)
        if new.any():
            model.update(frame[new])
        done = more
    out = model.predict(level=[80]).drop(columns=["unique_id", "ds"]).to_numpy()
    np.testing.assert_allclose(out, read_again(fitted[name], frame, level=[80]), rtol=1e-5)


def test_update_reads_the_new_rows_and_no_others(monkeypatch, tmp_path):
    frame = seasonal_frame(3, 60)
    place = frame.groupby("unique_id").cumcount(ascending=False)
    model = forecaster().fit(frame[place >= 2])
    seen = count_rows(monkeypatch)
    model.predict()
    assert sum(seen) == 0
    model.update(frame[place == 1]).update(frame[place == 0]).predict()
    assert sum(seen) == 6


def count_rows(monkeypatch) -> list[int]:
    """How many rows nets read from now on, call by call."""
    seen: list[int] = []
    read = StreamNet.read

    def counted(self, rows, carry):
        seen.append(rows.shape[0] * rows.shape[1])
        return read(self, rows, carry)

    monkeypatch.setattr(StreamNet, "read", counted)
    return seen


def test_a_loaded_model_forecasts_the_same_and_reads_only_the_rows_of_tomorrow(monkeypatch, tmp_path):
    frame = seasonal_frame(3, 60)
    place = frame.groupby("unique_id").cumcount(ascending=False)
    for name in CELLS:
        model = forecaster(name).fit(frame[place >= 1])
        folder = model.save(tmp_path / name)
        loaded = Forecaster.load(folder)
        pd.testing.assert_frame_equal(loaded.predict(level=[80]), model.predict(level=[80]), check_exact=True)
        again = Forecaster.load(folder).save(tmp_path / "again")
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == {p.name: p.read_bytes() for p in again.iterdir()}
        with monkeypatch.context() as patch:
            seen = count_rows(patch)
            loaded.update(frame[place == 0]).predict()
            assert sum(seen) == 3
            Forecaster.load(loaded.save(tmp_path / name)).predict()
            assert sum(seen) == 3


@pytest.mark.parametrize("missing", ["mask", "interpolate", "ffill", "zero"])
def test_gaps_between_updates_equal_gaps_in_the_history(missing):
    frame = gappy(seasonal_frame(2, 60))
    place = frame.groupby("unique_id").cumcount(ascending=False)
    model = forecaster(missing=missing).fit(frame[place >= 6])
    model.update(frame[place.isin([2, 1, 0])])
    whole = frame.assign(y=frame["y"].mask(place.isin([5, 4, 3])))
    expected = read_again(model, whole)
    np.testing.assert_allclose(model.predict()[["net"]], expected, rtol=1e-5)


def test_a_history_that_was_rewritten_cut_or_replaced_is_read_again(fitted):
    frame = gappy(seasonal_frame(3, 60))
    other = frame.assign(y=frame["y"].where(frame.index != 52, 5.5))
    for changed in (other, frame.groupby("unique_id").head(40), frame.groupby("unique_id").tail(30), frame.iloc[::-1]):
        out = fitted["lstm"].predict(changed)
        again = fitted["lstm"].predict(changed.assign(unique_id="z" + changed["unique_id"]))
        np.testing.assert_allclose(out["net"], again["net"], rtol=1e-5)
    assert not np.allclose(fitted["lstm"].predict(other)["net"], fitted["lstm"].predict(frame)["net"], rtol=1e-5)


def test_predicting_changes_nothing(fitted):
    before = fitted["lstm"].predict()
    fitted["lstm"].predict(seasonal_frame(3, 70, seed=9))
    fitted["lstm"].predict(seasonal_frame(3, 90))
    pd.testing.assert_frame_equal(fitted["lstm"].predict(), before, check_exact=True)


def test_a_backtest_reads_on_from_cutoff_to_cutoff():
    frame = seasonal_frame(2, 60)
    one = forecaster().cross_validation(frame, n_windows=3, level=[80])
    place = frame.groupby("unique_id").cumcount(ascending=False)
    model = forecaster().fit(frame[place >= 3 * H])
    last = one["cutoff"] == one.groupby("unique_id")["cutoff"].transform("max")
    np.testing.assert_allclose(one[last]["net"], read_again(model, frame[place >= H])[:, 0], rtol=1e-5)


# --- what must hold for every model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_rows_after_the_cutoff_change_no_forecast(name):
    frame = seasonal_frame(2, 50)
    position = frame.groupby("unique_id").cumcount(ascending=False)
    poisoned = frame.assign(y=frame["y"].mask(position < H, 1e9))
    asked = {} if name == "quantiles" else {"level": [80]}
    one, two = (forecaster(name).cross_validation(f, **asked) for f in (frame, poisoned))
    pd.testing.assert_frame_equal(one.drop(columns="y"), two.drop(columns="y"), check_exact=True)


def test_held_out_rows_never_reach_the_weights():
    frame = seasonal_frame(3, 60)
    position = frame.groupby("unique_id").cumcount(ascending=False)
    poisoned = frame.assign(y=frame["y"].mask(position < 5, 1e7))
    one, two = (forecaster().fit(f, val_size=5) for f in (frame, poisoned))
    assert same(one, two)
    assert not same(one, forecaster().fit(frame.assign(y=frame["y"].mask(position == 5, 1e7)), val_size=5))


def test_series_order_and_names_change_nothing():
    frame = seasonal_frame(3, 60)
    one = by_id(forecaster().fit(frame).predict())
    shuffled = by_id(forecaster().fit(frame.sample(frac=1.0, random_state=3)).predict())
    names = {"s0": "z", "s1": "m", "s2": "a"}
    renamed = by_id(forecaster().fit(frame.assign(unique_id=frame["unique_id"].map(names))).predict())
    for key, values in one.items():
        np.testing.assert_allclose(shuffled[key], values, rtol=1e-6)
        np.testing.assert_array_equal(renamed[names[key]], values)


@pytest.mark.parametrize("name", CELLS)
def test_a_forecast_depends_on_its_own_series_only(name, fitted):
    frame = gappy(seasonal_frame(7, 60, seed=4))
    together = by_id(fitted[name].predict(frame))
    for key, rows in frame.groupby("unique_id"):
        np.testing.assert_allclose(fitted[name].predict(rows)["net"], together[key], rtol=1e-5)
        twin = fitted[name].predict(rows.assign(unique_id="twin"))
        np.testing.assert_allclose(twin["net"], together[key], rtol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_level_and_unit_pass_through_and_a_constant_is_forecast_as_itself(name, fitted):
    frame = seasonal_frame(3, 60)
    expected = fitted[name].predict(frame)["net"] * 250.0 + 1000.0
    scaled = fitted[name].predict(frame.assign(y=frame["y"] * 250.0 + 1000.0))["net"]
    np.testing.assert_allclose(scaled, expected, rtol=1e-4)
    flat = fitted[name].predict(frame.assign(y=42.0), level=[50])
    np.testing.assert_allclose(flat.drop(columns=["unique_id", "ds"]), 42.0, rtol=1e-6)


def test_unknown_leading_rows_change_nothing(fitted):
    frame = seasonal_frame(1, 30)
    stamps = pd.date_range(end="2014-12-01", periods=9, freq="MS")
    earlier = pd.DataFrame({"unique_id": "s0", "ds": stamps, "y": np.nan})
    one = fitted["lstm"].predict(frame)["net"]
    np.testing.assert_array_equal(fitted["lstm"].predict(pd.concat([earlier, frame]))["net"], one)


@settings(max_examples=25)
@given(
    y=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6).map(lambda v: round(v, 3))), max_size=40),
    decade=st.sampled_from([1e-30, 1.0, 1e24]),
    spike=st.booleans(),
)
@pytest.mark.parametrize("name", ["lstm", "rnn_relu", "quantiles"])
def test_any_finite_history_gives_finite_ordered_forecasts(name, y, decade, spike, fitted):
    values = np.array([1.0, *[np.nan if v is None else v for v in y]]) * decade
    if spike:
        values[-1] = 1e30
    stamps = pd.date_range("2000-01-01", periods=len(values), freq="MS")
    out = fitted[name].predict(pd.DataFrame({"unique_id": "x", "ds": stamps, "y": values}), level=[50, 80])
    columns = ["net-lo-80", "net-lo-50", "net-hi-50", "net-hi-80"]
    assert np.isfinite(out[["net", *columns]]).all(axis=None)
    assert (np.diff(out[columns].to_numpy(), axis=1) >= 0).all()


# --- training -------------------------------------------------------------------------------------------------------


def prepared(frame: pd.DataFrame, name: str = "gru", training: Training = QUICK, **task):
    return Neural(CELLS[name], training).prepare(to_panel(frame, freq="MS"), Task(H, 12, **task))


def test_chunks_read_one_after_the_other_equal_the_series_read_at_once():
    source, _, carried, *_ = prepared(seasonal_frame(1, 120), training=replace(QUICK, batch_size=1))
    source.lanes.at(1)
    start = next(step for step in range(2, 50) if source.batch(1, 0, step, 0.0).fresh.all())
    steps = [source.batch(1, 0, start + k, 0.0) for k in range(3)]
    with torch.no_grad():
        chunks = [carried(stretch).output for stretch in steps]
        rows = torch.cat([stretch.rows for stretch in steps], dim=1)
        hidden, _ = carried.net.read(rows, carried.net.start(1))
    columns = torch.cat([stretch.columns + 16 * k for k, stretch in enumerate(steps)])
    coming = torch.cat([stretch.ahead.coming for stretch in steps])
    torch.testing.assert_close(
        torch.cat(chunks), carried.net.forecast(hidden[0, columns], coming), atol=1e-6, rtol=1e-5
    )


def test_the_gradient_ends_where_the_chunk_begins():
    source, _, carried, *_ = prepared(seasonal_frame(1, 120), training=replace(QUICK, batch_size=1))
    one, two = (source.batch(1, 0, step, 0.0) for step in (0, 1))
    rows = one.rows.clone().requires_grad_()
    carried(one._replace(rows=rows))
    assert not carried.carry.requires_grad
    carried(two).output.sum().backward()
    assert rows.grad is None
    assert carried.net.rnn.weight_hh_l0.grad.abs().sum() > 0


def test_what_lies_ahead_of_a_row_equals_hand_arithmetic():
    y = np.array([5.0, 1.0, 4.0, 4.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0, 9.0, 7.0, 9.0, 3.0, 2.0, 3.0, 8.0])
    frame = pd.DataFrame({"ds": np.arange(18), "y": y})
    net = Neural(GRU(input_size=99, hidden_size=4), replace(QUICK, chunk=6, batch_size=1))
    source = net.prepare(to_panel(frame), Task(2, 3, val_size=4)).source
    stretch: Stretch = source.batch(1, 0, 0, 0.0)
    first = int(source.lanes.at(0).row[0])
    for place, column in enumerate(stretch.columns.tolist()):
        t = first + column
        level = np.array([y[: k + 1].mean() for k in range(t + 1)])
        spread = np.abs(y[1 : t + 1] - level[1:]).mean() if t else 1.0
        ahead = [part[place].numpy() for part in stretch.ahead]
        for step in (1, 2):
            inside = t + step < 14  # rows from 14 on are held out
            expected = (y[t + step] - y[t]) / spread if inside else 0.0
            assert ahead[1][step - 1] == pytest.approx(expected, rel=1e-4)
            assert ahead[2][step - 1] == float(inside and t >= 2)
            naive = (y[t + step - 3] - y[t]) / spread if t + step >= 3 else 0.0
            assert ahead[0][step - 1, 0] == pytest.approx(naive, rel=1e-4)
        errors = np.abs(y[3 : t + 1] - y[: max(0, t - 2)])
        assert ahead[3][0] == pytest.approx(max(errors.mean() / spread, 0.2) if len(errors) else 1.0, rel=1e-4)
        assert ahead[4][0] == pytest.approx(-y[t] / spread, rel=1e-4)


@pytest.mark.parametrize("name", CELLS)
def test_validation_judges_the_forecasts_that_the_model_makes(name):
    frame = gappy(seasonal_frame(3, 60))
    source, _, carried, *_ = prepared(frame, name, val_size=6)
    model = forecaster(name).fit(frame, val_size=6)
    carried.net.load_state_dict(model_of(model).net.state_dict())
    carried.eval()
    assert len(source.validation) == 3
    with torch.inference_mode():
        output = source.judge(carried, source.validation).output
    assert len(output) == 3 * 4  # origins from the last trained row to the last with a whole future
    place = frame.groupby("unique_id").cumcount(ascending=False)
    found = []
    for back in range(H, 7):
        out = model.predict(frame[place >= back].assign(unique_id=lambda f: f["unique_id"] + "x"))
        panel = to_panel(frame[place >= back], freq="MS")
        states = model_of(model)._states_of(panel)
        last, scale = states.running.value[:, None], states.running.scale[:, None]
        found.append((out["net"].to_numpy().reshape(3, H) - last) / scale)
    expected = np.concatenate(found)
    point = output[..., 1 if name == "quantiles" else 0].numpy()
    np.testing.assert_allclose(np.sort(point, axis=0), np.sort(expected, axis=0), atol=1e-4)


@pytest.mark.parametrize(
    "training", [{}, {"loss": "smape"}, {"loss": "huber"}, {"averaging": "ema"}, {"precision": "bf16"}]
)
def test_every_setting_of_training_applies(training):
    model = forecaster(training=replace(QUICK, **training)).fit(seasonal_frame(3, 60))
    assert np.isfinite(model.predict(level=[90])["net-hi-90"]).all()
    history = model_of(model).history
    assert history["steps"] == 3
    assert all(np.isfinite(point["validation_loss"]) for point in history["curves"])


def test_the_learning_rate_can_be_looked_for():
    model = forecaster(training=replace(QUICK, learning_rate="auto")).fit(seasonal_frame(2, 60))
    assert 0 < model_of(model).history["learning_rate"] < 1


def test_the_loss_falls_on_a_learnable_toy():
    training = replace(QUICK, max_steps=150, learning_rate=1e-2, validations=5, patience=None)
    arch = LSTM(input_size=12, hidden_size=16, seasonal_skip=False)
    model = Forecaster({"net": arch}, h=4, training=training, progress=False).fit(seasonal_frame(4, 80))
    curve = [point["train_loss"] for point in model_of(model).history["curves"]]
    assert curve[-1] < 0.6 * curve[0]


def test_two_fits_with_one_seed_are_bit_equal_and_another_seed_differs():
    frame = seasonal_frame()
    one, two, other = (forecaster(seed=s).fit(frame) for s in (1, 1, 2))
    assert same(one, two)
    assert not same(one, other)


def test_an_interrupted_training_resumes_bit_for_bit(tmp_path, monkeypatch):
    frame = seasonal_frame(3, 60)
    whole = replace(QUICK, max_steps=28, batch_size=2, cycles=2, validations=3, patience=None)
    expected = forecaster(training=whole).fit(frame)

    resumable = replace(whole, checkpoint_dir=tmp_path)
    with killed_once_saved(monkeypatch, 12):
        forecaster(training=resumable).fit(frame)
    resumed = forecaster(training=resumable).fit(frame)
    assert same(resumed, expected)
    assert model_of(resumed).history["steps"] == 28
    other = forecaster(training=resumable).fit(frame, val_size=9)
    assert len(list(tmp_path.iterdir())) == 2
    assert not same(other, expected)


def test_validation_and_calibration_read_no_more_than_they_can_afford(monkeypatch):
    from forecast.training import stream_source

    monkeypatch.setattr(stream_source, "MOST_ROWS", 150)
    monkeypatch.setattr(stream_source, "MOST_OF_A_SERIES", 20)
    source = prepared(seasonal_frame(30, 60)).source
    kept = source.validation
    assert 3 <= len(kept) < 30
    assert ((kept.first - kept.begin) == 20).all()
    assert int((kept.last + 1 - kept.begin).sum()) <= 200
    assert np.isfinite(forecaster().fit(seasonal_frame(30, 60)).predict(level=[80])["net-lo-80"]).all()


def test_without_room_for_validation_intervals_come_from_rows_trained_on_and_it_is_told():
    with pytest.warns(ForecastWarning, match="no series is long enough to hold out 3 rows"):
        out = forecaster(season_length=1).fit(seasonal_frame(2, 8)).predict(level=[80])
    assert (out["net-lo-80"] < out["net-hi-80"]).all()


def test_series_that_are_too_short_to_train_on_are_named():
    with pytest.raises(DataError, match="every series is too short to train on"):
        forecaster(season_length=1).fit(seasonal_frame(2, 5))


@pytest.mark.parametrize("h", [1, 5, 24])
def test_every_row_of_a_chunk_can_look_a_horizon_ahead_even_at_the_very_end(h):
    """The last chunk of the last series runs over the end of the rows, and h further."""
    training = replace(QUICK, stateful=True, chunk=40)
    panel = to_panel(seasonal_frame(series=2, length=90), freq="MS")
    source = Neural(CELLS["gru"], training).prepare(panel, Task(h, 12, val_size=0)).source
    for step in range(60):
        stretch = source.batch(8, 0, step, 0.0)
        assert torch.isfinite(stretch.ahead.future).all()


def test_a_series_without_any_known_row_does_no_harm():
    frame = seasonal_frame(2, 40)
    unknown = frame[frame["unique_id"] == "s0"].assign(unique_id="void", y=np.nan)
    panel = to_panel(pd.concat([frame, unknown.assign(y=1.0)]), freq="MS")
    panel = replace(panel, values=np.where(panel.series == 2, np.nan, panel.values))
    model = Neural(CELLS["lstm"], QUICK).fit(panel, Task(H, 12, progress=False))
    point = model.predict(panel, H).point
    assert np.isfinite(point).all()
    assert (point[2] == 0).all()


# --- asking for it --------------------------------------------------------------------------------------------------


def test_the_name_of_the_settings_is_enough():
    (net,) = Forecaster("lstm", h=3, training="stateful", max_steps=7).models.values()
    assert net.training == Training(stateful=True, max_steps=7)


def test_the_yaml_of_stateful_training_differs_in_one_key():
    config = yaml.safe_load((conf_dir() / "trainer" / "stateful.yaml").read_text())
    assert config == {"defaults": ["default"], "stateful": True}


@pytest.mark.parametrize(
    ("model", "training", "hint"),
    [
        ("segrnn", "stateful", "segrnn: SegRNN cannot be trained with stateful=true.* gru, lstm, rnn, rnn_relu, or"),
        (["lstm", "seq2seq"], "stateful", "seq2seq: Seq2Seq cannot"),
        (
            LSTM(bidirectional=True),
            "stateful",
            "lstm: LSTM cannot be trained with stateful=true: with bidirectional=true",
        ),
        ("lstm", "statefull", "no training settings 'statefull'. Did you mean 'stateful'"),
        ("lstm", 3, "training=3 is not a forecast.Training"),
    ],
)
def test_what_cannot_be_trained_so_is_refused_by_the_constructor(model, training, hint):
    with pytest.raises(ConfigError, match=hint):
        Forecaster(model, training=training)


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"chunk": 0}, "chunk=0"),
        ({"sampling": "series"}, "reads every series whole"),
        ({"recency": 0.5}, "recency=0.5"),
    ],
)
def test_settings_that_do_not_go_with_it_are_named(values, hint):
    with pytest.raises(ConfigError, match=hint):
        Training(stateful=True, **values)


def test_the_summary_lists_the_layers_of_the_net(fitted):
    table = fitted["gru"].summary()
    assert {"rnn", "decoder.project"} <= set(table["layer"])
    assert model_of(fitted["gru"]).describe()["stateful"] is True


@pytest.mark.parametrize("spelling", ["trainer", "training"])
def test_the_command_line_knows_it_by_both_names(spelling, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["data=airpassengers", "model=gru", "model.hidden_size=4", f"{spelling}=stateful", "progress=false"]
    quick = ["trainer.max_steps=2", "trainer.batch_size=4", "training.cycles=1", "trainer.validations=1"]
    assert main(["fit", *arguments, *quick, "output=model"]) == 0
    assert isinstance(Forecaster.load(Path("model"))._fitted["gru"], FittedStateful)
