"""Numbers as the texts of tables, and what lists of texts have in common; a dash is where there is no number."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from tetviz.summaries import wilson

NO_NUMBER = "-"


def number(value: float, digits: str = ".4g") -> str:
    """A number as text.

    Args:
        value: any number.
        digits: its format.

    Returns:
        The number, or a dash where it is not finite: not measured, diverged or not defined.
    """
    return format(value, digits) if math.isfinite(value) else NO_NUMBER


def percent(share: float) -> str:
    """A share in percent.

    Args:
        share: a fraction.

    Returns:
        Such as ``99.16 %``, or a dash where it is not finite.
    """
    return number(100 * share, ".2f") + (" %" if math.isfinite(share) else "")


def interval(mean: float, low: float, high: float, digits: str = ".4g") -> str:
    """A number with the ends of its interval.

    Args:
        mean: the number.
        low: lower end; NaN where there is no interval.
        high: upper end.
        digits: format of all three.

    Returns:
        Such as ``0.5 [0.4, 0.6]``.
    """
    ends = f" [{low:{digits}}, {high:{digits}}]" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{mean:{digits}}{ends}" if math.isfinite(mean) else NO_NUMBER


def shares(accuracy: Any, samples: Any) -> list[str]:
    """Accuracies with their 95 % Wilson intervals.

    Args:
        accuracy: fractions.
        samples: number of samples of each.

    Returns:
        Such as ``99.16% [97.57, 99.71]``.
    """
    ends = zip(accuracy, *wilson(accuracy, samples), strict=True)
    return [f"{p:.2%} [{100 * low:.2f}, {100 * high:.2f}]" if math.isfinite(p) else NO_NUMBER for p, low, high in ends]


def amounts(values: Iterable[float]) -> list[str]:
    """Counts per sample.

    Args:
        values: the counts, means over samples.

    Returns:
        Such as ``1,518,680``, or ``12.25`` for a small mean.
    """
    return [f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.2f}" for value in values]


def counted(count: int, what: str) -> str:
    """So many things.

    Args:
        count: how many.
        what: one of them, whose plural takes an s.

    Returns:
        Such as ``1 sample`` or ``1,024 samples``.
    """
    return f"{count:,} {what}{'s' * (count != 1)}"


def numbered(frame: pd.DataFrame, digits: str = ".4g") -> pd.DataFrame:
    """A table of texts: numbers with so many digits, a dash where there is none.

    Args:
        frame: any table.
        digits: format of the numbers that are not whole.

    Returns:
        A table of the same shape.
    """
    return frame.map(lambda value: number(value, digits) if isinstance(value, float) else str(value))


def listed(text: str) -> list[Any]:
    """A list that a file holds as JSON.

    Args:
        text: such as ``'["a"]'``; empty where nothing is recorded.

    Returns:
        The list; an empty one if it cannot be read.
    """
    try:
        found = json.loads(text or "[]")
    except json.JSONDecodeError:
        return []
    return found if isinstance(found, list) else []


def shared_text(texts: Sequence[str]) -> str:
    """What several networks have in common.

    Args:
        texts: one for each.

    Returns:
        The text if all have the same, else nothing.
    """
    return texts[0] if len(set(texts)) == 1 else ""
