"""Batched Levenberg-Marquardt on problems whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.baselines.least_squares import Slopes, minimise

WIDE = np.full((2, 1), 10.0)


def rosenbrock(x: np.ndarray, chosen: np.ndarray) -> Slopes:
    """The sum of squares of ``10 (y - x^2)`` and ``1 - x``, whose valley is curved; the minimum is at (1, 1)."""
    a, b = x
    errors = np.stack([10 * (b - a * a), 1 - a])
    slopes = np.stack([np.stack([-20 * a, np.full_like(a, 10)]), np.stack([-np.ones_like(a), np.zeros_like(a)])])
    return Slopes(
        (errors**2).sum(axis=0), np.einsum("en,epn->pn", errors, slopes), np.einsum("epn,eqn->pqn", slopes, slopes)
    )


def test_a_curved_valley_is_followed_to_its_end():
    start = np.array([[-1.2, 0.0, 3.0], [1.0, 5.0, -3.0]])
    x, value = minimise(rosenbrock, start, -WIDE, WIDE, 200)
    np.testing.assert_allclose(x, 1.0, atol=1e-3)
    assert (value < 1e-6).all()
    np.testing.assert_array_equal(start[:, 0], [-1.2, 1.0])


def test_a_minimum_outside_the_box_is_found_on_its_border():
    x, value = minimise(rosenbrock, np.array([[0.2], [0.1]]), np.zeros((2, 1)), np.full((2, 1), 0.5), 200)
    np.testing.assert_allclose(x[:, 0], [0.5, 0.25], atol=1e-2)  # along the valley to x = 0.5
    assert value[0] == pytest.approx(0.25, rel=1e-2)


def test_problems_do_not_see_one_another():
    start = np.random.default_rng(0).uniform(-2, 2, (2, 9))
    together, _ = minimise(rosenbrock, start, -WIDE, WIDE, 30)
    for column in range(9):
        alone, _ = minimise(rosenbrock, start[:, [column]], -WIDE, WIDE, 30)
        np.testing.assert_array_equal(alone[:, 0], together[:, column])


def test_a_problem_without_a_value_is_left_alone():
    def broken(x: np.ndarray, chosen: np.ndarray) -> Slopes:
        found = rosenbrock(x, chosen)
        return found._replace(value=np.where(chosen == 1, np.inf, found.value))

    start = np.array([[-1.2, -1.2], [1.0, 1.0]])
    x, value = minimise(broken, start, -WIDE, WIDE, 200)
    assert np.isinf(value[1])
    np.testing.assert_array_equal(x[:, 1], start[:, 1])
    assert value[0] < 1e-6
