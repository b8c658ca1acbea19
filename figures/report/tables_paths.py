"""What lies between networks and along a training, as tables and as the numbers behind them."""

import pandas as pd

from tetviz.figures.formatting import number, numbered
from tetviz.figures.report.blocks import TextTable
from tetviz.results import Lines, Trajectory, default_timestep
from tetviz.summaries import barriers, mean_along
from tetviz.summaries.names import LOSSES, names_of


def barrier_numbers(lines: Lines) -> pd.DataFrame:
    """The barriers on the lines between two checkpoints, at the training T.

    Returns:
        A row for each loss and line: its name, the losses of the first and the second checkpoint with their own
        batch-norm statistics, the barrier above their mean, and the mean along the line, in nat.
    """
    step = default_timestep(lines)
    rows, index = [], []
    for loss in LOSSES:
        ends = getattr(lines, f"end_{loss}_loss")[:, step - 1].tolist()
        means = mean_along(lines, loss, step)
        for name, height in barriers(lines, loss, step).items():
            rows.append([name, *ends, height, means[name]])
            index.append(f"L_{loss.upper()}")
    columns = ["line", "first", "second", "barrier", "mean along"]
    return pd.DataFrame(rows, index=pd.Index(index, name=f"T = {step}"), columns=columns)


def barrier_table(lines: Lines) -> TextTable:
    """The same numbers to be read."""
    foot = (
        "first and second are the checkpoints' own losses, which a line of other batch-norm statistics does not meet; "
        "the barrier is how far the highest loss on the line lies above their mean"
    )
    return TextTable("", numbered(barrier_numbers(lines), ".4f"), (foot,))


def checkpoint_numbers(result: Trajectory) -> pd.DataFrame:
    """What the plane of a trajectory hides, checkpoint by checkpoint, at the training T.

    Returns:
        A row for each checkpoint: where its projection is, its distance from the origin and how much of that is off
        the plane, its true losses beside those on the plane, in nat, and its accuracy, a fraction.
    """
    step = default_timestep(result) - 1
    columns = {
        "x": result.point_x,
        "y": result.point_y,
        "distance": result.distance,
        "residual": result.residual,
        "L_SDT": result.true_sdt_loss[:, step],
        "L_SDT on plane": result.projected_sdt_loss[:, step],
        "L_TET": result.true_tet_loss[:, step],
        "L_TET on plane": result.projected_tet_loss[:, step],
        "accuracy": result.true_accuracy[:, step],
    }
    names = names_of(result.names, len(result.point), "checkpoint")
    return pd.DataFrame(columns, index=pd.Index(names, name=f"T = {step + 1}"))


def checkpoint_table(result: Trajectory) -> TextTable:
    """The same numbers to be read."""
    numbers = checkpoint_numbers(result)
    frame = numbered(numbers, ".4f")
    frame["accuracy"] = [number(share, ".2%") for share in numbers["accuracy"]]
    if result.path != "training":
        return TextTable("", frame)
    shares, centred = (
        " + ".join(number(share, ".1%") for share in axes) for axes in (result.explained, result.explained_centred)
    )
    foot = (
        f"the axes hold {shares} of the squared displacements from the last checkpoint (centred: {centred}), which "
        "says little: believe the loss drawn at a checkpoint only where 'on plane' is near its true loss"
    )
    return TextTable("", frame, (foot,))
