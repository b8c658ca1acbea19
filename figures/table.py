"""One table for every reader: numbers, how each column is shown, and its renderings for terminal, page and paper."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tetviz.errors import printable
from tetviz.figures.formatting import NO_NUMBER, told
from tetviz.figures.latex import latex_table
from tetviz.results import known_suffix, writable_target, write_whole
from tetviz.results.export import csv_text

TABLE_SUFFIXES = (".tex", ".csv", ".md")
NETWORK = "network"
_MARKUP = re.compile(r"<(?=[A-Za-z/!?])|&(?=[#A-Za-z])")  # where a tag or an entity may begin


@dataclass(frozen=True)
class Column:
    """A column as readers see it: numbers with their format, and the ends of their intervals.

    Attributes:
        head: what stands above it, with the unit.
        of: the column of the frame that holds its values; that named like the head by default.
        form: of numbers, as for :func:`format`, or a function that gives their text; text stays as it is.
        low: the column of the lower ends of the intervals, if there are intervals.
        high: that of the upper ends.
        error: the column of the standard errors, if there are any.
        deviation: the column of the sample standard deviations; where there is one, it stands behind a ±.
        count: the column that says of how many values a deviation is.
        marked: a column of flags; where one is set, the cell ends in its name, such as ``4 (trained)``.
        unit: a column of units, where rows differ in theirs; they stand behind the cells, in brackets.
        named: what texts are shown as.
        missing: what stands where there is no number.
    """

    head: str
    of: str = ""
    form: str | Callable[[Any], str] = ".2f"
    low: str = ""
    high: str = ""
    error: str = ""
    deviation: str = ""
    count: str = ""
    marked: str = ""
    unit: str = ""
    named: Mapping[str, str] = field(default_factory=dict)
    missing: str = NO_NUMBER

    def texts(self, frame: pd.DataFrame) -> list[str]:
        """The cells of the column."""
        cells = [self._text(value) for value in frame[self.of or self.head].tolist()]
        if self.low:
            rows = zip(cells, frame[self.low], frame[self.high], strict=True)
            cells = [
                f"{cell} [{self._text(a)}, {self._text(b)}]" if math.isfinite(a + b) else cell for cell, a, b in rows
            ]
        if self.error:
            errors = zip(cells, frame[self.error], strict=True)
            cells = [f"{cell} ({e:.1g})" if math.isfinite(e) and cell != self.missing else cell for cell, e in errors]
        if self.deviation:
            rows = zip(cells, frame[self.deviation].tolist(), frame[self.count].tolist(), strict=True)
            cells = [f"{cell} ± {self._text(d)} (n = {n})" if math.isfinite(d) else cell for cell, d, n in rows]
        if self.marked:
            flags = frame[self.marked].tolist()
            cells = [f"{cell} ({self.marked})" if flag else cell for cell, flag in zip(cells, flags, strict=True)]
        if self.unit:
            units = frame[self.unit].tolist()
            cells = [f"{cell} ({unit})" if unit else cell for cell, unit in zip(cells, units, strict=True)]
        return cells

    def _text(self, value: Any) -> str:
        if not isinstance(value, float):
            return self.named.get(str(value), str(value))
        if not math.isfinite(value):
            return self.missing
        return self.form(value) if callable(self.form) else format(value, self.form)


@dataclass(frozen=True, eq=False)
class Table:
    """A table of results.

    Attributes:
        frame: the numbers, as precise as they are known; units stand in the heads. Its index names the rows.
        columns: what readers are shown, in order; all of the frame by default.
        about: what it shows, for a caption.
        note: what its numbers rest on and how to read them, in a line.
        feet: sentences below it.
        rows: positions of the rows that readers are shown; all by default.
        key: how the names of the rows are shown; as they are by default.
        across: what stands in the head instead of in rows of their own: below each of its values, those of the last
            column; the other columns name the rows, and the index is not shown.
        label: what LaTeX refers to it by, after ``tab:``.
        caption: for a paper, as :func:`tetviz.figures.captions.compose_caption` makes it: what it shows, of which
            networks, under which choices; after an empty line, where it is from.
    """

    frame: pd.DataFrame
    columns: tuple[Column, ...] = ()
    about: str = ""
    note: str = ""
    feet: tuple[str, ...] = ()
    rows: Sequence[int] | None = None
    key: Column | None = None
    across: Column | None = None
    label: str = "tetviz"
    caption: str = ""

    def cells(self) -> pd.DataFrame:
        """What readers are shown: a frame of texts."""
        shown = self.frame if self.rows is None else self.frame.iloc[list(self.rows)]
        columns = self.columns or tuple(Column(str(name)) for name in shown.columns)
        name = str(shown.index.name or "")
        whole = shown.rename_axis("").reset_index(names=name) if name not in shown.columns else shown
        key = self.key or Column(name)
        texts = [column.texts(whole) for column in columns]
        if self.across:
            return _spread([column.head for column in columns], texts, self.across.head, self.across.texts(whole))
        index = pd.Index(key.texts(whole), name=key.head)
        frame = pd.DataFrame(dict(enumerate(texts)), index=index)
        return frame.set_axis(pd.Index([column.head for column in columns], name=self.frame.columns.name), axis=1)

    def _repr_html_(self) -> str:
        return to_html(self.cells(), self.caption or self.note)


def _spread(heads: Sequence[str], texts: Sequence[list[str]], across: str, at: Sequence[str]) -> pd.DataFrame:
    *keys, values = texts
    rows = list(zip(*keys, strict=True))
    cells = dict(zip(zip(rows, at, strict=True), values, strict=True))
    shown = list(dict.fromkeys(at))
    body = {row: [*row[1:], *(cells.get((row, column), NO_NUMBER) for column in shown)] for row in rows}
    index = pd.Index([row[0] for row in body], name=heads[0])
    return pd.DataFrame(list(body.values()), index, pd.Index([*heads[1:-1], *shown], name=across))


def stacked(names: Sequence[str], tables: Sequence[Table]) -> Table:
    """The tables of several networks as one, with their names; of a single network these stand in the frame alone."""
    first, many = tables[0], len(tables) > 1
    key = str(first.frame.index.name)
    frames = [
        each.frame.reset_index(names=key).set_axis(pd.Index([name] * len(each.frame), name=NETWORK))
        for name, each in zip(names, tables, strict=True)
    ]
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    shown = [range(len(each.frame)) if each.rows is None else each.rows for each in tables]
    columns = first.columns or tuple(Column(str(name)) for name in first.frame.columns)
    shared = tuple(foot for foot in first.feet if all(foot in each.feet for each in tables))
    own = [(name, foot) for name, each in zip(names, tables, strict=True) for foot in each.feet if foot not in shared]
    key_column = first.key or Column(key)
    return dataclasses.replace(
        first,
        frame=pd.concat(frames),
        columns=(key_column, *columns) if many else columns,
        rows=[int(start) + row for start, rows in zip(starts, shown, strict=False) for row in rows],
        key=None if many else key_column,
        note="; ".join(told([each.note for each in tables], names, "")),
        feet=(*(f"{name}: {foot}" for name, foot in own), *shared),
    )


def headed(table: Table) -> Table:
    """A table with a note: where it has none, what it is about."""
    return dataclasses.replace(table, note=table.note or table.about)


def save_table(table: Table, path: str | Path) -> Path:
    """Writes a table, whole or not at all.

    Args:
        table: any table.
        path: a file name that ends in .tex (booktabs), .csv (all digits) or .md; replaced if it exists.

    Returns:
        The path.

    Raises:
        OutputError: the suffix is another one, or the file cannot be written.
    """
    path = Path(path)
    suffix = known_suffix(path, "a table", TABLE_SUFFIXES)
    if suffix == ".csv":
        text = csv_text(table.frame)
    elif suffix == ".md":
        caption, feet = _markdown_lines(table.caption), map(_markdown_lines, table.feet)
        text = "\n\n".join([caption, to_markdown(table.cells()), *feet]) + "\n"
    else:
        text = to_latex(table)
    return write_whole(writable_target(path, force=True), text.encode())


def to_text(table: Table) -> str:
    """A table for a terminal: its note, columns of fixed width, and what stands below it."""
    return "\n".join(part for part in (table.note, format_table(table.cells()), *table.feet) if part)


def to_latex(table: Table) -> str:
    """A table in LaTeX, for the packages booktabs and graphicx, as :func:`tetviz.figures.latex.latex_table` sets it."""
    caption, _, origin = table.caption.partition("\n\n")
    shown = table.cells()
    feet = [foot if foot.endswith(".") else f"{foot}." for foot in table.feet]
    caption = " ".join(part for part in (caption, *feet) if part)
    return latex_table(_cells(shown, 2), caption, table.label, origin, networks=shown.columns.name == NETWORK)


def to_html(frame: pd.DataFrame, caption: str = "") -> str:
    """A table in HTML, as a notebook shows it."""
    style = 'style="text-align: left; padding: 0.1em 0.6em"'
    header, *body = [[escape(cell) for cell in row] for row in _cells(frame, 2)]
    told = f'<caption style="text-align: left">{escape(caption)}</caption>' if caption else ""
    head = "".join(f'<th scope="col" {style}>{cell}</th>' for cell in header)
    lines = []
    for name, *cells in body:
        row = "".join(f"<td {style}>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row" {style}>{name}</th>{row}</tr>')
    return f"<table>{told}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def format_table(frame: pd.DataFrame, decimals: int = 2) -> str:
    """A table in columns of fixed width, for a terminal.

    Args:
        frame: any table; its index becomes the first column.
        decimals: of numbers that are not whole.

    Returns:
        Lines of text: whole numbers as they are, NaN as ``-``.
    """
    cells = _cells(frame, decimals)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([row[0].ljust(len(first)), *others]).rstrip())
    return "\n".join(lines)


def to_markdown(frame: pd.DataFrame) -> str:
    """A table in Markdown, as GitHub shows it.

    Args:
        frame: any table; its index becomes the first column.

    Returns:
        Lines of text, with numbers as in :func:`format_table` at 2 decimals, right-aligned.
    """
    header, *body = [[_markdown(cell) for cell in row] for row in _cells(frame, 2)]
    rule = [":---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))


def _markdown(text: str) -> str:
    # Text, and neither HTML nor a link nor the end of a cell.
    for sign, written in (("\\", r"\\"), ("|", r"\|"), ("](", r"]\("), ("`", r"\`")):
        text = text.replace(sign, written)
    return _MARKUP.sub(lambda found: {"<": "&lt;", "&": "&amp;"}[found[0]], text)


def _markdown_lines(text: str) -> str:
    return "\n".join(_markdown(printable(line)) for line in text.split("\n"))


def _cells(frame: pd.DataFrame, decimals: int) -> list[list[str]]:
    header = [str(frame.index.name or ""), *map(str, frame.columns)]
    columns = [[_cell(value, decimals) for value in frame.iloc[:, at].tolist()] for at in range(frame.shape[1])]
    body = [[str(label), *row] for label, *row in zip(frame.index, *columns, strict=True)]
    return [[printable(cell) for cell in row] for row in (header, *body)]


def _cell(value: object, decimals: int) -> str:
    if isinstance(value, float):
        return NO_NUMBER if np.isnan(value) else f"{value:.{decimals}f}"
    return str(value)
