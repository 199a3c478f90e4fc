from __future__ import annotations

import numpy as np
import pytest

from forecast.report.curves import gradient_norms
from forecast.report.diagnosis import gradient_notes
from forecast.report.style import MUTED, PALETTE, REFERENCE


def curve(points: int = 8, **values: object) -> list[dict]:
    """A sound training of three layers; ``values`` replace what a point holds, a callable by its share of training."""
    sound: dict[str, object] = {
        "gradient_norm": 1.0, "gradient_peak": 3.0, "clipped": 0.2, "layer_norms": {"a": 0.1, "b": 0.5, "c": 1.0},
    }  # fmt: skip
    return [
        {"step": 10 * i, **{k: v(i / points) if callable(v) else v for k, v in (sound | values).items()}}
        for i in range(1, points + 1)
    ]


def test_a_sound_training_has_no_notes() -> None:
    assert gradient_notes("net", curve(), 1.0) == []


def test_a_layer_that_gets_a_hundred_thousandth_of_the_last_one_is_named_with_both() -> None:
    (note,) = gradient_notes("net", curve(layer_norms={"a": 2e-5, "b": 0.5, "c": 1.0}))
    assert "The gradients of net vanish" in note
    assert "the norm at a was 2.00e-05 times that of c" in note


def test_several_layers_that_get_nothing_are_counted() -> None:
    (note,) = gradient_notes("net", curve(layer_norms={"a": 0.0, "b": 1e-6, "c": 1.0}))
    assert "the norm at a (and 1 more layer) was zero, against that of c" in note


def test_gradients_that_come_through_in_the_end_or_fail_at_the_head_alone_do_not_vanish() -> None:
    early = curve(layer_norms=lambda share: {"a": 1e-6 if share < 0.7 else 0.1, "c": 1.0})
    assert gradient_notes("net", early) == []
    late = curve(layer_norms=lambda share: {"a": 1e-6 if share > 0.5 else 0.1, "c": 1.0})
    assert len(gradient_notes("net", late)) == 1
    assert gradient_notes("net", curve(layer_norms={"a": 1.0, "c": 1e-9})) == []  # a is nearer to the data


@pytest.mark.parametrize(
    ("clipped", "guard"), [(0.2, "It was clipped"), (0.0, "Nothing clipped it: set gradient_clip")]
)
def test_a_peak_of_more_than_a_hundred_times_the_usual_norm_is_an_explosion(clipped: float, guard: str) -> None:
    points = curve(clipped=clipped, gradient_peak=lambda share: 150.0 if share == 0.5 else 3.0)
    (note,) = gradient_notes("net", points)
    assert "exploded before step 40: one had a norm of 150.0, 150 times the usual 1.000" in note
    assert guard in note
    assert gradient_notes("net", curve(gradient_peak=99.0)) == []


def test_a_bound_that_is_far_exceeded_in_nearly_every_step_is_told_and_one_just_met_is_not() -> None:
    (note,) = gradient_notes("net", curve(gradient_norm=12.0, gradient_peak=40.0, clipped=0.97), bound=1.0)
    assert "clipped in 97 % of the steps, from a usual norm of 12.00 to 1.000" in note
    for points, bound in (
        (curve(gradient_norm=3.0, clipped=1.0), 1.0),
        (curve(gradient_norm=12.0, clipped=0.8), 1.0),
        (curve(gradient_norm=12.0, clipped=1.0), None),
    ):
        assert gradient_notes("net", points, bound) == []


def test_the_share_of_clipped_steps_counts_steps_and_not_validations() -> None:
    points = curve(2, gradient_norm=50.0) + [{**curve(1)[0], "step": 1000 + i, "gradient_norm": 50.0} for i in range(4)]
    points[2]["clipped"] = 1.0  # 980 of about a thousand steps
    (note,) = gradient_notes("net", points, bound=1.0)
    assert "in 98 % of the steps" in note


def test_too_few_points_old_points_and_lost_numbers_tell_nothing() -> None:
    assert gradient_notes("net", curve(3, layer_norms={"a": 0.0, "c": 1.0})) == []
    assert gradient_notes("net", [{"step": i, "gradient_norm": 1.0} for i in range(1, 9)]) == []
    assert gradient_notes("net", [{"step": i, "gradient_norm": float("nan")} for i in range(1, 9)]) == []
    assert gradient_notes("net", []) == []


def test_each_layer_has_a_line_in_its_colour_with_its_name_and_the_whole_net_is_grey() -> None:
    figure = gradient_norms(
        {"net": curve(), "plain": [{"step": 1, "gradient_norm": 1.0}]}, {"net": PALETTE[3], "plain": MUTED}
    )
    net, plain = figure.axes
    lines = {line.get_color(): line.get_ydata() for line in net.get_lines()}
    assert list(lines) == [REFERENCE, *PALETTE[:3]]
    np.testing.assert_array_equal(lines[PALETTE[1]], np.full(8, 0.5))
    assert [text.get_text() for text in net.texts] == ["whole net", "a", "b", "c"]
    assert [line.get_color() for line in plain.get_lines()] == [MUTED]


def test_names_stand_at_the_ends_of_lines_that_span_decades_and_zeros_at_the_bottom() -> None:
    figure = gradient_norms({"net": curve(layer_norms={"a": 1e-6, "b": 1e-3, "z": 0.0})}, {"net": MUTED})
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    heights = {text.get_text(): text.xy[1] for text in axes.texts}
    assert heights["whole net"] > 0.9
    assert 0.4 < heights["b"] < 0.6
    assert heights["z"] < 0.2
