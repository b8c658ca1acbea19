"""Where the numbers of a report come from, and what is to be said against them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tetviz.figures.formatting import number
from tetviz.figures.report.blocks import Source
from tetviz.results import (
    BlockIsometry,
    Curvature,
    Lines,
    Result,
    ScalingCurve,
    Sharpness,
    Surface,
    TrainingHistory,
    Trajectory,
)
from tetviz.results.schema import FloatArray, attribute_fields, stored
from tetviz.summaries.names import LOSSES, counted

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
    """All that a file says of where its numbers come from."""
    result: Any = source.result
    rows = [("file", str(source.path)), ("file SHA-256", source.sha256), ("kind", result.kind)]
    done, total = result.progress()
    rows += [("points", f"{done:,} of {total:,}")] * bool(total)
    if hasattr(result, "sample"):
        rows.append(("number of samples", f"{len(result.sample):,}"))
    if hasattr(result, "timestep"):
        rows.append(("timesteps", f"T = {result.timestep[0]} to {result.timestep[-1]}"))
    for name, value in result.provenance.texts().items():
        if name != "doctor":
            rows.append((_LABELS.get(name, name.replace("_", " ")), str(value) or NOT_RECORDED))
    for name in attribute_fields(type(result)):
        if name not in _NOT_SHOWN:
            value = stored(getattr(result, name))
            text = number(value, ".6g") if isinstance(value, float) else str(value)
            rows.append((name.replace("_", " "), text or NOT_RECORDED))
    found = findings(source)
    rows.append(("doctor", "; ".join(f"{check}: {verdict}" for check, verdict, _ in found) or NOT_RECORDED))
    return rows


def findings(source: Source) -> list[tuple[str, str, str]]:
    """What ``tetviz doctor`` found before the measurement."""
    entries = source.result.provenance.doctor
    return [(str(e[0]), str(e[1]), str(e[2])) for e in entries if len(e) == 3]


def warnings(source: Source) -> list[str]:
    """What a reader has to know before believing a result."""
    result: Any = source.result
    said = [f"{check}: {message}" for check, verdict, message in findings(source) if verdict != "ok"]
    if result.kind in EXAMINED and not findings(source):
        said.append("the checks of tetviz doctor are not recorded in this file")
    done, total = result.progress()
    if done < total:
        said.append(f"half-written: {done:,} of {total:,} points are measured; the same command goes on with it")
    said += _not_finite(result)
    for name, what in (("warnings", ""), ("not_counted", "not counted: "), ("not_measured", "not measured: ")):
        said += [f"{what}{sentence}" for sentence in getattr(result, name, ())]
    if isinstance(result, Curvature) and result.note:
        said.append(result.note)
    if isinstance(result, BlockIsometry) and not np.isfinite(result.phi).all():
        said.append("some phi are not finite")
    return said


def _not_finite(result: Result) -> list[str]:
    said = []
    for of, where, what, losses in _losses(result):
        for name, values in losses.items():
            lost = ~np.isfinite(values)
            count = int(lost.any(-1).sum() if lost.ndim > 1 else lost.sum())
            if count and _was_measured(name, losses):
                said.append(f"{name}{of} is not finite {where} {counted(count, what)}{', at some T' * (lost.ndim > 1)}")
    return said


def _losses(result: Any) -> Iterator[tuple[str, str, str, Mapping[str, FloatArray]]]:
    # Losses that were measured together, over places alone or over places and T, and what the places are.
    # By statistics of the batch a shorter run is another one, which has no value.
    steps = slice(-1, None) if getattr(result, "bn", "") == "batch" else slice(None)

    def pair(prefix: str, done: Any = slice(None)) -> dict[str, FloatArray]:
        both = {f"L_{loss.upper()}": getattr(result, f"{prefix}{loss}_loss")[done] for loss in LOSSES}
        return {name: values[..., steps] if values.ndim > 1 else values for name, values in both.items()}

    if isinstance(result, TrainingHistory):
        yield " on the test split", "in", "epoch", pair("test_")
        yield "", "in", "epoch", {"the training loss": result.train_loss}
        if not np.isnan(result.val_sdt_loss).all():  # else nothing was held out
            yield " on held-out samples", "in", "epoch", pair("val_")
    if isinstance(result, ScalingCurve):
        yield "", "at", "timestep", {**pair(""), "the loss of a step alone": result.step_loss}
    if isinstance(result, Trajectory) and result.done.any():  # its checkpoints come first
        yield "", "at", "checkpoint", pair("true_")
        yield " on the plane", "at", "checkpoint", pair("projected_")
    if isinstance(result, Surface | Lines | Curvature):
        yield "", "at", "measured point", pair("", result.done == 1)
    if isinstance(result, Curvature):
        yield " around random points nearby", "at", "measured point", pair("shifted_", result.shifted_done == 1)
    if isinstance(result, Sharpness):
        yield " after a step up its gradient", "at", "length", pair("sam_", result.sam_done == 1)
        yield " after random steps", "at", "step", pair("average_", result.average_done == 1)


def _was_measured(name: str, losses: Mapping[str, FloatArray]) -> bool:
    # A file of another program may hold one loss alone; what diverged has lost all of them.
    missing = [np.isnan(values).all() for values in losses.values()]
    return all(missing) or not np.isnan(losses[name]).all()


def all_warnings(sources: Sequence[Source], names: Sequence[str]) -> dict[str, list[str]]:
    """The warnings of several results."""
    found: dict[str, list[str]] = {}
    for source, name in zip(sources, names, strict=True):
        for sentence in warnings(source):
            found.setdefault(sentence, []).append(name)
    return found
