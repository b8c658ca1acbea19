"""Sections of a report: results of one kind, drawn together where they compare, with their tables and words."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from tetviz.errors import ResultError, TetvizError
from tetviz.figures.choices import require_same_directions
from tetviz.figures.dispatch import draw
from tetviz.figures.labels import (
    bn_words,
    data_context,
    lines_context,
    network_name,
    network_names,
    surface_context,
)
from tetviz.figures.report import charts, tables_energy, tables_flatness, tables_scaling, tables_training
from tetviz.figures.report.blocks import Block, Fold, Section, Sentences, Source, Table, numbered, shared_text
from tetviz.figures.report.drawings import drawing
from tetviz.figures.report.surfaces import surface_block
from tetviz.figures.step_table import TABLE_CAPTION, step_accuracy_table
from tetviz.results import (
    BlockIsometry,
    Curvature,
    Lines,
    OperationCounts,
    Result,
    ScalingCurve,
    Sharpness,
    Surface,
    TrainingHistory,
    TrainingOperations,
    Trajectory,
)
from tetviz.summaries import estimate_energy
from tetviz.summaries.exits import RULES
from tetviz.summaries.scaling import differences_from_first
from tetviz.summaries.stored_costs import cost_of

ONE_PLANE = (
    "A random plane is one sample of directions; what two surfaces differ in may be its noise. tetviz sharpness "
    "measures several planes and gives intervals."
)
OTHER_ARCHITECTURE = (
    "These networks differ in their architecture. Directions of the same seed are not the same noise in different "
    "architectures: the axes have the same unit, but the networks do not move the same way along them."
)
LONG_TABLE = 10


Memory = dict[tuple[str, ...], list[Section]]


def sections(sources: Sequence[Source], memory: Memory | None = None) -> list[Section]:
    """All sections of a report.

    Args:
        sources: results of any kinds.
        memory: what was made before, from which sections of unchanged files are taken; afterwards it holds this
            report's.

    Returns:
        Sections in the order of the questions: the loss around networks, between them, over time, their costs.
    """
    before, made = dict(memory or {}), Memory()
    for kinds, build in _BUILDERS:
        # Exactly these kinds: a trajectory is a surface, a sharpness is lines.
        taken = [source for source in sources if type(source.result) in kinds]
        if taken:
            key = tuple(text for source in taken for text in (str(source.path), source.sha256, _name(source)))
            made[key] = before[key] if key in before else list(build(taken))
    if memory is not None:
        memory.clear()
        memory.update(made)
    return [section for found in made.values() for section in found]


def _name(source: Source) -> str:
    result: Any = source.result
    return network_name(result.provenance)


def _surfaces(sources: Sequence[Source]) -> Iterable[Section]:
    surfaces = [cast(Surface, source.result) for source in sources]
    groups = _groups(sources, require_same_directions)
    for group in groups:
        chosen = [surfaces[position] for position in group]
        names = network_names(chosen)
        blocks = _attempt(surface_block, chosen)
        words = [ONE_PLANE] * all(len(surface.plane) == 1 for surface in chosen)
        if len(groups) > 1:
            words.insert(
                0,
                "Surfaces along other directions stand in sections of their own: neither their axes nor their colours "
                "are shared with these.",
            )
        if len({bn_words(surface) for surface in chosen}) > 1:
            blocks.append(Sentences(("These surfaces differ in their batch-norm statistics, see above each.",), True))
        blocks += _architectures(chosen)
        blocks.append(Sentences(tuple(words)))
        context = shared_text([surface_context(surface) for surface in chosen])
        yield _section("The loss around the network", context, blocks, sources, group, names)


def _sharpness(sources: Sequence[Source]) -> Iterable[Section]:
    return _along_directions(sources, "How flat the loss is, in numbers")


def _random_lines(sources: Sequence[Source]) -> Iterable[Section]:
    random = [source for source in sources if cast(Lines, source.result).path == "random"]
    yield from _along_directions(random, "Lines through the network")
    for source in sources:
        lines = cast(Lines, source.result)
        if lines.path != "random":
            blocks = _attempt(_drawn, [lines], "Losses on the way") + _attempt(tables_flatness.path_table, lines)
            yield _section(
                "From one network to another", lines_context(lines), blocks, [source], [0], network_names([lines])
            )


def _along_directions(sources: Sequence[Source], title: str) -> Iterable[Section]:
    for group in _groups(sources, _require_same_lines):
        results = [cast(Lines, sources[position].result) for position in group]
        names = network_names(results)
        blocks = _attempt(_drawn, results, f"The loss around {', '.join(names)}, against the distance")
        for lines, name in zip(results, names, strict=True):
            blocks += [_named(table, name) for table in _attempt(tables_flatness.flatness_table, lines)]
        blocks += [*_architectures(results), *_attempt(_flatness_words, results)]
        context = shared_text([lines_context(lines) for lines in results])
        yield _section(title, context, blocks, sources, group, names)


def _architectures(results: Sequence[Surface] | Sequence[Lines]) -> list[Block]:
    found = {result.provenance.network for result in results}
    return [Sentences((OTHER_ARCHITECTURE,), warning=True)] if len(found) > 1 else []


def _trajectories(sources: Sequence[Source]) -> Iterable[Section]:
    for source in sources:
        result = cast(Trajectory, source.result)
        title = "The path of a training" if result.path == "training" else "The plane through several networks"
        blocks = _attempt(_drawn, [result], title) + _attempt(tables_flatness.path_points, result)
        yield _section(title, surface_context(result), blocks, [source], [0], network_names([result]))


def _curvatures(sources: Sequence[Source]) -> Iterable[Section]:
    for source in sources:
        result = cast(Curvature, source.result)
        blocks = _attempt(_drawn, [result], "Curvature") + _attempt(tables_flatness.curvature_table, result)
        yield _section("Curvature", data_context(result), blocks, [source], [0], network_names([result]))


def _scaling(sources: Sequence[Source]) -> Iterable[Section]:
    for group in _groups(sources, _require_same_data):
        curves = [cast(ScalingCurve, sources[position].result) for position in group]
        names = network_names(curves)
        blocks: list[Block] = [*charts.scaling_charts(curves)]
        blocks += [_named(tables_scaling.curve_table(curve), name) for curve, name in zip(curves, names, strict=True)]
        blocks.append(Table(TABLE_CAPTION, numbered(step_accuracy_table(curves), ".2f")))
        if len(curves) > 1:
            blocks += _attempt(_scaling_differences, curves)
        exits: list[Block] = [*charts.exit_charts(curves)]
        classes: list[Block] = []
        for curve, name in zip(curves, names, strict=True):
            exits += [_named(tables_scaling.exit_table(curve, rule), name) for rule in RULES]
            classes.append(_named(tables_scaling.class_table(curve), f"{name}: accuracy of each class, in %"))
        blocks.append(Fold("Early exit: each sample stops as soon as the network is sure of it", tuple(exits)))
        blocks.append(Fold("Accuracy of each class", tuple(classes)))
        context = shared_text([data_context(curve) for curve in curves])
        yield _section("Fewer and more timesteps", context, blocks, sources, group, names)


def _scaling_differences(curves: Sequence[ScalingCurve]) -> list[Block]:
    found = differences_from_first(curves)
    blocks: list[Block] = [
        tables_scaling.difference_table(difference, tables_scaling.shown_timesteps(curves, difference, other))
        for other, difference in enumerate(found, start=1)
    ]
    return [Sentences((*(each.sentence() for each in found), tables_scaling.NOT_SEEDS)), *blocks]


def _energy(sources: Sequence[Source]) -> Iterable[Section]:
    for group in _groups(sources, _require_same_data):
        counts = [cast(OperationCounts, sources[position].result) for position in group]
        names = network_names(counts)
        context = shared_text([data_context(each) for each in counts])
        yield _section("What it costs", context, _attempt(_priced, counts, names), sources, group, names)


def _priced(counts: Sequence[OperationCounts], names: Sequence[str]) -> list[Block]:
    reports = [estimate_energy(each, cost_of(each)) for each in counts]
    blocks: list[Block] = [*charts.energy_charts(reports)]
    if len(reports) > 1:
        blocks.append(tables_energy.networks_together(reports, names))
    tables = tables_energy
    for report, name in zip(reports, names, strict=True):
        parts = (tables.energy_by_timestep, tables.layers, tables.beside_synapses, tables.spikes)
        blocks.append(_named(tables.conventions_beside_anns(report), name))
        blocks.append(Fold(f"{name}: every T, layers, spikes", tuple(part(report) for part in parts)))
    return blocks


def _histories(sources: Sequence[Source]) -> Iterable[Section]:
    for group in _groups(sources, _require_same_data):
        runs = [cast(TrainingHistory, sources[position].result) for position in group]
        names = network_names(runs)
        blocks: list[Block] = [*charts.history_charts(runs)]
        blocks += [_named(tables_training.history_table(run), name) for run, name in zip(runs, names, strict=True)]
        context = f"{runs[0].provenance.dataset} test split".strip()
        yield _section("Over training", context, blocks, sources, group, names)


def _training_energy(sources: Sequence[Source]) -> Iterable[Section]:
    results = [cast(TrainingOperations, source.result) for source in sources]
    names = network_names(results)
    blocks = _attempt(_drawn, results, f"Energy of a training step of {', '.join(names)}, by phase and layer")
    for result, name in zip(results, names, strict=True):
        blocks += [_named(table, name) for table in tables_training.training_energies(result)]
    context = shared_text([data_context(result) for result in results])
    yield _section("What training costs", context, blocks, sources, range(len(sources)), names)


def _isometries(sources: Sequence[Source]) -> Iterable[Section]:
    results = [cast(BlockIsometry, source.result) for source in sources]
    names = network_names(results)
    what = f"How much the blocks of {', '.join(names)} stretch gradients"
    blocks = _attempt(_drawn, results, what)
    if len(results) > 1:
        blocks.append(tables_training.depth_table(results))
    for result, name in zip(results, names, strict=True):
        table = tables_training.block_table(result)
        named = _named(table, name)
        long = len(table.frame) > LONG_TABLE
        blocks += [Fold(f"{name}: {len(table.frame)} blocks", (named,)) if long else named]
    context = shared_text([data_context(result) for result in results])
    yield _section("What depth does to gradients", context, blocks, sources, range(len(sources)), names)


def _groups(sources: Sequence[Source], check: Callable[[Sequence[Any]], None]) -> list[list[int]]:
    groups: list[list[int]] = []
    for position, source in enumerate(sources):
        for group in groups:
            try:
                check([*(sources[each].result for each in group), source.result])
            except ResultError:
                continue
            group.append(position)
            break
        else:
            groups.append([position])
    return groups


def _require_same_lines(results: Sequence[Any]) -> None:
    require_same_directions(results, same_bn=True)


def _require_same_data(results: Sequence[Any]) -> None:
    if len({(each.provenance.dataset, each.provenance.split) for each in results}) > 1:
        raise ResultError("accuracies on different data do not compare")


def _attempt(build: Callable[..., Block | list[Block]], *given: Any) -> list[Block]:
    # A result that holds too little says so in its place, and the others stay.
    try:
        made = build(*given)
        return made if isinstance(made, list) else [made]
    except TetvizError as error:
        return [Sentences((str(error),), warning=True)]


def _drawn(results: Sequence[Result], alt: str) -> Block:
    return drawing(draw(results), alt)


def _flatness_words(results: Sequence[Lines]) -> Block:
    words = tables_flatness.flatness_words(results, tables_flatness.differences(results))
    return Sentences(tuple(words))


def _named(table: Block, name: str) -> Block:
    if not isinstance(table, Table):
        return table
    return dataclasses.replace(table, caption=": ".join(part for part in (name, table.caption) if part))


def _section(
    title: str,
    context: str,
    blocks: Sequence[Block],
    sources: Sequence[Source],
    group: Iterable[int],
    names: Sequence[str],
) -> Section:
    return Section(title, context, tuple(blocks), tuple(sources[position] for position in group), tuple(names))


_BUILDERS: tuple[tuple[tuple[type[Result], ...], Callable[[Sequence[Source]], Iterable[Section]]], ...] = (
    ((Surface,), _surfaces),
    ((Sharpness,), _sharpness),
    ((Lines,), _random_lines),
    ((Trajectory,), _trajectories),
    ((Curvature,), _curvatures),
    ((ScalingCurve,), _scaling),
    ((OperationCounts,), _energy),
    ((TrainingHistory,), _histories),
    ((TrainingOperations,), _training_energy),
    ((BlockIsometry,), _isometries),
)
