"""The scheduler: every slot once, whatever clocks, runs, ledgers and other schedulers do."""

from __future__ import annotations

import itertools
import json
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.batch.slots import Schedule
from tests.batch.timekeeping import Diary, World, utc

HOURLY = "0 * * * *"


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        (zone, start)
        for zone, days in {
            "Europe/Berlin": ("2026-03-27", "2026-10-23"),
            "America/New_York": ("2026-03-06", "2026-10-30"),
            "Australia/Lord_Howe": ("2026-10-02", "2026-04-03"),
            "Africa/Cairo": ("2024-04-24", "2024-10-29"),
            "America/Nuuk": ("2024-03-28", "2024-10-24"),
        }.items()
        for start in days
    ],
)
def test_a_change_of_the_clocks_costs_no_run_and_adds_none(zone: str, start: str) -> None:
    for cron, count in (("30 2 * * *", 5), ("30 23 * * *", 5), ("45 */6 * * *", 20)):
        world = World(f"{start}T12:00")
        scheduler = world.scheduler(cron, zone)
        world.pass_time(scheduler, step=60.0, days=5)
        planned = Schedule(cron, zone).due(utc(f"{start}T12:00"), world.clock.at)
        assert [run.slot for run in world.runs] == planned == world.diary.of("committed")
        assert abs(len(planned) - count) <= 1


