"""What was tried: candidates by loss, weights of all seeds together, plain lists for plain ensembles."""

from __future__ import annotations

from forecast.report.tried import tried_table


def test_a_single_model_has_nothing_to_tell() -> None:
    assert tried_table({"kind": "SegRNN"}) is None


def test_candidates_are_ordered_by_loss_and_those_that_left_come_last() -> None:
    tried = [
        {"name": "slow", "seconds": 0.5, "verdict": "out: would take 90 s"},
        {"name": "naive", "seconds": 0.1, "mase": 2.0, "smape": 20.0, "loss": 1.0, "verdict": "in"},
        {"name": "segrnn", "seconds": 70.0, "mase": 0.8, "smape": 10.0, "loss": 0.45, "verdict": "in"},
    ]
    members = [{"name": "segrnn", "weight": 0.5}, {"name": "segrnn#2", "weight": 0.4}, {"name": "naive", "weight": 0.1}]
    table = tried_table({"members": members, "tried": tried, "why": "because"})
    assert table is not None and table["why"] == "because"
    assert [row["name"] for row in table["rows"]] == ["segrnn", "naive", "slow"]
    assert table["rows"][0]["cells"] == ["0.800", "10.00", "0.450", "1 min 10 s", "90%"]
    assert table["rows"][2] == {
        "name": "slow",
        "cells": ["–", "–", "–", "0.50 s", "–"],
        "verdict": "out: would take 90 s",
    }


def test_an_ensemble_that_was_told_its_members_lists_them_with_their_weights() -> None:
    table = tried_table({"members": [{"name": "ets", "weight": 0.25}, {"name": "theta", "weight": 0.75}]})
    assert table is not None
    assert [(row["name"], row["cells"][-1]) for row in table["rows"]] == [("ets", "25%"), ("theta", "75%")]
