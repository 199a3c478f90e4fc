"""What the names of columns suggest. A name alone decides nothing: it breaks ties and gives reasons."""

from __future__ import annotations

import re

TIMES = (
    "ds",
    "date",
    "datetime",
    "timestamp",
    "time",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "period",
    "t",
    "step",
)
IDS = ("unique_id", "series_id", "item_id", "ts_id", "id", "series")
TARGETS = (
    "y", "target", "value", "values", "sales", "demand", "volume", "quantity", "qty", "units", "consumption", "load",
    "count", "traffic", "orders", "revenue", "turnover", "visits", "passengers",
)  # fmt: skip
ID_WORDS = {
    "id", "ids", "key", "code", "sku", "item", "product", "article", "store", "shop", "branch", "agency", "customer",
    "client", "region", "state", "country", "city", "location", "site", "station", "sensor", "meter", "device", "line",
    "brand", "category", "department", "dept", "warehouse", "series", "name", "symbol", "ticker", "nr", "no", "number",
}  # fmt: skip
PLANNED = {
    "price", "prices", "discount", "discounts", "promo", "promos", "promotion", "promotions", "campaign", "markdown",
    "holiday", "holidays", "event", "events", "closed", "open", "plan", "planned", "schedule", "scheduled", "tariff",
    "budget", "calendar", "forecast", "forecasted", "fcst", "booked", "bookings",
}  # fmt: skip
OBSERVED = {
    "actual", "actuals", "observed", "measured", "realised", "realized", "outage", "outages", "stockout", "stockouts",
    "returned", "returns", "failure", "failures", "cancelled", "canceled", "lag", "lagged",
}  # fmt: skip
SPLIT = "split"


def words(name: object) -> tuple[str, ...]:
    """The words of a column's name in lower case.

    >>> words("avgPrice_regular-2017")
    ('avg', 'price', 'regular', '2017')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", str(name))
    return tuple(word for word in re.split(r"[\W_]+", apart.lower()) if word)


def rank(name: object, known: tuple[str, ...]) -> int:
    """How well a name fits a list of them, most usual first: its place there, then whether any word is in it.

    >>> rank("y", TARGETS), rank("Sales", TARGETS), rank("sales_kg", TARGETS) > rank("visits", TARGETS)
    (0, 4, True)
    """
    lower = str(name).strip().lower()
    if lower in known:
        return known.index(lower)
    found = [known.index(word) for word in words(name) if word in known]
    return len(known) + min(found) if found else 2 * len(known)


def named(name: object, known: tuple[str, ...]) -> bool:
    """Whether a name has anything to do with a list of them."""
    return rank(name, known) < 2 * len(known)


def first_word(name: object, known: set[str]) -> str:
    """The first word of a name that is among ``known``; empty where none is."""
    return next((word for word in words(name) if word in known), "")