class TestMissedSlots:
    MISSED = ("03-02T02:30", "03-03T02:30", "03-04T02:30")

    @pytest.mark.parametrize(("catchup", "expected"), [("none", ()), ("latest", MISSED[-1:]), ("all", MISSED)])
    @pytest.mark.parametrize("asleep", ["the machine was off", "the laptop was closed"])
    def test_after_three_days_none_the_latest_or_all_run(
        self, catchup: str, expected: tuple[str, ...], asleep: str
    ) -> None:
        world = World("2026-03-01T00:00")
        scheduler = world.scheduler(catchup=catchup)
        world.pass_time(scheduler, hours=5)
        world.clock.at += timedelta(days=3)  # off or asleep: no second of it was counted
        if asleep == "the machine was off":
            scheduler = world.scheduler(catchup=catchup)
        world.pass_time(scheduler, hours=1)
        assert world.slots == ["03-01T02:30", *expected]
        world.pass_time(scheduler, days=1)
        assert world.slots == ["03-01T02:30", *expected, "03-05T02:30"]
        skipped = {slot.strftime("%m-%dT%H:%M"): world.diary.records[slot].reason for slot in world.diary.of("skipped")}
        assert sorted(skipped) == sorted(set(self.MISSED) - set(expected))
        assert all(f"(catchup={catchup})" in reason for reason in skipped.values())
        assert world.overlaps == 0

    def test_the_first_start_ever_has_missed_nothing(self) -> None:
        world = World("2026-03-01T12:00")
        world.pass_time(world.scheduler(catchup="all"), hours=5)
        assert world.slots == [] and world.diary.records == {}

    def test_a_slot_within_the_grace_is_not_missed(self) -> None:
        world = World("2026-03-01T00:00")
        world.diary.note(utc("2026-02-28T02:30"), "committed")
        world.clock.at = utc("2026-03-01T02:30:45")
        scheduler = world.scheduler(catchup="none", grace=60)
        scheduler.step()
        assert world.slots == ["03-01T02:30"]

    def test_years_of_minutes_are_bounded_and_said(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World("2026-03-01T00:00")
        world.diary.note(utc("2023-03-01T00:00"), "committed")
        scheduler = world.scheduler("* * * * *", catchup="latest")
        scheduler.step()
        assert world.slots == ["03-01T00:00"] and len(world.diary.of("skipped")) == 9_999
        assert "of the slots since 2023-03-01T00:00Z only the last 10000" in caplog.text
        assert len(caplog.records) < 15

    @pytest.mark.parametrize("state", ["dead", "ended"])
    @pytest.mark.parametrize("catchup", ["latest", "all"])
    def test_a_run_that_the_machine_took_with_it_is_begun_again(self, state: str, catchup: str) -> None:
        world = World("2026-03-01T09:00")
        world.diary.note(utc("2026-03-01T02:30"), state)
        scheduler = world.scheduler(catchup=catchup)
        world.pass_time(scheduler, hours=1)
        assert world.slots == ["03-01T02:30"] and world.diary.of("committed") == [utc("2026-03-01T02:30")]

    def test_but_not_against_the_policy_nor_after_a_skip(self) -> None:
        for state, catchup in (("dead", "none"), ("skipped", "all"), ("committed", "all")):
            world = World("2026-03-01T09:00")
            world.diary.note(utc("2026-03-01T02:30"), state)
            world.pass_time(world.scheduler(catchup=catchup), hours=1)
            assert world.slots == []


class TestRunsLongerThanTheInterval:
    """Runs of two and a half hours, due every hour."""

    @pytest.mark.parametrize(
        ("overlap", "expected"),
        [
            ("skip", ["01", "04", "07", "10"]),
            ("latest", ["01", "03", "06", "08", "11"]),
            ("queue", ["01", "02", "03", "04", "05"]),
        ],
    )
    def test_nothing_overlaps_and_each_slot_is_accounted_for(self, overlap: str, expected: list[str]) -> None:
        world = World("2026-03-01T00:30", lambda slot, attempt: (9000.0, 0))
        scheduler = world.scheduler(HOURLY, overlap=overlap)
        world.pass_time(scheduler, hours=11)
        assert [slot[-5:-3] for slot in world.slots] == expected
        assert world.overlaps == 0
        known = set(world.diary.records) | {entry.slot for entry in scheduler.lanes[0].agenda.waiting}  # type: ignore[union-attr]
        assert sorted(known) == Schedule(HOURLY).due(utc("2026-03-01T00:30"), world.clock.at)
        reasons = {world.diary.records[slot].reason for slot in world.diary.of("skipped")}
        assert all("the run before it was still going" in reason for reason in reasons)
        assert bool(reasons) == (overlap != "queue")

    def test_a_single_long_run_lets_the_next_slot_follow(self) -> None:
        world = World("2026-03-01T00:30", lambda slot, attempt: (5000.0 if slot.hour == 1 else 60.0, 0))
        world.pass_time(world.scheduler(HOURLY), hours=4)
        assert [slot[-5:-3] for slot in world.slots] == ["01", "02", "03", "04"] and world.overlaps == 0


class TestClocksThatJump:
    def test_back_by_three_hours_repeats_nothing(self) -> None:
        world = World("2026-03-01T00:30")
        scheduler = world.scheduler(HOURLY)
        world.pass_time(scheduler, hours=5)
        assert [slot[-5:-3] for slot in world.slots] == ["01", "02", "03", "04", "05"]
        world.clock.at -= timedelta(hours=3)
        world.pass_time(scheduler, hours=5)
        assert [slot[-5:-3] for slot in world.slots] == ["01", "02", "03", "04", "05", "06", "07"]

    def test_back_by_three_hours_during_a_run_and_across_a_restart_repeats_nothing(self) -> None:
        world = World("2026-03-01T00:30", lambda slot, attempt: (1800.0, 0))
        world.pass_time(world.scheduler(HOURLY), hours=4.6)
        assert len(world.slots) == 5 and world.diary.of("running")
        world.clock.at -= timedelta(hours=3)
        world.pass_time(world.scheduler(HOURLY), hours=5)
        assert [slot[-5:-3] for slot in world.slots] == ["01", "02", "03", "04", "05", "06", "07"]
        assert world.overlaps == 0

    @pytest.mark.parametrize("seconds", [0.5, 3.0, 40.0])
    def test_corrections_around_a_slot_repeat_nothing(self, seconds: float) -> None:
        world = World("2026-03-01T02:29:50", lambda slot, attempt: (5.0, 0))
        scheduler = world.scheduler()
        for _ in range(10):
            world.pass_time(scheduler, step=1.0, seconds=20)
            world.clock.at -= timedelta(seconds=seconds)
        assert world.slots == ["03-01T02:30"]

    def test_ahead_is_treated_as_time_that_was_slept_through(self) -> None:
        world = World("2026-03-01T00:30")
        scheduler = world.scheduler(HOURLY, catchup="all")
        world.pass_time(scheduler, hours=1)
        world.clock.at += timedelta(hours=3)
        world.pass_time(scheduler, hours=1)
        assert [slot[-5:-3] for slot in world.slots] == ["01", "02", "03", "04", "05"] and world.overlaps == 0

    def test_what_a_wrong_clock_skipped_comes_again(self) -> None:
        """Three days ahead for a minute: two days are skipped, and are due after all once the clock is right."""
        world = World("2026-03-01T00:00")
        scheduler = world.scheduler(catchup="latest")
        world.pass_time(scheduler, hours=3)
        world.clock.at += timedelta(days=3)
        world.pass_time(scheduler, minutes=1)
        assert world.slots == ["03-01T02:30", "03-04T02:30"] and len(world.diary.of("skipped")) == 2
        world.clock.at -= timedelta(days=3)
        world.pass_time(scheduler, days=4)
        assert world.slots == ["03-01T02:30", "03-04T02:30", "03-02T02:30", "03-03T02:30", "03-05T02:30"]

    def test_to_the_end_of_the_century_and_back_does_not_silence_it(self) -> None:
        world = World("2026-03-01T00:30")
        scheduler = world.scheduler(HOURLY, catchup="all")
        world.pass_time(scheduler, hours=1)
        gap = utc("2099-01-01T00:00") - world.clock.at
        world.clock.at += gap
        scheduler.step()
        world.clock.at -= gap
        before = len(world.slots)
        world.pass_time(scheduler, hours=3)
        assert [slot[-5:-3] for slot in world.slots[before:]] == ["02", "03", "04"]

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 5), st.floats(-6, 6), st.booleans()), min_size=1, max_size=6))
    def test_whatever_it_does_no_slot_runs_twice_and_none_is_lost(self, jumps: list[tuple[float, float, bool]]) -> None:
        world = World("2026-03-01T00:30", lambda slot, attempt: (900.0, 0))
        scheduler = world.scheduler(HOURLY, catchup="all", overlap="queue")
        scheduler.step()
        seen = world.clock.at
        for hours, jump, restart in jumps:
            world.pass_time(scheduler, step=60.0, hours=hours)
            seen = max(seen, world.clock.at)
            world.clock.at = max(world.clock.at + timedelta(hours=jump), utc("2026-03-01T00:30"))
            if restart and world.slots:
                scheduler = world.scheduler(HOURLY, catchup="all", overlap="queue")
            scheduler.step()
            seen = max(seen, world.clock.at)
        world.clock.at = seen
        world.pass_time(scheduler, step=60.0, hours=20)
        slots = [run.slot for run in world.runs]
        assert len(set(slots)) == len(slots) and world.overlaps == 0
        done = set(world.diary.of("committed")) | set(world.diary.of("running"))
        waiting = {entry.slot for entry in scheduler.lanes[0].agenda.waiting}  # type: ignore[union-attr]
        assert sorted(done | waiting) == Schedule(HOURLY).due(utc("2026-03-01T00:30"), world.clock.at)


