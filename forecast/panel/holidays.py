"""Public holidays of countries, their subdivisions and stock exchanges, from the `holidays` package, offline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError, printable, some

if TYPE_CHECKING:
    from holidays import HolidayBase

Int = npt.NDArray[np.int64]
LANGUAGE = "en_US"  # where there is a translation: New Year's Day is then one label in every country


class Place(NamedTuple):
    """A country or stock exchange by its code, and a subdivision of it."""

    code: str
    subdivision: str | None = None

    def __str__(self) -> str:
        return self.code if self.subdivision is None else f"{self.code}-{self.subdivision}"


@dataclass(frozen=True)
class Holidays:
    """Holidays of one place, oldest first.

    Attributes:
        place: where.
        days: days since 1970-01-01, ascending and all different, shape (H,).
        names: what is celebrated on each, in English where there is a translation.
        years: the first and the last year that the place's holidays are known for.
    """

    place: Place
    days: Int
    names: tuple[str, ...]
    years: tuple[int, int]


class Register(NamedTuple):
    """What the package knows: the codes that are exchanges, the code that each spelling of a country or exchange stands
    for, and the names to propose where none fits."""

    exchanges: frozenset[str]
    spellings: dict[str, str]
    names: tuple[str, ...]


@lru_cache(maxsize=1)
def register() -> Register:
    """Every country and exchange of the package."""
    from holidays.registry import COUNTRIES, FINANCIAL

    spellings: dict[str, str] = {}
    names: list[str] = []
    for entries in (FINANCIAL, COUNTRIES):  # a country wins where an exchange has the same letters
        for name, code, *others in entries.values():
            spellings |= dict.fromkeys(map(_plain, (name, code, *others)), code)
            names += [code, name]
    return Register(frozenset(entry[1] for entry in FINANCIAL.values()), spellings, tuple(names))


def find_place(name: str) -> Place:
    """The place called ``name``: ``"DE"``, ``"DEU"`` or ``"Germany"``, ``"DE-BY"`` or ``"DE-Bayern"``, ``"XNYS"``.

    Raises ``ConfigError`` with the nearest names for any other.
    """
    known = register()
    code = known.spellings.get(_plain(name))
    if code is not None:
        return Place(code)
    head, _, tail = name.partition("-")
    code = known.spellings.get(_plain(head))
    if code is None:
        raise ConfigError(
            f"holidays of {printable(name)} are not known.{_near(head, known.names)} "
            "Give a country's code such as 'DE', with a subdivision 'DE-BY', or an exchange such as 'XNYS'."
        )
    divisions = _divisions(code)
    division = divisions.get(tail.strip().casefold())
    if division is None:
        listed = f"It has {some(sorted(set(divisions.values())), 20)}." if divisions else "It has none: leave that out."
        raise ConfigError(
            f"holidays of {printable(name)} are not known: {code} has no subdivision {printable(tail)}."
            f"{_near(tail, divisions)} {listed}"
        )
    return Place(code, division)


def _divisions(code: str) -> dict[str, str]:
    """The subdivisions of a place by their codes and names, all in lower case."""
    calendar = _calendar(Place(code), None)
    aliases = getattr(calendar, "subdivisions_aliases", {})
    return {alias.casefold(): division for alias, division in aliases.items()} | {
        division.casefold(): division for division in calendar.subdivisions
    }


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def _near(text: str, among: Iterable[str]) -> str:
    """A sentence that proposes what may have been meant, or nothing."""
    spelled = {name.casefold(): name for name in among}
    near = get_close_matches(text.strip().casefold(), spelled, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(spelled[name]) for name in near)}?" if near else ""


@lru_cache(maxsize=512)
def holidays_of(place: Place, first_year: int, last_year: int) -> Holidays:
    """The holidays of ``place`` from ``first_year`` to ``last_year``, as far as they are known."""
    known = _calendar(place, None)
    years = (known.start_year, known.end_year)
    wanted = range(max(first_year, years[0]), min(last_year, years[1]) + 1)
    found = sorted(_calendar(place, wanted).items()) if wanted else []
    days = np.array([day for day, _ in found], dtype="datetime64[D]").astype(np.int64)
    # A feast whose moon nobody has seen yet is no other feast.
    names = (name.replace(" (estimated)", "").replace(", estimated)", ")") for _, name in found)
    return Holidays(place, days, tuple(names), years)


def _calendar(place: Place, years: Iterable[int] | None) -> HolidayBase:
    """The package's own calendar, in a language that does not depend on the machine's."""
    from holidays import country_holidays, financial_holidays

    make = financial_holidays if place.code in register().exchanges else country_holidays
    plain = make(place.code, subdiv=place.subdivision)
    language = LANGUAGE if LANGUAGE in plain.supported_languages else plain.default_language
    return make(place.code, subdiv=place.subdivision, years=years, language=language)
