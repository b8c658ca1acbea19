"""Results as a terminal shows them, and as plain values; what is shown is said by their view."""

from collections.abc import Collection, Sequence
from typing import Any

from tetviz.figures.formatting import plain_units
from tetviz.figures.registry import view_of
from tetviz.figures.table import to_text
from tetviz.figures.view import Choices
from tetviz.results import Result
from tetviz.summaries.names import network_names


def printed(results: Sequence[Result], choices: Choices | None = None, asked: Collection[str] = ()) -> str:
    """The tables of some results for a terminal, those of each network first, and what they say together.

    Args:
        results: results that one view shows.
        choices: what to show of them.
        asked: options that ask for further tables.
    """
    view, choices = view_of(results), choices or Choices()
    tables = [table for table in view.tables.values() if not table.asked or table.asked in asked]
    parts = []
    for name, result in zip(network_names(results), results, strict=True):
        own = [to_text(table.make([result], choices)) for table in tables if table.each]
        head = ": ".join(part for part in (name, view.context(result)) if part)
        parts.append("\n\n".join([f"{head}\n{own[0]}", *own[1:]]) if own else head)
    shared = [table for table in tables if not table.each and len(results) >= table.least]
    parts += [to_text(table.make(results, choices)) for table in shared]
    words = view.words(results, choices)
    sentences = [*(f"warning: {text}" for text in words.warned), *words.said]
    if sentences:
        parts.append("\n".join(sentences))
    return plain_units("\n\n".join(parts))


def records(results: Sequence[Result], choices: Choices | None = None) -> list[dict[str, Any]]:
    """The numbers of some results as plain values, as ``--json`` prints them."""
    return view_of(results).record(results, choices or Choices())