class TestSeveralSchedulers:
    def test_two_run_each_slot_once(self) -> None:
        world = World("2026-03-01T00:30", lambda slot, attempt: (5000.0, 0))
        first, second = world.scheduler(HOURLY, overlap="queue"), world.scheduler(HOURLY, overlap="queue")
        world.pass_time(first, second, hours=12)
        world.pass_time(second, hours=6)  # the first is gone, and nobody minds
        finished = [run.slot for run in world.runs if run.poll() == 0]
        committed = world.diary.of("committed")
        assert committed == Schedule(HOURLY).due(utc("2026-03-01T00:30"), committed[-1])
        assert len(set(finished)) == len(finished) == len(committed) and world.overlaps == 0

    def test_one_that_looks_late_starts_nothing(self) -> None:
        world = World("2026-03-01T00:30")
        first, second = world.scheduler(HOURLY), world.scheduler(HOURLY)
        for _ in range(6 * 60):
            world.pass_time(first, seconds=60)
            world.pass_time(second, step=1.0, seconds=1)
        assert [slot[-5:-3] for slot in world.slots] == ["01", "02", "03", "04", "05", "06"]

    def test_a_run_that_loses_the_race_for_the_claim_is_no_failure(self) -> None:
        """Exit code 9: the slot waits for the other, and is dropped when that has done it."""
        world = World("2026-03-01T02:00", lambda slot, attempt: (900.0, 0))
        scheduler = world.scheduler()
        blind = world.diary.slots
        world.diary.slots = lambda job, after, until: []  # type: ignore[method-assign] - has looked a moment too soon
        world.pass_time(scheduler, minutes=29)
        other = world.start(utc("2026-03-01T02:30"))
        world.pass_time(scheduler, minutes=5)
        assert [run.poll() for run in world.runs[1:]] and {run.poll() for run in world.runs[1:]} == {9}
        world.diary.slots = blind  # type: ignore[method-assign]
        count = len(world.runs)
        world.pass_time(scheduler, hours=2)
        assert other.poll() == 0 and len(world.runs) == count
        assert scheduler.lanes[0].failures == 0 and world.diary.of("committed") == [utc("2026-03-01T02:30")]

    def test_a_slot_whose_owner_died_elsewhere_is_taken_over(self) -> None:
        world = World("2026-03-01T02:00")
        scheduler = world.scheduler()
        scheduler.step()
        world.diary.note(utc("2026-03-01T02:30"), "running")
        world.pass_time(scheduler, hours=1)
        assert world.slots == []
        world.diary.note(utc("2026-03-01T02:30"), "dead")
        world.pass_time(scheduler, minutes=1)
        assert world.slots == ["03-01T02:30"] and world.diary.of("committed")

    def test_a_failure_elsewhere_is_left_to_whoever_had_it(self) -> None:
        world = World("2026-03-01T02:00")
        scheduler = world.scheduler()
        scheduler.step()
        world.diary.note(utc("2026-03-01T02:30"), "running")
        world.pass_time(scheduler, hours=1)
        world.diary.note(utc("2026-03-01T02:30"), "ended")
        world.pass_time(scheduler, hours=1)
        assert world.slots == []


