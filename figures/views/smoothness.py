"""What smoothness shows: how alike nodes become from layer to layer, and what a threshold or the depth does."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.curves import ACCURACY, Axis, Curves, Series
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View, Words, require_same_data
from tetviz.results import Smoothness
from tetviz.summaries import wilson
from tetviz.summaries.names import counted, data_context, network_names

_NORMS = {"stfn": "STFN", "stfn-run": "STFN of the whole run", "none": "no normalisation"}
_MEASURES = (
    ("Dirichlet energy", Axis("Dirichlet energy / squared norm"), "dirichlet"),
    ("Cosine of two nodes", Axis("mean cosine"), "cosine"),
)
# What is swept: its name, and where a result has it.
_SWEPT: dict[str, Callable[[Smoothness], Any]] = {
    "firing threshold": lambda result: (result.provenance.neurons or {}).get("threshold"),
    "hidden layers": lambda result: len(result.layer) - 1,
}


def table(results: Sequence[Smoothness], choices: Choices) -> Table:
    """A row for each layer: Dirichlet energy, cosine, firing rate and silent nodes."""
    return stacked(network_names(results), [_layers(result) for result in results])


def _layers(result: Smoothness) -> Table:
    numbers = {
        "Dirichlet energy": result.dirichlet,
        "cosine": result.cosine,
        "rate (%)": 100 * result.rate,
        "silent nodes (%)": 100 * result.silent,
    }
    names = ["input", *(f"layer {layer}" for layer in result.layer[1:])]
    low, high = wilson([result.accuracy], len(result.sample))
    return Table(
        pd.DataFrame(numbers, index=pd.Index(names, name="signal")),
        (
            *(Column(name, form=".3f") for name in ("Dirichlet energy", "cosine")),
            *(Column(name) for name in ("rate (%)", "silent nodes (%)")),
        ),
        about=f"How alike {counted(result.nodes, 'node')} are, by their firing rates over T = {result.timesteps} steps",
        note="Dirichlet energy over the squared norm; mean cosine over all pairs of nodes that are not silent",
        feet=(f"accuracy {result.accuracy:.2%} [{low[0]:.2%}, {high[0]:.2%}] of {len(result.sample)} nodes",),
        key=Column("signal"),
        label="smoothness",
    )


def words(results: Sequence[Smoothness], choices: Choices) -> Words:
    """Which networks are silent."""
    silent = [name for name, result in zip(network_names(results), results, strict=True) if not result.rate[-1]]
    cure = "all outputs are 0, so the first class is predicted; lower the threshold or normalise by STFN"
    return Words(warned=tuple(f"{name}: no spikes in the last layer, {cure}" for name in silent))


def curves(results: Sequence[Smoothness], choices: Choices) -> list[Curves]:
    """All measures against what differs between networks, a threshold or their depth; else against the layer."""
    for what, value in _SWEPT.items():
        values = [value(result) for result in results]
        if None not in values and len(set(values)) > 1:
            return _sweep(what, results, [float(each) for each in values])
    names = tuple(network_names(results))
    layers = tuple(range(max(len(result.layer) for result in results)))
    return [
        Curves(
            title,
            f"{title} of {', '.join(names)} against the layer.",
            names,
            Axis("layer (0: input)", at=layers),
            axis,
            tuple(Series(k, r.layer, getattr(r, field), every=True) for k, r in enumerate(results)),
        )
        for title, axis, field in _MEASURES
    ]


def _sweep(what: str, results: Sequence[Smoothness], values: Sequence[float]) -> list[Curves]:
    norms = [(result.provenance.neurons or {}).get("norm", "") for result in results]
    kinds = list(dict.fromkeys(norms))
    quantities: list[tuple[str, Axis, Callable[[Smoothness], float]]] = [
        ("Accuracy", ACCURACY, lambda result: 100 * result.accuracy),
        (
            "Firing rate of the last layer",
            Axis("firing rate (%)", least=2.0, within=(0.0, 100.0)),
            lambda result: 100 * _last("rate", result),
        ),
    ]
    quantities += [(f"{title} of the last layer", axis, partial(_last, field)) for title, axis, field in _MEASURES]
    charts = []
    for title, axis, quantity in quantities:
        series = tuple(
            _mean_and_range(k, [(v, quantity(r)) for v, r, n in zip(values, results, norms, strict=True) if n == norm])
            for k, norm in enumerate(kinds)
        )
        charts.append(
            Curves(
                f"{title} against {what}",
                f"{title} against {what}, with and without normalisation.",
                tuple(_NORMS.get(norm, norm or "networks") for norm in kinds),
                Axis(what, "log" if min(values) > 0 else "linear", at=tuple(sorted(set(values)))),
                axis,
                series,
                band="range over networks" if any(each.low is not None for each in series) else "",
            )
        )
    return charts


def _last(field: str, result: Smoothness) -> float:
    return float(getattr(result, field)[-1])


def _mean_and_range(index: int, points: Sequence[tuple[float, float]]) -> Series:
    x = sorted({value for value, _ in points})
    at = [np.array([y for value, y in points if value == each]) for each in x]
    mean, low, high = (np.array([of(each) for each in at]) for of in (np.mean, np.min, np.max))
    if all(len(each) == 1 for each in at):
        return Series(index, np.array(x), mean, every=True)
    return Series(index, np.array(x), mean, low, high, every=True)


def record(results: Sequence[Smoothness], choices: Choices) -> list[dict[str, Any]]:
    """A record for each network."""
    named = ("dirichlet", "cosine", "rate", "silent")
    return [
        {
            "label": name,
            "nodes": result.nodes,
            "timesteps": result.timesteps,
            "samples": len(result.sample),
            "accuracy": result.accuracy,
            **{field: getattr(result, field).tolist() for field in named},
        }
        for name, result in zip(network_names(results), results, strict=True)
    ]


VIEW = View[Smoothness](
    title="Smoothness",
    takes="files of tetviz smoothness",
    describe=lambda result: (
        f"Smoothness of {counted(result.nodes, 'node')}, {counted(len(result.layer) - 1, 'spiking layer')}"
    ),
    context=lambda result: f"{data_context(result)}, T = {result.timesteps}",
    tables={"smoothness-table": TableOf("how alike nodes are, layer by layer", table)},
    record=record,
    words=words,
    curves=curves,
    alt="Smoothness of {}",
    together=require_same_data,
)
