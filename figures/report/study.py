"""The page of a study, for a browser and as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from tetviz.figures.plots.picture import alternative
from tetviz.figures.plots.style import save_figure
from tetviz.figures.report.blocks import Block, Section, Sentences, Tabled
from tetviz.figures.report.page import render_sections
from tetviz.figures.report.svg import drawing
from tetviz.figures.study import Part, Shown
from tetviz.figures.table import Table, to_markdown


def study_html(parts: Sequence[Part], title: str, overview: str) -> str:
    """The page for a browser, whole."""
    sections = [Section(part.title, part.contexts, tuple(map(_block, part.shown)), (), ()) for part in parts]
    return render_sections(sections, title, overview)


def _block(shown: str | Shown) -> Block:
    if isinstance(shown, str):
        return Sentences((shown,))
    if isinstance(shown.it, Table):
        return Tabled(shown.it)
    return drawing(shown.it, alternative(shown.it))


def study_markdown(parts: Sequence[Part], title: str, overview: str, folder: Path) -> str:
    """The page as Markdown, with its pictures as files beside it.

    Args:
        folder: where the pictures go.
    """
    lines = [f"# {title}", "", f"{overview}.", ""]
    for part in parts:
        lines += [f"## {part.title}", "", *(line for context in part.contexts if context for line in (context, ""))]
        for shown in part.shown:
            lines += [_markdown(shown, folder), ""]
    return "\n".join(lines)


def _markdown(shown: str | Shown, folder: Path) -> str:
    if isinstance(shown, str):
        return shown
    if isinstance(shown.it, Table):
        return "\n\n".join(filter(None, (shown.it.note, to_markdown(shown.it.cells()))))
    path = save_figure(shown.it, folder / f"{shown.name}.png")
    return f"![{alternative(shown.it).partition(chr(10))[0]}]({path.name})"
