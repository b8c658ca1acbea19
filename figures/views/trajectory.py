"""What checkpoints on a plane show: the path on the surface, and what the plane hides."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tetviz.figures.doubts import losses_of, not_finite
from tetviz.figures.formatting import number
from tetviz.figures.selection import chosen_timestep
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View
from tetviz.figures.views.surface import doubts, surface_context
from tetviz.results import Trajectory
from tetviz.summaries.names import counted, names_of, network_names

_COLUMNS = (
    *(Column(head, form=".4f") for head in ("x", "y", "distance", "residual")),
    *(Column(f"{head} (nat)", of=head, form=".4f") for head in ("L_SDT", "L_SDT on plane", "L_TET", "L_TET on plane")),
    Column("accuracy", form=".2%"),
)


def checkpoint_table(results: Sequence[Trajectory], choices: Choices) -> Table:
    """What the plane hides, checkpoint by checkpoint."""
    return stacked(network_names(results), [_checkpoints(result, choices.timestep) for result in results])


def _checkpoints(result: Trajectory, timestep: int | None) -> Table:
    step = chosen_timestep(result, timestep)
    shares, centred = (
        " + ".join(number(share, ".1%") for share in axes) for axes in (result.explained, result.explained_centred)
    )
    held = f"the axes hold {shares} of the squared displacements from the last checkpoint (centred: {centred}), which "
    explained = f"{held}says little: " if result.path == "training" else ""
    foot = f"{explained}believe the loss drawn at a checkpoint only where 'on plane' is near its true loss"
    return Table(
        _numbers(result, step),
        _COLUMNS,
        about="Checkpoints on a plane: where their projections are, their distance from the origin, how much of it is "
        "off the plane (residual), and their losses beside those at their projections",
        note=f"At T = {step}",
        feet=(foot,),
        label="checkpoint",
    )


def _numbers(result: Trajectory, timestep: int) -> pd.DataFrame:
    at = timestep - 1
    columns = {
        "x": result.point_x,
        "y": result.point_y,
        "distance": result.distance,
        "residual": result.residual,
        "L_SDT": result.true_sdt_loss[:, at],
        "L_SDT on plane": result.projected_sdt_loss[:, at],
        "L_TET": result.true_tet_loss[:, at],
        "L_TET on plane": result.projected_tet_loss[:, at],
        "accuracy": result.true_accuracy[:, at],
    }
    names = names_of(result.names, len(result.point), "checkpoint")
    return pd.DataFrame(columns, index=pd.Index(names, name="checkpoint"))


def record(results: Sequence[Trajectory], choices: Choices) -> list[dict[str, Any]]:
    """A record for each checkpoint."""
    frames = [_numbers(result, chosen_timestep(result, choices.timestep)) for result in results]
    rows = [row for frame in frames for row in frame.reset_index(names="name").to_dict("records")]
    return [{str(name): value for name, value in row.items()} for row in rows]


def _describe(result: Trajectory) -> str:
    path = "Path of a training on its principal plane" if result.path == "training" else "Plane through checkpoints"
    return f"{path}, {counted(len(result.point), 'checkpoint')}"


def _doubts(trajectory: Trajectory) -> list[str]:
    said: list[str] = []
    if trajectory.done.any():  # its checkpoints come first
        said += not_finite(losses_of(trajectory, "true_"), "at", "checkpoint")
        said += not_finite(losses_of(trajectory, "projected_"), "at", "checkpoint", " on the plane")
    return [*said, *doubts(trajectory)]


VIEW = View[Trajectory](
    title="Checkpoints on a plane",
    takes="files of tetviz trajectory or plane",
    describe=_describe,
    context=surface_context,
    doubts=_doubts,
    examined=True,
    tables={
        "checkpoint-table": TableOf(
            "checkpoints on a plane: distances, residuals and losses", checkpoint_table, heeds=("timestep",)
        )
    },
    record=record,
    figure="tetviz.figures.plots.trajectory:draw_trajectory",
    alt="The checkpoints of {} on a plane, over the loss",
    heeds=("loss", "timestep"),
    most=1,
)
