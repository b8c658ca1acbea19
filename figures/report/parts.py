"""What sections of a report are put together from: groups that compare, blocks that may fail, words for all."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tetviz.errors import ResultError, TetvizError
from tetviz.figures.captions import sample_words
from tetviz.figures.dispatch import draw
from tetviz.figures.formatting import told
from tetviz.figures.report.blocks import Block, Fold, Section, Sentences, Source, TextTable
from tetviz.figures.report.svg import drawing
from tetviz.results import Result, TrainingHistory
from tetviz.summaries.names import network_names

MANY = 4


def groups(sources: Sequence[Source], check: Callable[[Sequence[Any]], None]) -> list[list[Source]]:
    """Results that can be drawn together."""
    found: list[list[Source]] = []
    for source in sources:
        for group in found:
            try:
                check([*results_of(group), source.result])
            except ResultError:
                continue
            group.append(source)
            break
        else:
            found.append([source])
    return found


def results_of(sources: Sequence[Source]) -> list[Any]:
    """What files hold."""
    return [source.result for source in sources]


def attempt(build: Callable[..., Block | list[Block]], *given: Any) -> list[Block]:
    """Blocks about results; of one that holds too little, that it does: the others stay."""
    try:
        made = build(*given)
        return made if isinstance(made, list) else [made]
    except TetvizError as error:
        return [Sentences((str(error),), warning=True)]


def picture(results: Sequence[Result], alt: str) -> Block:
    """The figure that fits some results."""
    return drawing(draw(results), alt)


def of_network(block: Block, name: str) -> Block:
    """A table whose caption says which network it is about."""
    if not isinstance(block, TextTable):
        return block
    return dataclasses.replace(block, caption=": ".join(part for part in (name, block.caption) if part))


def of_each(title: str, blocks: Iterable[Block], networks: int) -> list[Block]:
    """Blocks for each network, which are shown when they are asked for if there are many."""
    return [Fold(title, tuple(blocks))] if networks > MANY else list(blocks)


def section(title: str, sources: Sequence[Source], blocks: Iterable[Block], contexts: Sequence[str]) -> Section:
    """A section, with what its results rest on above it, and that their samples differ if they do."""
    results = results_of(sources)
    names = network_names(results)
    words = sample_words([result for result in results if not isinstance(result, TrainingHistory)])
    warned = [Sentences((f"{words}.",), warning=True)] if words else []
    return Section(title, told(contexts, names), (*warned, *blocks), tuple(sources), tuple(names))
