"""A result as a notebook shows it: what it is, its first numbers, its figure, and where it comes from."""

from html import escape
from typing import Any, cast

import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.dispatch import draw
from tetviz.figures.headlines import headline
from tetviz.figures.plots.picture import image
from tetviz.figures.table import to_html
from tetviz.results import Provenance, Result
from tetviz.summaries.names import network_name


def result_html(result: Result) -> str:
    """A result as HTML that needs nothing from elsewhere: no script, no style sheet, no address."""
    known, origin = headline(result), cast(Provenance, cast(Any, result).provenance)
    done, points = result.progress()
    parts = [f"<b>{escape(network_name(origin))}: {escape(known.title)}</b>"]
    if done < points:
        parts.append(f"<b>Not finished: {done:,} of {points:,} points are measured.</b>")
    parts += [escape(known.context), to_html(known.table)]
    parts.append(escape("; ".join(known.notes)))
    parts += [_figure(result), _provenance(origin)]
    return "\n".join(f"<div>{part}</div>" for part in parts if part)


def _figure(result: Result) -> str:
    try:
        return image(draw([result]))
    except ResultError as error:
        return f"No picture: {escape(str(error))}."


def _provenance(origin: Provenance) -> str:
    known = {name.replace("_", " "): text for name, text in origin.texts().items() if text}
    frame = pd.DataFrame({"recorded": known.values()}, index=pd.Index(known, name="what"))
    return f"<details><summary>Where it comes from</summary>{to_html(frame)}</details>"
