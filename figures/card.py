"""A result as a notebook shows it: what it is, its first numbers, its figure, and where it comes from."""

from html import escape

import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.plots.picture import image
from tetviz.figures.registry import draw, view_of
from tetviz.figures.table import to_html
from tetviz.figures.view import Choices
from tetviz.results import Provenance, Result
from tetviz.summaries.names import network_name


def result_html(result: Result) -> str:
    """A result as HTML that needs nothing from elsewhere: no script, no style sheet, no address.

    Args:
        result: a result of any kind, possibly half measured.

    Returns:
        A ``<div>``. Names and other text of the user are escaped.
    """
    view, origin = view_of([result]), result.provenance
    done, points = result.progress()
    parts = [f"<b>{escape(network_name(origin))}: {escape(view.describe(result))}</b>"]
    if done < points:
        parts.append(f"<b>Not finished: {done:,} of {points:,} points are measured.</b>")
    parts += [escape(view.context(result)), *_numbers(result), _figure(result), _provenance(origin)]
    return "\n".join(f"<div>{part}</div>" for part in parts if part)


def _numbers(result: Result) -> list[str]:
    view, choices = view_of([result]), Choices()
    tables = [table for table in view.tables.values() if table.least == 1][:1]
    try:
        words = view.words([result], choices)
        made = [table.make([result], choices) for table in tables]
    except ResultError as error:
        return [f"No numbers: {escape(str(error))}."]
    shown = [to_html(table.cells(), table.note) for table in made]
    feet = [foot for table in made for foot in table.feet]
    return [*shown, escape("; ".join([*words.warned, *feet, *words.said]))]


def _figure(result: Result) -> str:
    try:
        return image(draw([result]))
    except ResultError as error:
        return f"No picture: {escape(str(error))}."


def _provenance(origin: Provenance) -> str:
    known = {name.replace("_", " "): text for name, text in origin.texts().items() if text}
    frame = pd.DataFrame({"recorded": known.values()}, index=pd.Index(known, name="what"))
    return f"<details><summary>Where it comes from</summary>{to_html(frame)}</details>"
