"""What a result says in short, and what its numbers are taken with."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tetviz.results.schema import FloatArray, IntArray


@dataclass(frozen=True)
class Headline:
    """What a result says in short.

    Attributes:
        title: what it is, in words.
        context: the choices that the numbers rest on.
        table: the numbers as text, ``-`` where there is none; the name of its index says at which T.
        notes: sentences that belong to the numbers.
    """

    title: str
    context: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def text_table(rows: dict[str, dict[str, str]], corner: str) -> pd.DataFrame:
    """Rows of texts."""
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(corner)


def position(axis: IntArray, value: int) -> int:
    """Where a number stands on an axis."""
    return int(np.flatnonzero(axis == value)[0])


def first(values: FloatArray) -> float:
    """The first of some numbers.

    Returns:
        The number, NaN where there is none.
    """
    return float(values.flat[0]) if values.size else float("nan")
