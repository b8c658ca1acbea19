"""What a report is made of: sections of tables, charts, pictures and surfaces."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tetviz.results import Result


@dataclass(frozen=True)
class Source:
    """A result and the file that it was read from.

    Attributes:
        path: as it was given.
        result: what the file holds.
        sha256: of the file.
    """

    path: Path
    result: Result
    sha256: str


@dataclass(frozen=True, eq=False)
class Table:
    """A table whose cells are texts.

    Attributes:
        caption: what it shows, and under what conventions.
        frame: the cells; the name of the index heads the first column.
        feet: sentences below it.
    """

    caption: str
    frame: pd.DataFrame
    feet: tuple[str, ...] = ()
    kind: str = "table"


@dataclass(frozen=True, eq=False)
class Chart:
    """Curves that a reader can point at.

    Attributes:
        title: above it.
        alt: what it shows, for those who do not see it.
        figure: data and layout, as plotly.js takes them.
    """

    title: str
    alt: str
    figure: dict[str, Any]
    kind: str = "chart"


@dataclass(frozen=True)
class Drawing:
    """A figure as it is drawn for print.

    Attributes:
        alt: what it shows.
        svg: an SVG element.
    """

    alt: str
    svg: str
    kind: str = "drawing"


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Loss surfaces that share directions, to turn and to point at.

    Attributes:
        data: what the page draws: coordinates, values, scales.
        panels: for each network its name, its context, and descriptions of both drawings.
    """

    data: dict[str, Any]
    panels: tuple[dict[str, str], ...]
    kind: str = "surfaces"


@dataclass(frozen=True)
class Sentences:
    """Sentences.

    Attributes:
        lines: one paragraph each.
        warning: whether they say that something is amiss.
    """

    lines: tuple[str, ...]
    warning: bool = False
    kind: str = "sentences"


@dataclass(frozen=True)
class Fold:
    """Blocks that are shown when they are asked for.

    Attributes:
        title: what they are.
        blocks: the blocks.
    """

    title: str
    blocks: tuple[Any, ...]
    kind: str = "fold"


Block = Table | Chart | Drawing | Surfaces | Sentences | Fold


@dataclass(frozen=True)
class Section:
    """Results of one kind that are drawn together.

    Attributes:
        title: the question that they answer.
        context: data and choices that they share.
        blocks: what is shown, in order.
        sources: the results.
        names: what their networks are called.
    """

    title: str
    context: str
    blocks: tuple[Block, ...]
    sources: tuple[Source, ...]
    names: tuple[str, ...]


def numbered(frame: pd.DataFrame, digits: str = ".4g") -> pd.DataFrame:
    """A table of texts: numbers with so many digits, a dash where there is none.

    Args:
        frame: any table.
        digits: format of the numbers that are not whole.

    Returns:
        A table of the same shape.
    """

    def text(value: Any) -> str:
        if isinstance(value, float):
            return "-" if value != value else format(value, digits)
        return str(value)

    return frame.map(text)


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