class TestRunsThatFail:
    def test_storage_is_tried_again_after_pauses_that_double(self) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (10.0, 8 if attempt < 4 else 0))
        scheduler = world.scheduler(retries=3, backoff=30)
        world.pass_time(scheduler, step=1.0, hours=1)
        starts = [run.started for run in world.runs]
        pauses = [round(late - early - 10) for early, late in itertools.pairwise(starts)]
        assert pauses == pytest.approx([30, 60, 120], abs=2)
        assert world.diary.of("committed") == [utc("2026-03-01T02:30")]
        assert scheduler.lanes[0].failures == 0

    def test_and_given_up_after_the_last_with_a_note_in_the_ledger(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (10.0, 8))
        scheduler = world.scheduler(retries=2, backoff=30)
        world.pass_time(scheduler, hours=1)
        assert len(world.runs) == 3 and scheduler.lanes[0].failures == 1
        (record,) = world.diary.records.values()
        assert record.state == "skipped"
        assert record.reason == "given up after 3 of 3 tries, storage could not be reached after 10 s"
        world.behaviour = lambda slot, attempt: (10.0, 0)
        world.pass_time(scheduler, days=1)
        assert world.slots[3:] == ["03-02T02:30"] and scheduler.lanes[0].failures == 0

    @pytest.mark.parametrize("code", [1, 2, 4, 5, 6, 7, 130, 143])
    def test_what_trying_again_would_not_mend_is_not_tried_again(
        self, code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (10.0, code))
        scheduler = world.scheduler()
        world.pass_time(scheduler, hours=1)
        assert len(world.runs) == 1 and f"failed after 10 s, exit code {code}" in caplog.text
        assert world.diary.of("ended") == [utc("2026-03-01T02:30")]
        world.pass_time(scheduler, days=1)
        assert len(world.runs) == 2 and scheduler.lanes[0].failures == 2

    @pytest.mark.parametrize("code", [0, 3, 10])
    def test_partial_success_and_alerts_are_success(self, code: int) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (10.0, code))
        scheduler = world.scheduler()
        world.pass_time(scheduler, hours=1)
        assert len(world.runs) == 1 and scheduler.lanes[0].failures == 0
        assert scheduler.lanes[0].outcome is not None and scheduler.lanes[0].outcome["exit_code"] == code

    def test_a_run_killed_for_memory_is_tried_again(self) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (10.0, -9 if attempt == 1 else 0))
        world.pass_time(world.scheduler(), hours=1)
        assert world.slots == ["03-01T02:30"] * 2 and world.diary.of("committed")

    def test_a_process_that_cannot_be_started_is_tried_again(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World("2026-03-01T02:00")
        scheduler = world.scheduler()
        start, failures = scheduler.lanes[0]._start, [OSError(11, "Resource temporarily unavailable")] * 2

        def starved(slot: datetime) -> Any:
            if failures:
                raise failures.pop()
            return start(slot)

        scheduler.lanes[0]._start = starved
        world.pass_time(scheduler, hours=1)
        assert world.slots == ["03-01T02:30"] and "it cannot be started: Resource temporarily" in caplog.text

    def test_a_slot_that_waits_to_be_tried_again_is_overtaken_by_none(self) -> None:
        world = World("2026-03-01T00:30", lambda slot, attempt: (10.0, 8 if slot.hour == 1 and attempt < 3 else 0))
        world.pass_time(world.scheduler(HOURLY, backoff=1800, overlap="queue"), hours=3)
        assert [slot[-5:-3] for slot in world.slots] == ["01", "01", "01", "02", "03"]


class TestTooLong:
    def test_a_run_over_the_limit_is_asked_to_stop(self) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (1e6, 0))
        scheduler = world.scheduler(max_runtime=600)
        world.pass_time(scheduler, hours=1)
        (run,) = world.runs
        assert run.signals == [15] and run.ends - run.started == pytest.approx(600, abs=20)
        assert "max_runtime=600" in scheduler.lanes[0].outcome["text"]  # type: ignore[index]
        assert world.diary.of("ended")

    def test_and_killed_when_it_does_not(self) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (1e6, 0), deaf=True)
        world.pass_time(world.scheduler(max_runtime=600, stop_grace=30), hours=1)
        (run,) = world.runs
        assert run.signals == [15, 9] and run.ends - run.started == pytest.approx(630, abs=30)

    def test_one_that_ends_well_while_it_is_asked_has_ended_well(self) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (630.0, 0), deaf=True)
        scheduler = world.scheduler(max_runtime=600, stop_grace=60)
        world.pass_time(scheduler, hours=1)
        assert world.runs[0].signals == [15] and scheduler.lanes[0].failures == 0

    def test_a_clock_that_jumps_does_not_make_it_longer(self) -> None:
        world = World("2026-03-01T02:29", lambda slot, attempt: (300.0, 0))
        scheduler = world.scheduler(max_runtime=600)
        world.pass_time(scheduler, minutes=2)
        world.clock.at += timedelta(hours=5)
        world.pass_time(scheduler, minutes=10)
        assert world.runs[0].signals == [] and world.diary.of("committed")


