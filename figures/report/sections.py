"""Sections of a report: results that compare, in their charts, tables and words, as their view says."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from tetviz.errors import ResultError, TetvizError
from tetviz.figures.captions import sample_words
from tetviz.figures.formatting import told
from tetviz.figures.registry import VIEWS, draw, loaded, require_drawable, view_named
from tetviz.figures.report.blocks import Block, Fold, Section, Sentences, Source, Tabled
from tetviz.figures.report.plotly import chart
from tetviz.figures.report.svg import drawing
from tetviz.figures.table import headed
from tetviz.figures.view import Choices, TableOf, View
from tetviz.results import Result
from tetviz.summaries.names import network_name, network_names

Memory = dict[tuple[str, ...], list[Section]]
_APART = (
    "Results that do not compare with these stand in sections of their own: neither their axes nor their colours are "
    "shared with these."
)
MANY = 4  # networks, of which a page folds what it has for each
_LONG = 20  # rows, likewise


def sections(sources: Sequence[Source], memory: Memory | None = None) -> list[Section]:
    """All sections of a report, in the order of the views.

    Args:
        memory: what was made before, from which sections of unchanged files are taken; afterwards it holds this
            report's.
    """
    before, made = dict(memory or {}), Memory()
    for name in VIEWS:
        taken = [source for source in sources if source.result.view == name]
        if taken:
            key = tuple(text for source in taken for text in (str(source.path), source.sha256, _name(source)))
            made[key] = before[key] if key in before else _of_view(view_named(name), taken)
    if memory is not None:
        memory.clear()
        memory.update(made)
    return [section for found in made.values() for section in found]


def _of_view(view: View[Any], sources: Sequence[Source]) -> list[Section]:
    if view.most == 1:
        return [_section(view, [source]) for source in sources]
    groups = _groups(sources, view.together)
    return [_section(view, group, apart=len(groups) > 1) for group in groups]


def _groups(sources: Sequence[Source], check: Callable[[Sequence[Any]], None]) -> list[list[Source]]:
    # Results that compare, in the order of their first ones. What compares with one of them does with all.
    found: list[list[Source]] = []
    for source in sources:
        for group in found:
            try:
                check([group[0].result, source.result])
            except ResultError:
                continue
            group.append(source)
            break
        else:
            found.append([source])
    return found


def _section(view: View[Any], sources: Sequence[Source], *, apart: bool = False) -> Section:
    results = [source.result for source in sources]
    names = network_names(results)
    samples = sample_words(results)
    blocks: list[Block] = [Sentences((f"{samples}.",), warning=True)] if samples else []
    words = _attempt(lambda: _words(view, results))
    blocks += [block for block in words if block.warning]
    blocks += _gathered([*_attempt(lambda: _pictures(view, results, names)), *_tables(view, results, names)])
    blocks += [block for block in words if not block.warning]
    blocks += [Sentences((_APART,))] if apart else []
    contexts = told(view.shown_contexts(results, Choices()), names)
    return Section(view.title, contexts, tuple(blocks), tuple(sources), tuple(names))


def _words(view: View[Any], results: Sequence[Result]) -> list[Sentences]:
    words = view.words(results, Choices())
    found = (Sentences(words.warned, warning=True), Sentences(words.said))
    return [sentences for sentences in found if sentences.lines]


def _pictures(view: View[Any], results: Sequence[Result], names: Sequence[str]) -> list[Block]:
    require_drawable(results)
    if view.page:
        return [loaded(view.page)(results)]
    charts = view.curves(results, Choices())
    made: list[Block] = [Fold(curves.fold, (chart(curves),)) if curves.fold else chart(curves) for curves in charts]
    return made or [drawing(draw(results), view.alt.format(", ".join(names)))]


def _tables(view: View[Any], results: Sequence[Result], names: Sequence[str]) -> list[Block]:
    made: list[Block] = []
    for table in view.tables.values():
        if table.by_name or len(results) < table.least:
            continue
        blocks = list(_made(view, table, results, names))
        long = any(isinstance(block, Tabled) and len(block.cells) > _LONG for block in blocks)
        fold = table.fold or (table.about[:1].upper() + table.about[1:] if len(blocks) > MANY or long else "")
        made += [Fold(fold, tuple(blocks))] if fold and blocks else blocks
    return made


def _made(view: View[Any], table: TableOf[Any], results: Sequence[Result], names: Sequence[str]) -> Iterable[Block]:
    if not table.each:
        yield from _attempt(lambda: [Tabled(headed(table.make(results, Choices())))])
        return
    for result, name in zip(results, names, strict=True):
        if table.fits(result):
            yield from _attempt(partial(_of_network, view, table, result, name))


def _of_network(view: View[Any], table: TableOf[Any], result: Result, name: str) -> list[Block]:
    made = table.make([result], Choices())
    if table is not next(iter(view.tables.values())):  # which the title of the section tells of
        made = headed(made)
    return [Tabled(dataclasses.replace(made, note=": ".join(part for part in (name, made.note) if part)))]


def _gathered(blocks: Sequence[Block]) -> list[Block]:
    # What is folded under one title, behind what is not folded.
    folds: dict[str, list[Block]] = {}
    for block in blocks:
        if isinstance(block, Fold):
            folds[block.title] = [*folds.pop(block.title, []), *block.blocks]
    shown = [block for block in blocks if not isinstance(block, Fold)]
    return [*shown, *(Fold(title, tuple(found)) for title, found in folds.items())]


def _attempt(build: Callable[[], list[Any]]) -> list[Any]:
    # Of results that hold too little, a page says that they do; the rest of it stays.
    try:
        return build()
    except TetvizError as error:
        return [Sentences((str(error),), warning=True)]


def _name(source: Source) -> str:
    return network_name(source.result.provenance)
