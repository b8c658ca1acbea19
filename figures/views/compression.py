"""What compression shows: accuracy against energy, layers that bear pruning, weights before and after."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.curves import ACCURACY, Axis, Curves, Series, position
from tetviz.figures.formatting import amount, energy_unit, number, shares
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View, Words
from tetviz.results import Compression
from tetviz.results.kinds import default_timestep
from tetviz.summaries.compression import MECHANISMS, compression_table
from tetviz.summaries.names import counted, data_context, network_names, samples_of

_FULL = 32
_WORDS = {
    "dense": "dense",
    "retrained": "dense, trained on",
    "admm": "ADMM",
    "one-shot": "one-shot pruning",
    "activity": "fewer spikes",
}


def _at(result: Compression, choices: Choices) -> int:
    return choices.timestep or default_timestep(result)


def _percent(value: float) -> str:
    return number(value, ".2%")


def table(results: Sequence[Compression], choices: Choices) -> Table:
    """Every network beside the dense one."""
    (result,) = results
    t = _at(result, choices)
    frame = compression_table(result, t)
    divisor, unit = energy_unit(float(frame["energy pj"].max()))
    frame["shown energy"] = frame["energy pj"] / divisor
    frame.index.name = "variant"
    columns = (
        Column("mechanism", named=_WORDS),
        Column("accuracy", form=_percent, low="low", high="high"),
        Column("weights that are 0", of="sparsity", form=_percent),
        Column("bits", form="g"),
        Column("memory", form=".4f"),
        Column("spikes", form=amount),
        Column("spikes x weights left", of="operations ratio", form=".3f"),
        Column("synaptic operations", of="synaptic ratio", form=".3f"),
        Column(f"energy ({unit})", of="shown energy", form=".3g"),
    )
    found = Table(
        frame,
        columns,
        key=Column("network", of="variant"),
        about=f"Compressed networks beside the dense one at T = {t}",
        note="Memory, spikes x weights left and synaptic operations are shares of the dense network's; accuracy with "
        "its 95 % Wilson interval over samples; energy of synaptic operations at full precision, whatever the bits",
        label="compression",
    )
    return stacked(network_names(results), [found])


def sensitivity(results: Sequence[Compression], choices: Choices) -> Table:
    """Accuracy of the dense network with one layer pruned."""
    (result,) = results
    levels = [f"{level:.3g} pruned" for level in result.level]
    frame = pd.DataFrame(result.sensitivity, index=pd.Index(result.layers, name="layer"), columns=levels)
    frame.insert(0, "weights", result.layer_weights)
    columns = (Column("weights"), *(Column(level, form=_percent) for level in levels))
    found = Table(
        frame,
        columns,
        about="Accuracy of the dense network with one layer pruned by size, not retrained",
        label="sensitivity",
    )
    return stacked(network_names(results), [found])


def words(results: Sequence[Compression], choices: Choices) -> Words:
    """What ADMM brings beside one-shot pruning, and whether ADMM has converged."""
    (result,) = results
    frame = compression_table(result, _at(result, choices))
    said, warned = [], []
    for name, row in frame.iterrows():
        control = f"{name}-oneshot"
        if row["mechanism"] == "admm" and control in frame.index:
            other = frame.loc[control]
            by = 100 * (row["accuracy"] - other["accuracy"])
            apart = row["low"] > other["high"] or other["low"] > row["high"]
            said.append(
                f"{name}: ADMM is {abs(by):.2f} points {'above' if by >= 0 else 'below'} one-shot pruning"
                f"{'' if apart else '; their intervals overlap, which decides nothing'}; one seed"
            )
    for name, distances in zip(result.names, result.distance, strict=True):
        known = distances[np.isfinite(distances)]
        half = known[(len(known) - 1) // 2 :]
        if len(half) > 1 and not (np.diff(half) < 0).all():
            warned.append(
                f"{name}: ||W - Z|| did not fall in every epoch of the last half of ADMM; raise --admm-epochs"
            )
    return Words(tuple(said), tuple(warned))


def curves(results: Sequence[Compression], choices: Choices) -> list[Curves]:
    """Accuracy against energy and T, sensitivity of layers, weights before and after."""
    (result,) = results
    return [_pareto(result, choices), _layers(result), _weights(result), _over_time(result)]


def _pareto(result: Compression, choices: Choices) -> Curves:
    t = _at(result, choices)
    frame = compression_table(result, t)
    divisor, unit = energy_unit(float(frame["energy pj"].max()))
    shown = _shown(result)
    told = shares(frame["accuracy"], len(samples_of(result)))
    series = [
        Series(
            shown.index(row["mechanism"]),
            np.array([row["energy pj"] / divisor]),
            np.array([100 * row["accuracy"]]),
            low=np.array([100 * row["low"]]),
            high=np.array([100 * row["high"]]),
            texts=(f"{name}\naccuracy {text}\n{number(row['energy pj'] / divisor)} {unit}",),
            ringed=(0,) if row["front"] else (),
            every=True,
        )
        for (name, row), text in zip(frame.iterrows(), told, strict=True)
    ]
    front = frame[frame["front"] == 1].sort_values("energy pj")
    series.append(Series(None, front["energy pj"].to_numpy() / divisor, 100 * front["accuracy"].to_numpy(), thin=True))
    return Curves(
        f"Accuracy against energy, T = {t}",
        f"Accuracy of {counted(len(frame), 'network')} against the energy of their synaptic operations.",
        tuple(_WORDS[each] for each in shown),
        Axis(f"energy of synapses ({unit} a sample)"),
        ACCURACY,
        tuple(series),
        ring="on the Pareto front",
        thin="Pareto front",
        band="95 % Wilson interval over samples",
    )


def _shown(result: Compression) -> list[str]:
    return [each for each in MECHANISMS if each in result.mechanisms]


def _layers(result: Compression) -> Curves:
    places = np.arange(len(result.layers), dtype=np.float64)
    series = [
        Series(
            index,
            100 * result.sensitivity[:, index],
            places,
            texts=tuple(f"{layer}\n{value:.2%}" for layer, value in zip(result.layers, column, strict=True)),
            every=True,
            joined=False,
        )
        for index, column in enumerate(result.sensitivity.T)
    ]
    return Curves(
        "One layer pruned, not retrained",
        "Accuracy of the dense network with a single layer pruned by size, layer by layer.",
        tuple(f"{level:.3g} pruned" for level in result.level),
        ACCURACY,
        Axis("", ticks=result.layers),
        tuple(series),
        note="" if len(result.level) else "no sparsity was asked for",
        fold="One layer pruned",
    )


def _weights(result: Compression) -> Curves:
    shown, last = _shown(result), {mechanism: index for index, mechanism in enumerate(result.mechanisms)}
    series = []
    for place, mechanism in enumerate(shown):
        values = 100 * result.histogram[last[mechanism]]
        texts = tuple(
            f"{result.names[last[mechanism]]}\n{value:.2g} % at {x:.2g}"
            for x, value in zip(result.bin, values, strict=True)
        )
        few = bool(result.bits[last[mechanism]] < _FULL)  # levels apart, which no line shows
        shown_values = np.where(values > 0, values, np.nan)
        series.append(Series(place, result.bin, shown_values, texts=texts, joined=not few, every=few))
    return Curves(
        "Weights before and after",
        "Histogram of the weights of the dense network and of the last network of each mechanism.",
        tuple(_WORDS[each] for each in shown),
        Axis("weight / RMS of its dense layer"),
        Axis("share of weights (%)", "log"),
        tuple(series),
        row=1,
    )


def _over_time(result: Compression) -> Curves:
    shown = _shown(result)
    series = [
        Series(
            shown.index(mechanism),
            result.timestep,
            100 * accuracy,
            texts=tuple(
                f"{name}, T = {t}\n{_percent(value)}" for t, value in zip(result.timestep, accuracy, strict=True)
            ),
            ringed=position(result.timestep, result.t_train),
        )
        for name, mechanism, accuracy in zip(result.names, result.mechanisms, result.accuracy, strict=True)
    ]
    return Curves(
        "Accuracy against T",
        "Accuracy of every network against the number of timesteps.",
        tuple(_WORDS[each] for each in shown),
        Axis("timesteps T", "log2"),
        ACCURACY,
        tuple(series),
        ring="training T" if any(each.ringed for each in series) else "",
        row=1,
    )


def record(results: Sequence[Compression], choices: Choices) -> list[dict[str, Any]]:
    """Of each network its table row, its accuracy at every T and its checkpoint."""
    (result,) = results
    frame = compression_table(result, _at(result, choices))
    return [
        {
            "network": name,
            "checkpoint": path,
            "timestep": result.timestep.tolist(),
            "accuracy_by_timestep": result.accuracy[index].tolist(),
            "admm_distance": result.distance[index][np.isfinite(result.distance[index])].tolist(),
            **{str(column).replace(" ", "_"): value for column, value in frame.iloc[index].to_dict().items()},
        }
        for index, (name, path) in enumerate(zip(result.names, result.paths, strict=True))
    ]


VIEW = View[Compression](
    title="What compression saves",
    takes="a file of tetviz compress",
    describe=lambda result: f"Compression, {counted(len(result.names), 'network')}",
    context=data_context,
    tables={
        "compression-table": TableOf("accuracy, weights, spikes, operations and energy of each network", table),
        "sensitivity-table": TableOf("accuracy with one layer pruned", sensitivity, fold="One layer pruned"),
    },
    record=record,
    words=words,
    curves=curves,
    alt="Accuracy against energy of {} and its compressed networks",
    heeds=("timestep",),
    most=1,
)
