"""Numbers and axes as texts, and what lists of texts have in common; a dash is where there is no number."""

import math
from collections.abc import Sequence
from typing import Any

from tetviz.summaries import wilson

NO_NUMBER = "-"
_COORDINATES = {"unit": "L2 distance", "none": "", "": ""}
_ENERGIES = ((1e12, "J"), (1e9, "mJ"), (1e6, "\N{MICRO SIGN}J"), (1e3, "nJ"), (1.0, "pJ"))


def number(value: float, digits: str = ".4g") -> str:
    """A number as text."""
    return format(value, digits) if math.isfinite(value) else NO_NUMBER


def digits(value: float) -> str:
    """A number to four digits."""
    return "0" if value == 0 else number(value, "#.4g").removesuffix(".")


def short(value: float) -> str:
    """A number to four digits, from a thousand on to the unit."""
    return number(value, ",.0f") if abs(value) >= 999.95 else digits(value)


def shares(accuracy: Any, samples: Any) -> list[str]:
    """Accuracies with their 95 % Wilson intervals, such as ``99.16% [97.57, 99.71]``.

    Args:
        accuracy: fractions.
    """
    ends = zip(accuracy, *wilson(accuracy, samples), strict=True)
    return [f"{p:.2%} [{100 * low:.2f}, {100 * high:.2f}]" if math.isfinite(p) else NO_NUMBER for p, low, high in ends]


def amount(count: float) -> str:
    """A count per sample, such as ``1,518,680``, or ``12.25`` for a small mean."""
    return f"{count:,.0f}" if count >= 1000 or count == int(count) else f"{count:.2f}"


def shared_text(texts: Sequence[str]) -> str:
    """What several networks have in common."""
    return texts[0] if len(set(texts)) == 1 else ""


def told(texts: Sequence[str], names: Sequence[str], nothing: str = "not recorded") -> tuple[str, ...]:
    """What each network rests on, once where all share it."""
    if len(set(texts)) < 2:
        return tuple(text for text in texts[:1] if text)
    about: dict[str, list[str]] = {}
    for text, name in zip(texts, names, strict=True):
        about.setdefault(text or nothing, []).append(name)
    return tuple(f"{', '.join(named)}: {text}" for text, named in about.items() if text)


def plain_units(text: str) -> str:
    """A text for a terminal, which may know no letters but those of ASCII."""
    return text.replace("\N{MICRO SIGN}J", "uJ")


def energy_unit(pj: float) -> tuple[float, str]:
    """The unit in which an energy is at least 1.

    >>> energy_unit(4600.0)
    (1000.0, 'nJ')

    Args:
        pj: the energy in pJ.
    """
    return next((each for each in _ENERGIES if pj >= each[0]), _ENERGIES[-1])


def axis_label(name: str, norm: str) -> str:
    """A coordinate along directions with its unit, such as ``"x (filter norms)"``."""
    unit = _COORDINATES.get(norm, f"{norm} norms")
    return f"{name} ({unit})" if unit else name
