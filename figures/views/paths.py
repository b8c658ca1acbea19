"""What lines from one checkpoint to another show: the barrier between them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tetviz.figures.selection import chosen_timestep
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View
from tetviz.figures.views.sharpness import lines_context, lines_doubts
from tetviz.results import Lines
from tetviz.summaries import barriers, mean_along
from tetviz.summaries.names import LOSS_WORDS, network_names

_COLUMNS = tuple(
    Column(head, of=head.removesuffix(" (nat)"), form=".4f")
    for head in ("line", "first (nat)", "second (nat)", "barrier (nat)", "mean along (nat)")
)
_FOOT = (
    "first and second are the checkpoints' own losses, which a line of other batch-norm statistics does not meet; the "
    "barrier is how far the highest loss on the line lies above their mean"
)


def barrier_table(results: Sequence[Lines], choices: Choices) -> Table:
    """The barriers on lines between checkpoints."""
    return stacked(network_names(results), [_barriers(lines, choices.timestep) for lines in results])


def _barriers(lines: Lines, timestep: int | None) -> Table:
    step = chosen_timestep(lines, timestep)
    return Table(
        _numbers(lines, step),
        _COLUMNS,
        about="Barriers between checkpoints",
        note=f"At T = {step}",
        feet=(_FOOT,),
        label="barrier",
    )


def _numbers(lines: Lines, timestep: int) -> pd.DataFrame:
    rows = []
    for loss, word in LOSS_WORDS.items():
        first, second = getattr(lines, f"end_{loss}_loss")[:, timestep - 1].tolist()
        means = mean_along(lines, loss, timestep)
        for name, height in barriers(lines, loss, timestep).items():
            numbers = {"first": first, "second": second, "barrier": height, "mean along": means[name]}
            rows.append({"loss": word, "line": name, **numbers})
    return pd.DataFrame(rows).set_index("loss")


def record(results: Sequence[Lines], choices: Choices) -> list[dict[str, Any]]:
    """A record for each loss and line."""
    made: list[dict[str, Any]] = []
    for lines in results:
        step = chosen_timestep(lines, choices.timestep)
        numbers = _numbers(lines, step).reset_index()
        numbers.insert(1, "timesteps", step)
        made += [{str(name): value for name, value in row.items()} for row in numbers.to_dict("records")]
    return made


def _describe(lines: Lines) -> str:
    return f"{'Straight line' if lines.path == 'linear' else 'Trained curve'} between two checkpoints"


VIEW = View[Lines](
    title="From one network to another",
    takes="files of tetviz interpolate or connect",
    describe=_describe,
    context=lines_context,
    doubts=lines_doubts,
    examined=True,
    tables={
        "barrier-table": TableOf(
            "barriers between networks and mean losses on the way", barrier_table, heeds=("timestep",)
        )
    },
    record=record,
    figure="tetviz.figures.plots.interpolation:draw_interpolation",
    alt="The loss from one network to another: {}",
    heeds=("loss", "timestep"),
    most=1,
)
