"""Tables: their text for a terminal, Markdown and LaTeX, and the files that hold them."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from tetviz.errors import OutputError
from tetviz.figures.formatting import NO_NUMBER
from tetviz.figures.latex import latex_table
from tetviz.results import replacing, writable_target

TABLE_SUFFIXES = (".tex", ".csv", ".md")


@dataclass(frozen=True)
class Table:
    """A table of results.

    Attributes:
        frame: the numbers, as precise as they are known; units stand in the heads.
        caption: what it shows and what that rests on; after an empty line, where it is from.
        shown: the same for people: rounded, with intervals; None where ``frame`` is for them too. An axis that is
            named ``network`` holds what users call their networks.
        label: what LaTeX refers to it by, after ``tab:``.
    """

    frame: pd.DataFrame
    caption: str
    shown: pd.DataFrame | None = None
    label: str = "tetviz"

    def for_people(self) -> pd.DataFrame:
        """What a reader is shown.

        Returns:
            ``shown``, or ``frame`` where there is nothing else.
        """
        return self.frame if self.shown is None else self.shown

    def _repr_html_(self) -> str:
        return to_html(self.for_people(), self.caption)


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
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise OutputError(
            f"{path}: a table is written as {', '.join(TABLE_SUFFIXES)}, got {suffix or 'no suffix'!r}; choose another "
            "name"
        )
    if suffix == ".csv":
        text = table.frame.to_csv(lineterminator="\n", na_rep="nan")
    elif suffix == ".md":
        text = f"{table.caption}\n\n{to_markdown(table.for_people())}\n"
    else:
        text = to_latex(table)
    with replacing(writable_target(path, force=True)) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path


def to_latex(table: Table) -> str:
    """A table in LaTeX, for the packages booktabs and graphicx, as :func:`tetviz.figures.latex.latex_table` sets it."""
    caption, _, origin = table.caption.partition("\n\n")
    shown = table.for_people()
    return latex_table(_cells(shown, 2), caption, table.label, origin, networks=shown.columns.name == "network")


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
    header, *body = [[cell.replace("|", r"\|") for cell in row] for row in _cells(frame, 2)]
    rule = [":---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))


def _cells(frame: pd.DataFrame, decimals: int) -> list[list[str]]:
    header = [str(frame.index.name or ""), *map(str, frame.columns)]
    columns = [[_cell(value, decimals) for value in frame.iloc[:, at].tolist()] for at in range(frame.shape[1])]
    body = [[str(label), *row] for label, *row in zip(frame.index, *columns, strict=True)]
    return [header, *body]


def _cell(value: object, decimals: int) -> str:
    if isinstance(value, float):
        return NO_NUMBER if np.isnan(value) else f"{value:.{decimals}f}"
    return str(value)
