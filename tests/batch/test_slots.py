"""Planned times: every one exactly once, whatever the clocks do."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.batch.slots import Schedule
from forecast.errors import ConfigError

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
# Day of the change, minutes that it takes away (clocks forward) or adds (back), by zone. Written down from the
# published rules, not computed: an hour or half an hour, in the small hours, at noon UTC, at midnight, on a Saturday.
CHANGES = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "Europe/London": ("2026-03-29", "2026-10-25"),
    "Europe/Dublin": ("2026-03-29", "2026-10-25"),
    "Europe/Lisbon": ("2026-03-29", "2026-10-25"),
    "Europe/Helsinki": ("2026-03-29", "2026-10-25"),
    "Europe/Athens": ("2026-03-29", "2026-10-25"),
    "Europe/Kyiv": ("2025-03-30", "2025-10-26"),
    "Europe/Chisinau": ("2024-03-31", "2024-10-27"),
    "Atlantic/Azores": ("2024-03-31", "2024-10-27"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "America/Chicago": ("2026-03-08", "2026-11-01"),
    "America/Denver": ("2026-03-08", "2026-11-01"),
    "America/Los_Angeles": ("2026-03-08", "2026-11-01"),
    "America/Anchorage": ("2026-03-08", "2026-11-01"),
    "America/Adak": ("2026-03-08", "2026-11-01"),
    "America/Halifax": ("2026-03-08", "2026-11-01"),
    "America/St_Johns": ("2026-03-08", "2026-11-01"),
    "America/Miquelon": ("2026-03-08", "2026-11-01"),
    "America/Havana": ("2025-03-09", "2025-11-02"),
    "America/Tijuana": ("2025-03-09", "2025-11-02"),
    "America/Santiago": ("2024-09-08", "2024-04-06"),
    "America/Asuncion": ("2023-10-01", "2024-03-23"),
    "America/Sao_Paulo": ("2018-11-04", "2018-02-17"),
    "America/Nuuk": ("2024-03-30", "2024-10-26"),
    "Africa/Cairo": ("2024-04-26", "2024-10-31"),
    "Africa/Casablanca": ("2024-04-14", "2024-03-10"),
    "Asia/Beirut": ("2024-03-31", "2024-10-26"),
    "Asia/Jerusalem": ("2024-03-29", "2024-10-27"),
    "Asia/Gaza": ("2022-03-27", "2022-10-29"),
    "Asia/Amman": ("2021-03-26", "2021-10-29"),
    "Asia/Tehran": ("2022-03-22", "2022-09-21"),
    "Asia/Damascus": ("2021-03-26", "2021-10-28"),
    "Australia/Sydney": ("2026-10-04", "2026-04-05"),
    "Australia/Adelaide": ("2026-10-04", "2026-04-05"),
    "Australia/Lord_Howe": ("2026-10-04", "2026-04-05"),
    "Pacific/Auckland": ("2026-09-27", "2026-04-05"),
    "Pacific/Chatham": ("2026-09-27", "2026-04-05"),
    "Pacific/Norfolk": ("2024-10-06", "2024-04-07"),
    "Pacific/Easter": ("2024-09-07", "2024-04-06"),
    "Antarctica/Troll": ("2024-03-31", "2024-10-27"),
}
TABLE = [(zone, day, way) for zone, days in CHANGES.items() for day, way in zip(days, ("forward", "back"), strict=True)]
TIMES = ["30 2 * * *", "0 3 * * *", "30 1 * * *", "15 0 * * *", "30 23 * * *"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of the local day, found by looking at every quarter of an hour."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - 15 * HOUR
    for step in (HOUR, timedelta(minutes=15)):
        while at.astimezone(zone).date() < day:
            at += step
        at -= step
    return at + timedelta(minutes=15)


def length(day: date, zone: ZoneInfo) -> timedelta:
    return midnight(day + DAY, zone) - midnight(day, zone)


def of_day(schedule: Schedule, day: date) -> list[datetime]:
    zone = ZoneInfo(schedule.zone)
    tick = timedelta(microseconds=1)
    return schedule.due(midnight(day, zone) - tick, midnight(day + DAY, zone) - tick)


def minutes_lost(zone: str) -> int:
    return {"Australia/Lord_Howe": 30, "Antarctica/Troll": 120}.get(zone, 60)


@pytest.mark.parametrize(("zone", "day", "way"), TABLE, ids=lambda value: str(value))
class TestChangesOfTheClocks:
    def test_the_table_is_right(self, zone: str, day: str, way: str) -> None:
        change = timedelta(minutes=minutes_lost(zone) * (-1 if way == "forward" else 1))
        assert length(date.fromisoformat(day), ZoneInfo(zone)) == DAY + change

    def test_daily_jobs_run_once_for_each_local_day(self, zone: str, day: str, way: str) -> None:
        change, tz = date.fromisoformat(day), ZoneInfo(zone)
        for cron in TIMES:
            schedule = Schedule(cron, zone)
            counts = [len(of_day(schedule, change + offset * DAY)) for offset in range(-2, 4)]
            if counts == [1] * 6:
                continue
            # Clocks that leap over the last hour of a day push what was planned in it to midnight.
            assert (way, cron, counts) == ("forward", "30 23 * * *", [1, 1, 0, 2, 1, 1])
            next_day = midnight(change + DAY, tz)
            assert of_day(schedule, change + DAY)[0] == next_day
            assert (next_day - timedelta(seconds=1)).astimezone(tz).hour == 22

    def test_hourly_and_quarter_hourly_jobs_follow_elapsed_time(self, zone: str, day: str, way: str) -> None:
        change, tz = date.fromisoformat(day), ZoneInfo(zone)
        elapsed = length(change, tz)
        quarters = of_day(Schedule("*/15 * * * *", zone), change)
        assert len(quarters) == elapsed / timedelta(minutes=15)
        assert {late - early for early, late in itertools.pairwise(quarters)} == {timedelta(minutes=15)}
        hours = of_day(Schedule("0 * * * *", zone), change)
        if minutes_lost(zone) % 60 == 0:
            assert len(hours) == elapsed / HOUR
            assert {late - early for early, late in itertools.pairwise(hours)} == {HOUR}
        else:
            assert len(hours) == (23 if way == "forward" else 24)
        assert {slot.astimezone(tz).minute for slot in hours} == {0} or way == "forward"

    def test_every_second_hour_is_planned_on_the_clock(self, zone: str, day: str, way: str) -> None:
        change = date.fromisoformat(day)
        schedule = Schedule("15 */2 * * *", zone)
        slots = schedule.due(midnight(change - DAY, ZoneInfo(zone)), midnight(change + 2 * DAY, ZoneInfo(zone)))
        assert len(slots) == len(set(slots)) == 36

    def test_looking_step_by_step_finds_the_same(self, zone: str, day: str, way: str) -> None:
        start, stop = utc(day) - 6 * HOUR, utc(day) + 24 * HOUR
        for cron in ("10 */3 * * *", "40 * * * *"):
            schedule = Schedule(cron, zone)
            expected = schedule.due(start, stop)
            forward, at = [], start
            while (at := schedule.next(at)) <= stop:
                forward.append(at)
            backward, at = [], stop
            while (found := schedule.latest(at)) is not None and found > start:
                backward.append(found)
                at = found - timedelta(microseconds=1)
            assert forward == expected == backward[::-1]


def test_the_table_has_thirty_zones_with_both_changes() -> None:
    assert len(CHANGES) >= 30


def test_a_time_that_is_skipped_moves_to_the_change_and_one_that_comes_twice_counts_first() -> None:
    berlin = Schedule("30 2 * * *", "Europe/Berlin")
    assert of_day(berlin, date(2026, 3, 29)) == [utc("2026-03-29T01:00")]
    assert of_day(berlin, date(2026, 10, 25)) == [utc("2026-10-25T00:30")]
    assert of_day(Schedule("45 1 * * *", "Australia/Lord_Howe"), date(2026, 4, 5)) == [utc("2026-04-04T14:45")]
    # After the first of the two, and before the second, the next one is tomorrow's.
    assert berlin.next(utc("2026-10-25T01:15")) == utc("2026-10-26T01:30")
    assert berlin.latest(utc("2026-10-25T01:15")) == utc("2026-10-25T00:30")


def test_times_that_are_skipped_together_share_one_slot() -> None:
    slots = of_day(Schedule("0,20,40 2,3 * * *", "Europe/Berlin"), date(2026, 3, 29))
    assert slots == [utc("2026-03-29T01:00"), utc("2026-03-29T01:20"), utc("2026-03-29T01:40")]


def test_a_day_that_a_zone_left_out_has_no_slot() -> None:
    slots = Schedule("30 2 * * *", "Pacific/Apia").due(utc("2011-12-28T00:00"), utc("2012-01-01T12:00"))
    local = [slot.astimezone(ZoneInfo("Pacific/Apia")).date().isoformat() for slot in slots]
    assert local == ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]


def test_sundays_are_sundays_and_both_days_must_match_beside_a_star() -> None:
    for cron in ("0 0 * * 0", "0 0 * * 7", "0 0 * * SUN", "@weekly", "0 0 * * sun"):
        assert Schedule(cron).next(utc("2026-03-25T00:00")) == utc("2026-03-29T00:00")
    assert Schedule("0 0 13 * FRI").due(utc("2026-03-01T00:00"), utc("2026-03-14T00:00")) == [
        utc("2026-03-06T00:00"), utc("2026-03-13T00:00"),
    ]  # fmt: skip
    assert Schedule("0 6 L * *").next(utc("2028-02-01T00:00")) == utc("2028-02-29T06:00")
    assert Schedule("0 0 29 2 *").latest(utc("2027-01-01T00:00")) == utc("2024-02-29T00:00")


def test_the_end_belongs_to_the_range_and_the_start_does_not() -> None:
    daily = Schedule("30 2 * * *")
    slot = utc("2026-03-02T02:30")
    tick = timedelta(microseconds=1)
    assert daily.due(slot - DAY, slot) == [slot]
    assert daily.due(slot, slot + DAY - tick) == []
    assert daily.due(slot, slot) == daily.due(slot, slot - 9 * DAY) == []
    assert daily.latest(slot) == slot and daily.latest(slot - tick) == slot - DAY
    assert daily.next(slot) == slot + DAY and daily.next(slot - tick) == slot
    other = slot.astimezone(ZoneInfo("Asia/Kathmandu"))
    assert daily.due(other - DAY, other) == [slot] and daily.due(other - DAY, other)[0].tzinfo is UTC


def test_too_many_slots_are_refused_and_the_last_of_them_can_be_had() -> None:
    minutes = Schedule("* * * * *", "Europe/Berlin")
    start, stop = utc("2016-01-01T00:00"), utc("2026-03-29T03:00")
    with pytest.raises(ConfigError, match=r"more than 100 slots after 2016-01-01T00:00:00\+00:00 and until .* shorter"):
        minutes.due(start, stop, limit=100)
    last = minutes.recent(start, stop, 100)
    assert last == [stop - timedelta(minutes=back) for back in range(99, -1, -1)]
    assert minutes.due(stop - 100 * timedelta(minutes=1), stop, limit=100) == last


@settings(max_examples=15, deadline=None)
@given(
    zone=st.sampled_from(sorted(available_timezones() & set(CHANGES))),
    cron=st.tuples(
        st.sampled_from(["0", "30", "*/20", "5,55", "*"]), st.sampled_from(["*", "2", "*/2", "0-4", "1,23", "*/1"])
    ),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1)),
    hours=st.integers(0, 80),
    cut=st.floats(0, 1),
)
def test_two_halves_of_any_range_are_the_whole(
    zone: str, cron: tuple[str, str], start: datetime, hours: int, cut: float
) -> None:
    schedule = Schedule(f"{cron[0]} {cron[1]} * * *", zone)
    first = start.replace(tzinfo=UTC)
    last = first + hours * HOUR
    middle = first + (last - first) * cut
    whole = schedule.due(first, last)
    assert schedule.due(first, middle) + schedule.due(middle, last) == whole
    assert all(early < late for early, late in itertools.pairwise(whole))
    assert all(first < slot <= last and slot.second == slot.microsecond == 0 for slot in whole)
    assert schedule.next(first) == (whole[0] if whole else schedule.next(last))


BAD_CRON = [
    "", "   ", "* * * *", "* * * * * *", "61 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 32 * *", "0 0 * 13 *",
    "0 0 * * 8", "0 0 30 2 *", "0 0 31 4,6 *", "*/0 * * * *", "5-1 * * * *", "a b c d e", "1- * * * *", "0 0 * * MON#6",
    "@reboot", "٣ * * * *", "0 0 1#2 * *", "L * * * *", "-1 * * * *", "1.5 * * * *", "9" * 5000 + " * * * *",
    "1," * 3000 + "1 * * * *", "0 0 * * *\n; rm -rf /", None, 5, b"0 0 * * *", ["0", "0", "*", "*", "*"],
]  # fmt: skip


@pytest.mark.parametrize("cron", BAD_CRON, ids=lambda cron: repr(cron)[:20])
def test_a_text_that_is_no_schedule_is_refused_with_the_way_out(cron: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^cron=.* is not a schedule: .*Write five fields.*'30 2 \* \* \*'"
    ) as caught:
        Schedule(cron)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "hint"),
    [("Europe/Berln", "Europe/Berlin"), ("utc", "UTC"), ("europe/paris", "Europe/Paris"), ("CEST", ""), ("", "Use a name"),
     ("../../etc/passwd", "Use a name"), ("/etc/localtime", ""), ("America", ""), ("a\0b", ""), ("x" * 3000, ""), (None, ""),
     (["UTC"], ""), (3, "")],
)  # fmt: skip
def test_a_zone_that_is_not_known_is_refused_and_the_nearest_named(zone: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=r"^zone=.* is not a time zone\. ") as caught:
        Schedule("0 0 * * *", zone)
    assert hint in str(caught.value) and len(str(caught.value)) < 300


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"2026-03-01T00:00:00 has no time zone\. Write 2026-03-01T00:00:00\+00:00"):
        Schedule("0 0 * * *").next(datetime(2026, 3, 1))


def test_a_schedule_tells_itself_in_words() -> None:
    assert Schedule("30 2 * * *", "Europe/Berlin").explain() == "At 02:30 every day (Europe/Berlin)"
    assert str(Schedule("@daily")) == "@daily UTC"
