"""What a report is made of: sections of tables, charts, pictures and surfaces."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from tetviz.figures.table import Table
from tetviz.results import Result

_WORD = re.compile("[A-Za-z]")


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
class Tabled:
    """A table as a page shows it."""

    table: Table
    kind: str = "table"

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Its texts."""
        return self.table.cells()

    @property
    def are_words(self) -> list[bool]:
        """For each column whether it holds words, which are read from the left, and no numbers."""
        return [any(_WORD.match(text) for text in self.cells.iloc[:, at].tolist()) for at in range(self.cells.shape[1])]


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


Block = Tabled | Chart | Drawing | Surfaces | Sentences | Fold


@dataclass(frozen=True)
class Section:
    """Results of one kind that are drawn together.

    Attributes:
        title: the question that they answer.
        contexts: data and choices that they rest on, once where all share them.
        blocks: what is shown, in order.
        sources: the results.
        names: what their networks are called.
    """

    title: str
    contexts: tuple[str, ...]
    blocks: tuple[Block, ...]
    sources: tuple[Source, ...]
    names: tuple[str, ...]
