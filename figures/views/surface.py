"""What a loss surface shows: the loss around the network, in numbers, as a map and in 3-D."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.captions import directions_words
from tetviz.figures.doubts import losses_of, not_finite
from tetviz.figures.selection import chosen_timestep, require_same_directions
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, FigureOf, TableOf, View, Words
from tetviz.figures.views import sharpness
from tetviz.results import Surface, Trajectory
from tetviz.summaries import axis_lines
from tetviz.summaries.names import (
    LOSS_WORDS,
    bn_words,
    counted,
    data_context,
    network_name,
    network_names,
    policy_words,
)
from tetviz.summaries.surfaces import extremes

_ALIKE = "surfaces of tetviz landscape, directions of the same seed"
_ONE_PLANE = (
    "A random plane is one sample of directions; what two surfaces differ in may be its noise. tetviz sharpness "
    "measures several planes and gives intervals."
)


def surface_context(surface: Surface) -> str:
    """The choices that a surface rests on, besides its network, loss and number of timesteps."""
    if isinstance(surface, Trajectory):
        where = f"plane fitted to {len(surface.point)} checkpoints"
    elif surface.plane_seed < 0:
        where = "planes of unknown seed"
    else:
        where = f"plane seed {surface.plane_seed}{', orthogonal directions' * bool(surface.orthogonal)}"
    parts = [data_context(surface), bn_words(surface), where, policy_words(surface.policy)]
    return "; ".join(part for part in parts if part)


def surface_table(results: Sequence[Surface], choices: Choices) -> Table:
    """Losses and accuracy of networks: at (0, 0), lowest, highest and in the mean over all points."""
    return stacked(network_names(results), [_in_numbers(result, choices.timestep) for result in results])


def _in_numbers(surface: Surface, timestep: int | None) -> Table:
    step = chosen_timestep(surface, timestep)
    rows = {f"{word} (nat)": extremes(surface, f"{loss}_loss", step) for loss, word in LOSS_WORDS.items()}
    share = extremes(surface, "accuracy", step)
    rows["accuracy (%)"] = share | {name: 100 * share[name] for name in ("centre", "lowest", "mean", "highest")}
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")
    lost = int(frame["not_finite"].max())
    columns = [
        Column("at (0, 0) (1 s.e.)", of="centre", form=".4g", error="se"),
        Column("lowest", form=".4g"),
        Column("at x", of="lowest_x", form=".3g"),
        Column("at y", of="lowest_y", form=".3g"),
        Column("on plane", of="lowest_plane", form=".0f"),
        Column("mean", form=".4g"),
        Column("highest", form=".4g"),
        Column("not finite", of="not_finite"),
    ]
    return Table(
        frame,
        tuple(column for column in columns if len(surface.plane) > 1 or column.head != "on plane"),
        about="Loss surfaces in numbers: the network itself, at (0, 0), and the lowest, mean and highest of all points",
        note=f"At T = {step}",
        feet=(f"{counted(lost, 'measured point')} {'has' if lost == 1 else 'have'} no finite loss",) if lost else (),
        label="surface",
    )


def axes_table(results: Sequence[Surface], choices: Choices) -> Table:
    """What the lines of the planes along their axes say of flatness."""
    return sharpness.flatness_table([axis_lines(surface) for surface in results], choices)


def _has_intervals(surface: Surface) -> bool:
    # Of one plane a line is drawn, but nothing is known of the noise of directions.
    return len(surface.plane) > 1 and np.array_equal(surface.x, surface.y) and 0 in surface.x


def words(results: Sequence[Surface], choices: Choices) -> Words:
    """What surfaces do not allow to conclude; of several planes what a sharpness of their axes says."""
    said: tuple[str, ...] = ()
    warned: tuple[str, ...] = (directions_words(results),)
    if len({bn_words(surface) for surface in results}) > 1:
        warned += ("The surfaces differ in their batch-norm statistics",)
    if not isinstance(results[0], Trajectory):
        warned += tuple(_off_centre(surface, choices.timestep) for surface in results)
    if all(map(_has_intervals, results)):
        flatness = sharpness.words([axis_lines(surface) for surface in results], choices)
        said, warned = flatness.said, warned + flatness.warned
    elif all(len(surface.plane) == 1 for surface in results):
        said = (_ONE_PLANE,)
    return Words(said, tuple(dict.fromkeys(filter(None, warned))))


def _off_centre(surface: Surface, timestep: int | None) -> str:
    # The same samples are at both points, so that two standard errors of one are far beyond the noise of a difference.
    found = extremes(surface, f"{surface.loss}_loss", chosen_timestep(surface, timestep))
    if not found["centre"] - found["lowest"] > 2 * found["se"]:
        return ""
    advice = {"frozen": "; with stale batch-norm statistics it is one with --bn recalibrate, see tetviz doctor"}
    return (
        f"{network_name(surface.provenance)} is no minimum on its plane: {LOSS_WORDS[surface.loss]} is "
        f"{found['centre']:.4g} at (0, 0) and {found['lowest']:.4g} at ({found['lowest_x']:.3g}, "
        f"{found['lowest_y']:.3g}){advice.get(surface.bn, '')}"
    )


def record(results: Sequence[Surface], choices: Choices) -> list[dict[str, Any]]:
    """A record for each surface and loss, at the longest T."""
    return [_record(surface, loss) for surface in results for loss in LOSS_WORDS]


def _record(surface: Surface, loss: str) -> dict[str, Any]:
    step = int(surface.timestep[-1])
    found = extremes(surface, f"{loss}_loss", step)
    return {
        "checkpoint": surface.provenance.checkpoint,
        "loss": LOSS_WORDS[loss],
        "timesteps": step,
        "planes": len(surface.plane),
        **{name: value for name, value in found.items() if name != "se"},
    }


def _describe(surface: Surface) -> str:
    return f"Loss surface, {len(surface.x)} x {len(surface.y)} points on {counted(len(surface.plane), 'plane')}"


def doubts(surface: Surface) -> list[str]:
    """At how many points a loss is not finite."""
    return not_finite(losses_of(surface, "", surface.done == 1), "at", "measured point")


VIEW = View[Surface](
    title="The loss around the network",
    takes=_ALIKE,
    describe=_describe,
    context=surface_context,
    doubts=doubts,
    examined=True,
    tables={
        "surface-table": TableOf(
            "losses and accuracy of a loss surface: at (0, 0), lowest, highest", surface_table, heeds=("timestep",)
        ),
        "axes-table": TableOf(
            "flatness along the axes of a surface's planes, with intervals over planes",
            axes_table,
            heeds=("timestep",),
            fits=_has_intervals,
        ),
    },
    record=record,
    figure="tetviz.figures.plots.surface:draw_surfaces",
    alt="The loss around {}",
    figures={
        "fig2": FigureOf(
            "Figure 2: loss surfaces of networks side by side, under both losses, on shared levels",
            "tetviz.figures.plots.surface:compare_surfaces",
            heeds=("timestep", "plane"),
        ),
        "fig5": FigureOf(
            "Figure 5: loss landscapes in 3-D side by side, under both losses, on shared heights",
            "tetviz.figures.plots.relief:compare_reliefs",
            heeds=("loss", "timestep", "plane"),
            most=4,
        ),
        "timesteps": FigureOf(
            "one loss surface at every T, on shared levels",
            "tetviz.figures.plots.multiples:draw_timesteps",
            "one surface (--all-t)",
            ("loss", "plane"),
            most=1,
        ),
        "planes": FigureOf(
            "all planes of one loss surface, on shared levels",
            "tetviz.figures.plots.multiples:draw_planes",
            "one surface (--all-planes)",
            ("loss", "timestep"),
            most=1,
        ),
    },
    heeds=("loss", "timestep", "plane"),
    words=words,
    page="tetviz.figures.report.surfaces:surface_block",
    together=require_same_directions,
    comparison=dataclasses.replace(sharpness.COMPARISON, of=axis_lines),
    animated=True,
)
