"""Sections of a report: results of one kind, drawn together where they compare, with their tables and words."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tetviz.figures.report import sections_costs as costs
from tetviz.figures.report import sections_landscape as landscape
from tetviz.figures.report.blocks import Section, Source
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
from tetviz.summaries.names import network_name

Memory = dict[tuple[str, ...], list[Section]]
_BUILDERS: dict[type[Result], Callable[[Sequence[Source]], Iterable[Section]]] = {
    Surface: landscape.surfaces,
    Sharpness: landscape.sharpness,
    Lines: landscape.lines,
    Trajectory: landscape.trajectories,
    Curvature: landscape.curvatures,
    ScalingCurve: costs.scaling,
    OperationCounts: costs.energy,
    TrainingHistory: costs.histories,
    TrainingOperations: costs.training_energy,
    BlockIsometry: costs.isometries,
}


def sections(sources: Sequence[Source], memory: Memory | None = None) -> list[Section]:
    """All sections of a report."""
    before, made = dict(memory or {}), Memory()
    for kind, build in _BUILDERS.items():
        # Exactly this kind: a trajectory is a surface, a sharpness is lines.
        taken = [source for source in sources if type(source.result) is kind]
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
