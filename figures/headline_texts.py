"""What a result says in short."""

from dataclasses import dataclass

import pandas as pd


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
    """Rows of texts.

    Args:
        rows: by name, then by column.
        corner: what the names are.

    Returns:
        The table.
    """
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(corner)
