"""What lines from one checkpoint to another show: the barrier between them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.captions import losses_words
from tetviz.figures.curves import ACCURACY, Axis, Curves, Series, gaps_of, scale_of
from tetviz.figures.formatting import number
from tetviz.figures.selection import chosen_timestep, known_loss, line_values
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View
from tetviz.figures.views.sharpness import lines_context, lines_doubts, points_words
from tetviz.results import Lines
from tetviz.results.schema import FloatArray
from tetviz.summaries import barrier, barriers, mean_along
from tetviz.summaries.names import LOSS_WORDS, LOSSES, names_of, network_name, network_names

_COLUMNS = tuple(
    Column(head, of=head.removesuffix(" (nat)"), form=".4f")
    for head in ("line", "first (nat)", "second (nat)", "barrier (nat)", "mean along (nat)")
)
_FOOT = (
    "first and second are the checkpoints' own losses, which a line of other batch-norm statistics does not meet; the "
    "barrier is how far the highest loss on the line lies above their mean"
)


_WAYS = {"linear": "the straight line", "bezier": "a trained curve and the straight line"}


def path_charts(results: Sequence[Lines], choices: Choices) -> list[Curves]:
    """Losses and accuracy from one checkpoint to another, a line for each treatment or curve, with its barrier.

    A barrier is a lower bound where points between the checkpoints are missing.
    """
    (lines,) = results
    ways = _ways(lines, choices)
    what = "BN " if lines.path == "linear" else ""
    names = tuple(f"{what}{name}: barrier of {', of '.join(heights)}" for name, heights in ways.items())
    charts = [_chart(lines, each, choices) for each in (*_losses(choices), "accuracy")]
    return [dataclasses.replace(chart, networks=names, methods=tuple(ways)) for chart in charts]


def _chart(lines: Lines, what: str, choices: Choices) -> Curves:
    step, is_loss = chosen_timestep(lines, choices.timestep), what != "accuracy"
    field, word, unit, factor = (f"{what}_loss", LOSS_WORDS[what], "nat", 1) if is_loss else (what, what, "%", 100)
    values = factor * line_values(lines, field, step)
    ends = factor * getattr(lines, f"end_{field}")[:, step - 1]
    at = np.array([0.0, 1.0])
    texts = [_texts(lines.x, line, word, unit) for line in values]
    series = [
        Series(way, lines.x, line, texts=told) for way, (line, told) in enumerate(zip(values, texts, strict=True))
    ]
    series.append(Series(None, at, ends, texts=_texts(at, ends, word, unit), ringed=(0, 1), joined=False))
    return Curves(
        f"{word[0].upper()}{word[1:]} between the checkpoints",
        f"{word} from one network to another: {network_name(lines.provenance)}.",
        (),
        Axis("position (checkpoints at 0, 1)"),
        Axis(f"{word} ({unit})", *scale_of([values, ends])) if is_loss else ACCURACY,
        tuple(series),
        ring="the checkpoints themselves, with their own BN statistics",
        gaps=gaps_of(lines.x, list(values)),
    )


def _texts(x: FloatArray, values: FloatArray, word: str, unit: str) -> tuple[str, ...]:
    return tuple(f"position {at:g}\n{word} {number(value)} {unit}" for at, value in zip(x, values, strict=True))


def _losses(choices: Choices) -> tuple[str, ...]:
    return LOSSES if choices.loss is None else (known_loss(choices.loss),)


def _ways(lines: Lines, choices: Choices) -> dict[str, list[str]]:
    # What each line is called, and its barriers.
    step = chosen_timestep(lines, choices.timestep)
    names = names_of(lines.names, len(lines.line), "line")
    heights = [[_barrier_text(lines, loss, step, way) for loss in _losses(choices)] for way in range(len(names))]
    return dict(zip(names, heights, strict=True))


def _barrier_text(lines: Lines, loss: str, timestep: int, way: int) -> str:
    losses = line_values(lines, f"{loss}_loss", timestep)[way]
    known = np.isfinite(losses)
    height = barrier(lines.x[known], losses[known], getattr(lines, f"end_{loss}_loss")[:, timestep - 1])
    if np.isnan(height):
        return f"{LOSS_WORDS[loss]} unknown"
    least = np.isnan(losses[(lines.x >= -1e-9) & (lines.x <= 1 + 1e-9)]).any()
    size = f"{height:#.3g}" if abs(height) < 100 else f"{height:,.0f}"
    return f"{LOSS_WORDS[loss]} {'at least ' if least else ''}{size} nat"


def _curves_context(lines: Lines, choices: Choices) -> str:
    step = f"T = {chosen_timestep(lines, choices.timestep)}"
    return "; ".join(filter(None, (step, lines_context(lines), points_words(lines))))


def _caption(results: Sequence[Lines], choices: Choices) -> list[str]:
    (lines,) = results
    found = "; ".join(f"{name}, {' and '.join(heights)}" for name, heights in _ways(lines, choices).items())
    return [
        f"{losses_words(_losses(choices))} (nat) and accuracy along {_WAYS[lines.path]} from one checkpoint (position "
        "0) to the other (position 1)",
        f"Barriers, the highest loss between the checkpoints minus the mean of theirs: {found}",
    ]


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
    curves=path_charts,
    curves_context=_curves_context,
    caption=_caption,
    heeds=("loss", "timestep"),
    most=1,
)
