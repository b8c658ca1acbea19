"""What a sharpness shows: how flat the loss is around networks, in numbers with intervals over random planes."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.captions import directions_words, losses_words, steps_words
from tetviz.figures.curves import Axis, Curves, Series, gaps_of, interval_texts, scale_of
from tetviz.figures.doubts import losses_of, not_finite
from tetviz.figures.formatting import axis_label, number
from tetviz.figures.selection import chosen_losses, chosen_timestep, require_same_directions
from tetviz.figures.table import NETWORK, Column, Table
from tetviz.figures.view import Choices, Comparison, TableOf, View, Words
from tetviz.results import Lines, Sharpness
from tetviz.results.schema import FloatArray
from tetviz.summaries import Difference, Interval, sharpness_table
from tetviz.summaries.flatness import (
    FEW_PLANES,
    centre_loss,
    differences_from_first,
    mean_rises,
    of_planes,
    step_rises,
    table_radii,
    worst_rises,
)
from tetviz.summaries.intervals import CONFIDENCE, METHOD, holm, mean_of_complete
from tetviz.summaries.names import (
    LOSS_WORDS,
    LOSSES,
    bn_words,
    counted,
    data_context,
    network_name,
    network_names,
    policy_words,
)

# Of the numbers that are no loss; r is a coordinate.
_UNITS = {"curvature": "nat/r^2", "width": "unit of r", "roughness": ""}
_LOSS = Column("loss", named=LOSS_WORDS)
_LISTED = 4  # differences that the terminal names
_VALUES = (Column("quantity", unit="unit"), Column("", of="mean", form=".4g", low="low", high="high"))
OVER_PLANES = f"{METHOD} over planes"
_OVER_STEPS = f"{METHOD} over steps"
_FEW_LENGTHS = 5  # of steps, of which each has a tick


def lines_context(lines: Lines) -> str:
    """The choices that lines rest on, besides their network, loss and number of timesteps."""
    bn, where = bn_words(lines), ""
    if lines.path == "random":
        where = f"plane seed {lines.plane_seed}{', orthogonal directions' * bool(lines.orthogonal)}"
    elif lines.path == "linear":
        count = len(lines.calibration)
        bn = f"BN statistics re-estimated on {count:,} training samples where recalibrated" if count else ""
    return "; ".join(part for part in (data_context(lines), bn, where, policy_words(lines.policy)) if part)


def planes_context(lines: Lines, choices: Choices) -> str:
    """The choices that curves along random lines rest on, with T, and the planes and points that are measured."""
    count = (len(lines.line) + 1) // 2
    planes = f"{count} planes of 2 lines" if count > 1 else "1 plane of 2 lines, no interval"
    complete = int((of_planes(lines.done == 1) == 1).all(1).sum())
    if 0 < complete < count:
        planes = f"{planes}, mean of the {complete} complete"
    step = f"T = {chosen_timestep(lines, choices.timestep)}"
    return "; ".join(filter(None, (step, lines_context(lines), planes, points_words(lines))))


def points_words(lines: Lines) -> str:
    """How many points on lines are measured, while they are not all."""
    done = lines.done
    return "" if done.all() else f"{int(done.sum()):,} of {done.size:,} points"


def _steps_context(result: Any, choices: Choices) -> str:
    done, size = int(result.sam_done.sum() + result.average_done.sum()), result.sam_done.size + result.average_done.size
    steps = f"{counted(len(result.draw), 'random step')} of each length"
    unfinished = f"{done} of {size} steps" if done < size else ""
    return "; ".join(filter(None, (planes_context(result, choices), steps, unfinished)))


def rise_charts(results: Sequence[Any], choices: Choices) -> list[Curves]:
    """How far losses rise: the mean with the distance, after one step, at worst, and the mean beside the first."""
    steps = [chosen_timestep(result, choices.timestep) for result in results]
    charts = []
    for row, loss in enumerate(chosen_losses(results, choices.loss)):
        rises = [(result, loss, t) for result, t in zip(results, steps, strict=True)]
        symbol, means = LOSS_WORDS[loss], [mean_rises(*each) for each in rises]
        worst = [worst_rises(*each) for each in rises]
        charts += [
            _distances(results, means, f"mean rise of {symbol}", f"Mean rise of {symbol} at distance r", row),
            _step_chart(results, rises, symbol, row),
            _distances(
                results,
                worst,
                f"worst rise of {symbol}",
                f"Worst rise of {symbol} within r on the lines of a plane",
                row,
            ),
        ]
        if len(results) > 1:
            first = network_names(results)[0]
            what, title = f"rise of {symbol} minus that of {first}", f"Mean rise of {symbol} minus that of {first}"
            charts.append(_distances(results, _paired(means), what, f"{title}, plane by plane", row, zero=True))
    return charts


def _paired(means: Sequence[tuple[FloatArray, FloatArray]]) -> list[tuple[FloatArray, FloatArray]]:
    # Planes are shared, so differences are paired: their bands are narrower than those of the means are apart.
    (r, first), *others = means
    nothing = np.full((1, len(r)), np.nan)
    alike = [np.array_equal(r, there) and rises.shape == first.shape for there, rises in others]
    pairs = zip(others, alike, strict=True)
    return [(r, nothing), *((r, rises - first if same else nothing) for (_, rises), same in pairs)]


def _distances(
    results: Sequence[Sharpness],
    found: Sequence[tuple[FloatArray, FloatArray]],
    what: str,
    title: str,
    row: int,
    *,
    zero: bool = False,
) -> Curves:
    means = [(r, mean_of_complete(rises)) for r, rises in found]
    series = [
        mean_series(network, r, mean, "r", what)
        for network, (r, mean) in enumerate(means)
        if np.isfinite(mean.mean).any()
    ]
    names = network_names(results)
    return Curves(
        title,
        f"{title}, of {', '.join(names)}.",
        tuple(names),
        Axis(axis_label("r", results[0].norm)),
        Axis(f"{what} (nat)", *scale_of([mean.mean for _, mean in means], from_median=True), lines=(0.0,) * zero),
        tuple(series),
        band=OVER_PLANES if any(mean.draws > 1 for _, mean in means) else "",
        gaps=() if zero else shared_gaps([(r, mean.mean) for r, mean in means]),
        note="" if series else "no value on the same planes and distances" if zero else "no value yet",
        row=row,
    )


def _step_chart(
    results: Sequence[Sharpness], of: Sequence[tuple[Sharpness, str, int]], symbol: str, row: int
) -> Curves:
    series: list[Series] = []
    for network, (result, loss, t) in enumerate(of):
        sam, average = step_rises(result, loss, t, centre_loss(result, loss, t))
        texts = tuple(
            f"rho = {rho:g}\nup the surrogate gradient, rise of {symbol} {number(rise)} nat"
            for rho, rise in zip(result.rho, sam, strict=True)
        )
        series.append(Series(network, result.rho, sam, texts=texts, every=True))
        if len(average):
            mean = mean_of_complete(average)
            told = interval_texts(result.rho, mean, "rho", f"in random directions, rise of {symbol}", "nat")
            series.append(Series(network, result.rho, mean.mean, mean.low, mean.high, told, thin=True))
    rho = np.unique(np.concatenate([result.rho for result in results]))
    drawn = [values for each in series for values in (each.y, each.low) if values is not None]
    known = [float(value) for values in drawn for value in values[np.isfinite(values)]]
    positive = min(known, default=0.0) > 0
    scale = ("log", 0.0) if positive else scale_of(drawn, from_median=True, wide=10)
    names, averages = network_names(results), [each for each in series if each.thin]
    return Curves(
        f"Rise of {symbol} after one step of length rho",
        f"Rise of {symbol} of {', '.join(names)} after a step along the surrogate gradient, and in random directions.",
        tuple(names),
        Axis(
            "rho (share of weight norm)",
            "log" if rho.min(initial=np.inf) > 0 else "linear",
            at=tuple(rho.tolist()) if len(rho) <= _FEW_LENGTHS else (),
        ),
        Axis(f"rise of {symbol} after a step (nat)", *scale),
        tuple(series) if len(rho) else (),
        strong="along the surrogate gradient (SAM)",
        thin="in random directions, mean" if averages else "",
        band=_OVER_STEPS if any(np.isfinite(each.low).any() for each in averages if each.low is not None) else "",
        gaps=shared_gaps([(each.x, each.y) for each in series]),
        row=row,
    )


def mean_series(network: int, x: FloatArray, mean: Interval, at: str, what: str, unit: str = "nat") -> Series:
    """A mean over draws with its band."""
    return Series(network, x, mean.mean, mean.low, mean.high, interval_texts(x, mean, at, what, unit))


def shared_gaps(curves: Sequence[tuple[Any, FloatArray]]) -> tuple[tuple[float, float], ...]:
    """Gaps of curves over the same coordinates; none where these differ."""
    x = curves[0][0]
    return gaps_of(x, [y for _, y in curves]) if all(np.array_equal(x, other) for other, _ in curves) else ()


def _caption(results: Sequence[Lines], choices: Choices) -> list[str]:
    several = ", and the mean minus that of the first network, plane by plane" if len(results) > 1 else ""
    return [
        f"Rise of {losses_words(chosen_losses(results, choices.loss))} (nat) around networks: the mean at distance r, "
        "after one step of length rho along the surrogate gradient or in random directions, at worst within r on the "
        f"two lines of a plane{several}",
        "Rho is a share of the L2 norm of the weights",
    ]


def flatness_table(results: Sequence[Lines], choices: Choices) -> Table:
    """Every flatness number of networks with its interval: beside one another for each loss, or for each network."""
    names = network_names(results)
    steps = [chosen_timestep(lines, choices.timestep) for lines in results]
    planes = [_planes(lines) for lines in results]
    each = zip(names, results, steps, strict=True)
    frame = pd.concat([_rows(name, lines, loss, t) for name, lines, t in each for loss in LOSSES])
    if frame["mean"].isna().all():
        raise ResultError(_nothing(results[0], steps[0]))
    alone = len(results) == 1
    keys = ["quantity"] if alone else ["loss", "quantity"]
    known = frame.assign(known=frame["mean"].notna()).groupby(keys)["known"].transform("any").tolist()
    # Radii that one network alone has stand below the others of their loss.
    order = sorted(range(len(frame)), key=lambda row: LOSSES.index(frame["loss"].iloc[row]))
    mean = f"Means over {planes[0]} planes" if len(set(planes)) == 1 else "Means over the planes of each network"
    brackets = f", in brackets {METHOD} over planes" if frame["low"].notna().any() else ""
    return Table(
        frame,
        _VALUES if alone else (_LOSS, *_VALUES),
        about="Sharpness: how far the loss rises around networks, how it bends, and how wide and rough it is",
        note=f"{'One plane' if set(planes) == {1} else mean} {steps_words(results, steps)}{brackets}",
        rows=[row for row in order if known[row]],
        across=_LOSS if alone else Column(NETWORK),
        label="sharpness",
    )


def _rows(name: str, lines: Lines, loss: str, timestep: int) -> pd.DataFrame:
    frame = sharpness_table([lines], loss, timestep).droplevel(0, axis=1).rename_axis("quantity").reset_index()
    frame.insert(0, "loss", loss)
    units = [next((unit for start, unit in _UNITS.items() if q.startswith(start)), "nat") for q in frame["quantity"]]
    frame = frame.assign(planes=_planes(lines), T=timestep, unit=units)
    return frame.set_axis(pd.Index([name] * len(frame), name=NETWORK))


def _planes(lines: Lines) -> int:
    return len(lines.line) // 2


def _nothing(lines: Lines, timestep: int) -> str:
    planes = _planes(lines)
    whole = int((lines.done == 1).reshape(planes, -1).all(1).sum())
    return (
        f"{network_name(lines.provenance)} has no number at T = {timestep} yet: each takes finite losses on all "
        f"{counted(planes, 'plane')}, of which {whole} {'is' if whole == 1 else 'are'} complete; finish the "
        "measurement first"
    )


def words(results: Sequence[Lines], choices: Choices) -> Words:
    """How networks differ from the first, and what that allows to say."""
    planes = _planes(results[0])
    few = f"{counted(planes, 'plane')} {'is' if planes == 1 else 'are'} too few for an interval to trust; take 10"
    said = [few] if planes < FEW_PLANES else []
    found, why = _differences(results, choices)
    if any(len(set(difference.timesteps)) > 1 for difference in found):
        said.append("the networks are compared each at its own T of training; tetviz compare --t N takes one T")
    ranked = _ranked(results[0], found)
    said += [each.sentence() for each, p in ranked if p is None and math.isfinite(each.mean)]
    others = [(each, p) for each, p in ranked if p is not None and math.isfinite(p)]
    others.sort(key=lambda each: each[0].quantity != headline(results[0]))  # that of the other loss comes first
    if others and planes >= FEW_PLANES:
        said.append(_exploration(others, len(results) > 2))
    return Words(tuple(said), tuple(filter(None, (directions_words(results), why))))


def _ranked(lines: Lines, found: Sequence[Difference]) -> list[tuple[Difference, float | None]]:
    # With p-values adjusted for the number of all differences but the headline's, which have None.
    named = (lines.loss, headline(lines))
    others = [each for each in found if (each.loss, each.quantity) != named and math.isfinite(each.p)]
    adjusted = dict(zip(map(id, others), holm(np.array([each.p for each in others])).tolist(), strict=True))
    return [(d, None if (d.loss, d.quantity) == named else adjusted.get(id(d), math.nan)) for d in found]


def _exploration(others: Sequence[tuple[Difference, float]], several: bool) -> str:
    without = sum(each.leaves_out_zero for each, _ in others)
    kept = [
        f"{LOSS_WORDS[each.loss]}, {each.quantity}{f' ({each.second})' if several else ''}"
        for each, p in others
        if p < 1 - CONFIDENCE
    ]
    listed = "; ".join(kept[:_LISTED]) + (f" and {len(kept) - _LISTED} more" if len(kept) > _LISTED else "")
    return (
        f"exploration: of {counted(len(others), 'other difference')} {without} {'has' if without == 1 else 'have'} an "
        f"interval without 0, of noise alone about {(1 - CONFIDENCE) * len(others):.2g} would; "
        f"adjusted for their number (Holm) {f'remain: {listed}' if kept else 'none remains'}; "
        "tetviz compare --json lists them"
    )


def headline(lines: Lines) -> str:
    """The number that checkpoints are compared by before all others, under the loss that was asked for."""
    radii = table_radii(lines.x)
    chosen = 0.5 if 0.5 in radii or not radii else radii[max(0, len(radii) - 2)]
    return f"rise at r = {chosen:g}"


def _differences(results: Sequence[Lines], choices: Choices) -> tuple[list[Difference], str]:
    # Or why there is none to be given.
    try:
        return differences_from_first(results, choices.timestep), ""
    except ResultError as error:
        return [], f"no difference is given: {error}"


def record(results: Sequence[Lines], choices: Choices) -> list[dict[str, Any]]:
    """A record for each network, loss and number, then one for each difference from the first network."""
    made: list[dict[str, Any]] = []
    for lines in results:
        step = chosen_timestep(lines, choices.timestep)
        for loss in LOSSES:
            head = {"checkpoint": lines.provenance.checkpoint, "loss": loss, "timesteps": step}
            table = sharpness_table([lines], loss, step).droplevel(0, axis=1)
            rows = table.rename_axis("quantity").reset_index().to_dict("records")
            made += [head | {str(name): value for name, value in row.items()} for row in rows]
    ranked = _ranked(results[0], _differences(results, choices)[0])
    return made + [_record(each) | {"headline": p is None, "p_holm": p} for each, p in ranked]


def _record(d: Difference) -> dict[str, Any]:
    first, second = d.timesteps
    compared = {"first": d.first, "second": d.second, "loss": d.loss, "quantity": d.quantity}
    values = {"mean": d.mean, "low": d.low, "high": d.high, "p": d.p, "planes": d.planes}
    return {**compared, **values, "first_timesteps": first, "second_timesteps": second, "sentence": d.sentence()}


def _describe(lines: Lines) -> str:
    steps = ", SAM and random steps" if isinstance(lines, Sharpness) else ""
    return f"Flatness along {counted(len(lines.line), 'line')}{steps}"


def lines_doubts(lines: Lines) -> list[str]:
    """At how many points on lines a loss is not finite."""
    return not_finite(losses_of(lines, "", lines.done == 1), "at", "measured point")


def _doubts(result: Any) -> list[str]:
    steps = not_finite(losses_of(result, "sam_", result.sam_done == 1), "at", "length", " after a step up its gradient")
    steps += not_finite(losses_of(result, "average_", result.average_done == 1), "at", "step", " after random steps")
    return [*lines_doubts(result), *steps]


COMPARISON = Comparison[Lines](lambda results, choices: differences_from_first(results, choices.timestep))
VIEW = View[Lines](
    title="How flat the loss is, in numbers",
    takes="files of tetviz sharpness or line",
    describe=_describe,
    context=lines_context,
    doubts=_doubts,
    examined=True,
    tables={
        "sharpness-table": TableOf(
            "rises, curvatures and widths of the loss, with intervals over planes", flatness_table, heeds=("timestep",)
        )
    },
    record=record,
    curves=rise_charts,
    curves_context=_steps_context,
    caption=_caption,
    heeds=("loss", "timestep"),
    words=words,
    together=partial(require_same_directions, same_bn=True),
    comparison=COMPARISON,
)
