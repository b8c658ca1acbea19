"""Sections about the loss around networks, between them and along a training."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tetviz.figures.report import tables_flatness, tables_paths
from tetviz.figures.report.blocks import Block, Section, Sentences, Source
from tetviz.figures.report.parts import attempt, groups, of_each, of_network, picture, results_of, section
from tetviz.figures.report.surfaces import surface_block
from tetviz.figures.selection import require_same_directions
from tetviz.results import Lines, Surface
from tetviz.summaries.names import bn_words, data_context, lines_context, network_names, surface_context

ONE_PLANE = (
    "A random plane is one sample of directions; what two surfaces differ in may be its noise. tetviz sharpness "
    "measures several planes and gives intervals."
)
OTHER_DIRECTIONS = (
    "Surfaces along other directions stand in sections of their own: neither their axes nor their colours are shared "
    "with these."
)
OTHER_STATISTICS = "These surfaces differ in their batch-norm statistics, see above each."
OTHER_ARCHITECTURE = (
    "These networks differ in their architecture. Directions of the same seed are not the same noise in different "
    "architectures: the axes have the same unit, but the networks do not move the same way along them."
)


def surfaces(sources: Sequence[Source]) -> Iterable[Section]:
    """Loss surfaces to turn and to point at."""
    found = groups(sources, require_same_directions)
    for group in found:
        results: list[Surface] = results_of(group)
        blocks = attempt(surface_block, results)
        if len({bn_words(surface) for surface in results}) > 1:
            blocks.append(Sentences((OTHER_STATISTICS,), warning=True))
        blocks += _architectures(results)
        words = [OTHER_DIRECTIONS] * (len(found) > 1)
        words += [ONE_PLANE] * all(len(surface.plane) == 1 for surface in results)
        blocks.append(Sentences(tuple(words)))
        contexts = [surface_context(surface) for surface in results]
        # Where they differ each surface has its own above it.
        yield section("The loss around the network", group, blocks, contexts if len(set(contexts)) == 1 else ())


def sharpness(sources: Sequence[Source]) -> Iterable[Section]:
    """Flatness in numbers."""
    return _along_directions(sources, "How flat the loss is, in numbers")


def lines(sources: Sequence[Source]) -> Iterable[Section]:
    """Losses along lines."""
    yield from _along_directions([each for each in sources if _is_random(each)], "Lines through the network")
    between = [each for each in sources if not _is_random(each)]
    yield from _of_each(between, "From one network to another", tables_paths.barrier_table, lines_context)


def trajectories(sources: Sequence[Source]) -> Iterable[Section]:
    """Checkpoints on a plane."""
    for source in sources:
        result: Any = source.result
        title = "The path of a training" if result.path == "training" else "The plane through several networks"
        yield from _of_each([source], title, tables_paths.checkpoint_table, surface_context)


def curvatures(sources: Sequence[Source]) -> Iterable[Section]:
    """Surrogate Hessians beside the curvature of the measured loss."""
    yield from _of_each(sources, "Curvature", tables_flatness.curvature_table, data_context)


def _of_each(
    sources: Sequence[Source], title: str, table: Callable[[Any], Block], context: Callable[[Any], str]
) -> Iterable[Section]:
    for source in sources:
        result: Any = source.result
        yield section(title, [source], attempt(picture, [result], title) + attempt(table, result), [context(result)])


def _along_directions(sources: Sequence[Source], title: str) -> Iterable[Section]:
    for group in groups(sources, _require_same_lines):
        results: list[Lines] = results_of(group)
        names = network_names(results)
        blocks = attempt(picture, results, f"The loss around {', '.join(names)}, against the distance")
        tables = [
            of_network(table, name)
            for result, name in zip(results, names, strict=True)
            for table in attempt(tables_flatness.flatness_table, result)
        ]
        blocks += of_each("Each network in numbers", tables, len(results))
        blocks += [*_architectures(results), *attempt(_flatness_words, results)]
        yield section(title, group, blocks, [lines_context(result) for result in results])


def _is_random(source: Source) -> bool:
    return isinstance(source.result, Lines) and source.result.path == "random"


def _architectures(results: Sequence[Surface] | Sequence[Lines]) -> list[Block]:
    found = {result.provenance.texts()["network"] for result in results}
    return [Sentences((OTHER_ARCHITECTURE,), warning=True)] if len(found) > 1 else []


def _require_same_lines(results: Sequence[Any]) -> None:
    require_same_directions(results, same_bn=True)


def _flatness_words(results: Sequence[Lines]) -> Block:
    words = tables_flatness.flatness_words(results, tables_flatness.differences(results))
    return Sentences(tuple(words))