class TestLedgerAway:
    def test_at_the_start_it_waits_and_then_catches_up(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World("2026-03-04T00:00")
        world.diary.note(utc("2026-03-01T02:30"), "committed")
        world.diary.away = "The ledger at postgresql://*** failed: connection refused."
        scheduler = world.scheduler(catchup="all")
        world.pass_time(scheduler, hours=4)
        assert world.slots == [] and caplog.text.count("connection refused") == 1
        assert world.diary.asked < 4 * 3600 / 5 + 10
        world.diary.away = ""
        world.pass_time(scheduler, hours=1)
        assert world.slots == ["03-02T02:30", "03-03T02:30", "03-04T02:30"]

    def test_at_a_slot_the_run_is_started_all_the_same(self, caplog: pytest.LogCaptureFixture) -> None:
        """The run keeps its forecasts in the local spool then; only it can tell."""
        world = World("2026-03-01T02:00", lambda slot, attempt: (10.0, 8 if attempt < 3 else 0))
        scheduler = world.scheduler()
        scheduler.step()
        world.diary.away = "connection refused"
        world.pass_time(scheduler, hours=1)
        assert world.slots == ["03-01T02:30"] * 3 and caplog.text.count("connection refused") == 1

    def test_what_was_skipped_meanwhile_is_noted_when_it_is_back(self) -> None:
        world = World("2026-03-01T00:30", lambda slot, attempt: (9000.0, 0))
        scheduler = world.scheduler(HOURLY, overlap="skip")
        world.pass_time(scheduler, minutes=40)
        world.diary.away = "connection refused"
        world.pass_time(scheduler, hours=2)
        assert not world.diary.of("skipped")
        world.diary.away = ""
        world.pass_time(scheduler, minutes=1)
        assert world.diary.of("skipped") == [utc("2026-03-01T02:00"), utc("2026-03-01T03:00")]


class TestManyJobs:
    def test_no_more_runs_than_allowed_go_on_at_once_and_who_waits_longest_is_next(self) -> None:
        world = World("2026-03-01T02:00", lambda slot, attempt: (600.0, 0))
        lanes = []
        for minute in (3, 1, 2, 0):
            lane = world.scheduler(f"{minute} 3 * * *", diary=Diary(world.clock)).lanes[0]
            lane.name = f"job{minute}"
            lanes.append(lane)
        scheduler = world.scheduler()
        scheduler.lanes, scheduler.parallel = lanes, 2
        most = 0
        for _ in range(3 * 360):
            world.pass_time(scheduler, seconds=10)
            most = max(most, scheduler.running)
        assert most == 2
        assert [slot[-5:] for slot in world.slots] == ["03:00", "03:01", "03:02", "03:03"]

    def test_a_job_whose_ledger_is_away_holds_up_no_other(self) -> None:
        world = World("2026-03-01T02:00")
        away = Diary(world.clock, away="connection refused")
        scheduler = world.scheduler()
        scheduler.lanes.insert(0, world.scheduler(diary=away).lanes[0])
        world.pass_time(scheduler, hours=1)
        assert world.slots == ["03-01T02:30"]


class TestSignsOfLife:
    def test_the_health_file_says_what_goes_on(self, tmp_path: Path) -> None:
        health = tmp_path / "run" / "health.json"
        world = World("2026-03-01T00:30", lambda slot, attempt: (5400.0, 0 if slot.hour < 3 else 4))
        scheduler = world.scheduler(HOURLY, health=health, overlap="latest")
        scheduler.step()
        told = json.loads(health.read_text())
        assert (
            told["alive"] == "2026-03-01T00:30:00+00:00"
            and told["pid"]
            and told["jobs"][0]["next"] == "2026-03-01T01:00Z"
        )
        world.pass_time(scheduler, minutes=115)
        told = json.loads(health.read_text())
        assert utc("2026-03-01T02:25") - datetime.fromisoformat(told["alive"]) <= timedelta(seconds=60)
        job = told["jobs"][0]
        assert job["running"] == "2026-03-01T01:00Z" and job["waiting"] == ["2026-03-01T02:00Z"]
        world.pass_time(scheduler, hours=4)
        job = json.loads(health.read_text())["jobs"][0]
        assert (job["failures_in_a_row"], job["last"]["exit_code"]) == (1, 4)
        assert list(health.parent.iterdir()) == [health]

    def test_a_health_file_that_cannot_be_written_is_said_once_and_ends_nothing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        world = World("2026-03-01T02:00")
        world.pass_time(world.scheduler(health=tmp_path / "file" / "health.json"), hours=1)
        assert world.diary.of("committed") and caplog.text.count("cannot be written") == 1

    def test_the_log_says_every_hour_that_it_is_alive(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        world = World("2026-03-01T00:00")
        world.pass_time(world.scheduler(), hours=6)
        alive = [record.message for record in caplog.records if record.message.startswith("Alive.")]
        assert 6 <= len(alive) <= 7 and alive[0] == "Alive. nightly waits for 2026-03-01T02:30Z"
        assert "nightly 2026-03-01T02:30Z: done after 20 s." in caplog.messages
