"""Names of units, as far as two of them can be told apart."""

from __future__ import annotations

_UNIT_NAMES = (
    ("km", "kilometer", "kilometre"),
    ("mile", "mi"),
    ("m", "meter", "metre"),
    ("cm", "centimeter", "centimetre"),
    ("ft", "foot", "feet"),
    ("inch", "inche", "in"),
    ("kg", "kilogram", "kilo"),
    ("g", "gram"),
    ("pound", "lb"),
    ("ounce", "oz"),
    ("day", "d"),
    ("hour", "h", "hr"),
    ("minute", "min"),
    ("second", "sec"),
    ("$", "dollar", "usd"),
    ("€", "euro", "eur"),
)
_UNIT_OF = {name: names[0] for names in _UNIT_NAMES for name in names}


def may_be_one_unit(first: str, second: str) -> bool:
    """False only for two units that are both known and different."""
    a, b = _known(first), _known(second)
    return a is None or b is None or a == b


def is_known_unit(word: str) -> bool:
    """Whether the unit is known: one that is not may be any unit, and differs from none."""
    return _known(word) is not None


def _known(unit: str) -> str | None:
    return _UNIT_OF.get(unit.casefold().rstrip("s."))
