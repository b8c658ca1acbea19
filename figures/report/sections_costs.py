"""Sections about timesteps, energy, training and depth."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tetviz.errors import ResultError
from tetviz.figures.formatting import numbered, told
from tetviz.figures.report import charts, tables_energy, tables_scaling, tables_training
from tetviz.figures.report.blocks import Block, Fold, Section, Sentences, Source, TextTable
from tetviz.figures.report.parts import attempt, groups, of_each, of_network, picture, results_of, section
from tetviz.figures.step_table import TABLE_CAPTION, step_accuracy_table
from tetviz.results import BlockIsometry, OperationCounts, ScalingCurve, TrainingHistory, TrainingOperations
from tetviz.summaries import estimate_energy
from tetviz.summaries.exits import RULES
from tetviz.summaries.names import counted, data_context, history_context, network_names
from tetviz.summaries.scaling import differences_from_first
from tetviz.summaries.stored_costs import cost_of

LONG_TABLE = 10
OTHER_PRICES = (
    "These networks are priced by other cost models or conventions, so their energies do not compare; price them alike "
    "with tetviz plot --cost, --convention, --first-layer and --pool."
)


def scaling(sources: Sequence[Source]) -> Iterable[Section]:
    """Accuracy against the number of timesteps."""
    for group in groups(sources, _require_same_data):
        curves: list[ScalingCurve] = results_of(group)
        named = list(zip(curves, network_names(curves), strict=True))
        blocks: list[Block] = [*charts.scaling_charts(curves)]
        tables = [of_network(tables_scaling.curve_table(curve), name) for curve, name in named]
        blocks += of_each("Each network at every T", tables, len(curves))
        blocks.append(TextTable(TABLE_CAPTION, numbered(step_accuracy_table(curves), ".2f")))
        if len(curves) > 1:
            blocks += attempt(_scaling_differences, curves)
        exits: list[Block] = [*charts.exit_charts(curves)]
        classes: list[Block] = []
        for curve, name in named:
            exits += [of_network(tables_scaling.exit_table(curve, rule), name) for rule in RULES]
            classes.append(of_network(tables_scaling.class_table(curve), f"{name}: accuracy of each class, in %"))
        blocks.append(Fold("Early exit: each sample stops as soon as the network is sure of it", tuple(exits)))
        blocks.append(Fold("Accuracy of each class", tuple(classes)))
        yield section("Fewer and more timesteps", group, blocks, [data_context(curve) for curve in curves])


def energy(sources: Sequence[Source]) -> Iterable[Section]:
    """What inference costs."""
    for group in groups(sources, _require_same_data):
        counts: list[OperationCounts] = results_of(group)
        yield section("What it costs", group, attempt(_priced, counts), [data_context(each) for each in counts])


def histories(sources: Sequence[Source]) -> Iterable[Section]:
    """Losses and accuracy over training."""
    for group in groups(sources, _require_same_data):
        runs: list[TrainingHistory] = results_of(group)
        blocks: list[Block] = [*charts.history_charts(runs)]
        named = zip(runs, network_names(runs), strict=True)
        tables = [of_network(tables_training.history_table(run), name) for run, name in named]
        blocks += of_each("Each training in numbers", tables, len(runs))
        yield section("Over training", group, blocks, list(map(history_context, runs)))


def training_energy(sources: Sequence[Source]) -> Iterable[Section]:
    """What training costs."""

    def tables(results: Sequence[TrainingOperations], names: Sequence[str]) -> Iterable[Block]:
        for result, name in zip(results, names, strict=True):
            yield from (of_network(table, name) for table in tables_training.training_energies(result))

    alt = "Energy of a training step of {}, by phase and layer"
    yield _pictured("What training costs", alt, tables, sources)


def isometries(sources: Sequence[Source]) -> Iterable[Section]:
    """What depth does to gradients."""

    def tables(results: Sequence[BlockIsometry], names: Sequence[str]) -> Iterable[Block]:
        if len(results) > 1:
            yield tables_training.depth_table(results)
        for result, name in zip(results, names, strict=True):
            table = tables_training.block_table(result)
            count, shown = len(table.frame), of_network(table, name)
            yield Fold(f"{name}: {counted(count, 'block')}", (shown,)) if count > LONG_TABLE else shown

    yield _pictured("What depth does to gradients", "How much the blocks of {} stretch gradients", tables, sources)


def _pictured(title: str, alt: str, tables: Callable[..., Iterable[Block]], sources: Sequence[Source]) -> Section:
    # The figure of all networks, whose names its alternative text takes, and what their tables say.
    results = results_of(sources)
    names = network_names(results)
    blocks = [*attempt(picture, results, alt.format(", ".join(names))), *tables(results, names)]
    return section(title, sources, blocks, [data_context(result) for result in results])


def _scaling_differences(curves: Sequence[ScalingCurve]) -> list[Block]:
    found = differences_from_first(curves)
    blocks: list[Block] = [
        tables_scaling.difference_table(difference, tables_scaling.shown_timesteps(curves, difference, other))
        for other, difference in enumerate(found, start=1)
    ]
    words = Sentences((*(each.sentence() for each in found), tables_scaling.NOT_SEEDS))
    return [words, *of_each(f"Each network and {found[0].first}, at every T", blocks, len(curves))]


def _priced(counts: Sequence[OperationCounts]) -> list[Block]:
    tables, names = tables_energy, network_names(counts)
    reports = [estimate_energy(each, cost_of(each)) for each in counts]
    prices = told([tables.price_words(report) for report in reports], names)
    unlike = len(prices) > 1
    blocks: list[Block] = [Sentences((OTHER_PRICES, *prices) if unlike else prices, warning=unlike)]
    blocks += charts.energy_charts(reports)
    if len(reports) > 1:
        blocks.append(tables.networks_together(reports, names))
    each: list[Block] = []
    for report, name in zip(reports, names, strict=True):
        parts = (tables.energy_by_timestep, tables.layers, tables.beside_synapses, tables.spikes)
        each.append(of_network(tables.conventions_beside_anns(report), name))
        each.append(Fold(f"{name}: every T, layers, spikes", tuple(part(report) for part in parts)))
    return blocks + of_each("Each network under every convention", each, len(reports))


def _require_same_data(results: Sequence[Any]) -> None:
    if len({(each.provenance.dataset, each.provenance.split) for each in results}) > 1:
        raise ResultError("accuracies on different data do not compare")
