"""Tables of several networks, and their numbers as people are shown them."""

import pandas as pd

from tetviz.figures.texts import interval, number


def of_network(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a network, to be put below those of others.

    Args:
        name: what the network is called.
        frame: its rows.

    Returns:
        The same, indexed by the name.
    """
    return frame.set_axis(pd.Index([name] * len(frame), name="network"))


def intervals(frame: pd.DataFrame, mean: str, low: str, high: str, digits: str) -> list[str]:
    """Numbers with the ends of their intervals.

    Args:
        frame: holds them.
        mean: column of the numbers.
        low: column of the lower ends; NaN where there is no interval.
        high: column of the upper ends.
        digits: format of all three.

    Returns:
        Texts such as ``0.5 [0.4, 0.6]``.
    """
    return [interval(*row, digits) for row in zip(frame[mean], frame[low], frame[high], strict=True)]


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of texts, with numbers that are not whole as :func:`short` has them.

    Args:
        frame: any table.

    Returns:
        A table of the same shape.
    """
    texts = {}
    for column in frame.columns:
        values = frame[column]
        texts[column] = [short(value) for value in values] if values.dtype.kind == "f" else values.tolist()
    return pd.DataFrame(texts, index=frame.index)


def short(value: float) -> str:
    """A number to four digits, from a thousand on to the unit.

    Args:
        value: any number.

    Returns:
        The number, or a dash where it is not finite.
    """
    return "0" if value == 0 else number(value, ",.0f" if abs(value) >= 999.95 else "#.4g")
