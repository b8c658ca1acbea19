"""Where the numbers of a report come from, and what is to be said against them."""

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from tetviz.figures.report.blocks import Source
from tetviz.figures.texts import counted, listed, number
from tetviz.results import BlockIsometry, Curvature, Lines, Result, Surface, TrainingHistory, Trajectory
from tetviz.results.schema import FloatArray, attribute_fields

NOT_RECORDED = "not recorded"
# Kinds that move a network, whose commands examine it first.
EXAMINED = ("surface", "trajectory", "lines", "sharpness", "curvature")

_LABELS = {
    "sample_order": "samples",
    "checkpoint_sha256": "checkpoint SHA-256",
    "data_settings": "data settings",
    "batch_size": "batch size",
    "tetviz_version": "tetviz",
    "torch_version": "torch",
    "numpy_version": "numpy",
    "python_version": "python",
}
# Long lists, which tables show.
_NOT_SHOWN = ("names", "modules", "inputs", "neuron_names", "layer_names", "warnings", "not_counted", "not_measured")


def origin(source: Source) -> list[tuple[str, str]]:
    """All that a file says of where its numbers come from.

    Args:
        source: a result.

    Returns:
        Names and values; what is not recorded says so.
    """
    result: Any = source.result
    rows = [("file", str(source.path)), ("file SHA-256", source.sha256), ("kind", result.kind)]
    done, total = result.progress()
    rows += [("points", f"{done:,} of {total:,}")] * bool(total)
    if hasattr(result, "sample"):
        rows.append(("number of samples", f"{len(result.sample):,}"))
    if hasattr(result, "timestep"):
        rows.append(("timesteps", f"T = {result.timestep[0]} to {result.timestep[-1]}"))
    for name, value in dataclasses.asdict(result.provenance).items():
        if name != "doctor":
            rows.append((_LABELS.get(name, name.replace("_", " ")), str(value) or NOT_RECORDED))
    for name in attribute_fields(type(result)):
        if name not in _NOT_SHOWN:
            value = getattr(result, name)
            text = number(value, ".6g") if isinstance(value, float) else str(value)
            rows.append((name.replace("_", " "), text or NOT_RECORDED))
    found = findings(source)
    rows.append(("doctor", "; ".join(f"{check}: {verdict}" for check, verdict, _ in found) or NOT_RECORDED))
    return rows


def findings(source: Source) -> list[tuple[str, str, str]]:
    """What ``tetviz doctor`` found before the measurement.

    Args:
        source: a result.

    Returns:
        Check, verdict and message of each; empty where none are recorded.
    """
    entries = listed(cast(Any, source.result).provenance.doctor)
    return [(str(e[0]), str(e[1]), str(e[2])) for e in entries if isinstance(e, list) and len(e) == 3]


def warnings(source: Source) -> list[str]:
    """What a reader has to know before believing a result.

    Args:
        source: a result.

    Returns:
        Sentences.
    """
    result: Any = source.result
    said = [f"{check}: {message}" for check, verdict, message in findings(source) if verdict != "ok"]
    if result.kind in EXAMINED and not findings(source):
        said.append("the checks of tetviz doctor are not recorded in this file")
    done, total = result.progress()
    if done < total:
        said.append(f"half-written: {done:,} of {total:,} points are measured; the same command goes on with it")
    said += _not_finite(result)
    for name, what in (("warnings", ""), ("not_counted", "not counted: "), ("not_measured", "not measured: ")):
        said += [f"{what}{sentence}" for sentence in listed(getattr(result, name, ""))]
    if isinstance(result, Curvature) and result.note:
        said.append(result.note)
    if isinstance(result, BlockIsometry) and not np.isfinite(result.phi).all():
        said.append("some phi are not finite")
    return said


def _not_finite(result: Result) -> list[str]:
    # Holes: a loss that is in no point was not measured, and by statistics of the batch a shorter run is another one.
    said = []
    if isinstance(result, TrainingHistory):
        said += [
            f"{name} on the test split is not finite in {counted(count, 'epoch')}"
            for name, count in _lost(result.test_sdt_loss[:, None], result.test_tet_loss[:, None])
        ]
    if isinstance(result, Trajectory):
        said += [
            f"{name} is not finite at {counted(count, 'checkpoint')}, at some T"
            for name, count in _lost(result.true_sdt_loss, result.true_tet_loss)
        ]
    if isinstance(result, Surface | Lines) and result.bn != "batch":
        done = result.done == 1
        said += [
            f"{name} is not finite at {counted(count, 'measured point')}, at some T"
            for name, count in _lost(result.sdt_loss[done], result.tet_loss[done])
        ]
    return said


def _lost(sdt: FloatArray, tet: FloatArray) -> list[tuple[str, int]]:
    # Losses over something and T.
    lost = {
        name: int((~np.isfinite(values)).any(-1).sum())
        for name, values in (("L_SDT", sdt), ("L_TET", tet))
        if np.isfinite(values).any()
    }
    return [(name, count) for name, count in lost.items() if count]


def all_warnings(sources: Sequence[Source], names: Sequence[str]) -> dict[str, list[str]]:
    """The warnings of several results.

    Args:
        sources: the results.
        names: what they are called.

    Returns:
        Each sentence with the names of the results that it is about.
    """
    found: dict[str, list[str]] = {}
    for source, name in zip(sources, names, strict=True):
        for sentence in warnings(source):
            found.setdefault(sentence, []).append(name)
    return found
