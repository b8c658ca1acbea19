"""A kind of result that tetviz does not have: a result class and a view, all that a kind needs besides two lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from planted_results import origin

from tetviz.figures.curves import Axis, Curves, Series, position
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View, Words
from tetviz.results.schema import FloatArray, IntArray, Result, array
from tetviz.summaries.names import data_context, network_names


@dataclass(frozen=True, eq=False)
class Latency(Result):
    """How many samples are classified by step t."""

    kind: ClassVar[str] = "latency"

    timestep: IntArray = array(("timestep",), "1", "number of timesteps, from 1", "int64")
    sample: IntArray = array(("sample",), "1", "index of each evaluated sample", "int64")
    decided: FloatArray = array(("timestep",), "1", "share of samples whose class does not change after step t")
    t_train: int = 0


def planted_latency(label: str = "VGGSNN TET") -> Latency:
    steps = np.arange(1, 9)
    provenance = origin(label=label, dataset="cifar10", split="test")
    decided: FloatArray = np.asarray(1 - 0.5**steps, np.float64)
    return Latency(steps, np.arange(50), decided, t_train=4, provenance=provenance)


def latency_table(results: Sequence[Latency], choices: Choices) -> Table:
    return stacked(network_names(results), [_steps(result) for result in results])


def _steps(result: Latency) -> Table:
    frame = pd.DataFrame({"decided (%)": 100 * result.decided}, index=pd.Index(result.timestep, name="T"))
    return Table(frame, (Column("decided (%)"),), about="Samples whose class does not change after step T", rows=[0, 3])


def latency_curves(results: Sequence[Latency], choices: Choices) -> list[Curves]:
    names = tuple(network_names(results))
    series = tuple(
        Series(at, each.timestep, 100 * each.decided, ringed=position(each.timestep, each.t_train))
        for at, each in enumerate(results)
    )
    axes = Axis("number of timesteps T", "log2"), Axis("decided samples (%)")
    return [Curves("Decided samples against T", "Decided samples", names, *axes, series, ring="training T")]


def record(results: Sequence[Latency], choices: Choices) -> list[dict[str, Any]]:
    return [{"checkpoint": each.provenance.checkpoint, "decided": each.decided.tolist()} for each in results]


VIEW = View[Latency](
    title="When a network has decided",
    takes="files of a program that tetviz does not have",
    describe=lambda result: f"Decisions up to T = {result.timestep[-1]}",
    context=data_context,
    tables={"latency-table": TableOf("samples that are decided at every T", latency_table)},
    record=record,
    words=lambda results, choices: Words(said=("A decision may be wrong.",)),
    curves=latency_curves,
)
