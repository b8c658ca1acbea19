"""Results as a terminal shows them, and as plain values; what is shown is said by their view."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any

from tetviz.errors import ResultError
from tetviz.figures.formatting import plain_units
from tetviz.figures.registry import view_of
from tetviz.figures.table import Table, headed, to_text
from tetviz.figures.view import Choices, TableOf, View
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
    tables = _tables(view, asked)
    parts = []
    for name, result in zip(network_names(results), results, strict=True):
        head = ": ".join(part for part in (name, view.context(result)) if part)
        own = [table.make([result], choices) for table in tables if table.each and table.fits(result)]
        first = "\n".join([head, *map(to_text, own[:1])])
        parts.append("\n\n".join([first, *(to_text(headed(table)) for table in own[1:])]))
    shared = _shared_tables(results, choices, asked)
    parts += [to_text(table) if table else refusal for table, refusal in shared]
    words = view.words(results, choices)
    sentences = [*(f"warning: {text}" for text in words.warned), *words.said]
    if sentences:
        parts.append("\n".join(sentences))
    return plain_units("\n\n".join(parts))


def records(
    results: Sequence[Result], choices: Choices | None = None, asked: Collection[str] = ()
) -> list[dict[str, Any]]:
    """The numbers of some results as plain values, as ``--json`` prints them; arguments as of :func:`printed`."""
    view = view_of(results)
    found = view.record(results, choices or Choices())
    for table in _tables(view, asked):
        if table.record and len(results) >= table.least:
            with suppress(ResultError):  # results that do not compare have no differences
                for record, further in zip(found, table.record(results), strict=True):
                    record |= further
    return found


def refusals(results: Sequence[Result], choices: Choices | None = None, asked: Collection[str] = ()) -> list[str]:
    """Why results have no table together that is asked for: what :func:`printed` says in its place."""
    return [refusal for _, refusal in _shared_tables(results, choices or Choices(), asked) if refusal]


def _shared_tables(
    results: Sequence[Result], choices: Choices, asked: Collection[str]
) -> Iterator[tuple[Table | None, str]]:
    # The tables of all results, or why there is none.
    for table in _tables(view_of(results), asked):
        if not table.each and len(results) >= table.least:
            try:
                yield headed(table.make(results, choices)), ""
            except ResultError as error:
                yield None, f"not given, {table.about}: {error}"


def _tables(view: View[Any], asked: Collection[str]) -> list[TableOf[Any]]:
    tables = [table for table in view.tables.values() if not table.by_name]
    return [table for table in tables if not table.asked or table.asked in asked]
