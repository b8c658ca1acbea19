"""What an attack shows: its success beside random changes of the same size, and what it leaves of the accuracy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.curves import ACCURACY, Axis, Curves, Series, position
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View, Words, require_same_data
from tetviz.results import AttackRun
from tetviz.results.attack import NOISES
from tetviz.summaries import wilson
from tetviz.summaries.names import counted, data_context, network_names

_WILSON = "95 % Wilson interval"
_CONTROL = "random changes of the same size"


def _percent(head: str) -> Column:
    return Column(f"{head} (%)", low=f"{head} low", high=f"{head} high")


def table(results: Sequence[AttackRun], choices: Choices) -> Table:
    """Success and accuracy at the last iteration, of the attack and of its control."""
    return stacked(network_names(results), [_arms(result) for result in results])


def _arms_of(result: AttackRun) -> list[str]:
    return ["noise", "another draw"] if result.method in NOISES else ["attack", "random control"]


def _arms(result: AttackRun) -> Table:
    attacked, samples = int(result.attacked.sum()), len(result.sample)
    numbers: dict[str, Any] = {}
    for head, values, of in (
        ("success", [result.success[-1], result.control_success[-1]], attacked),
        ("accuracy", [result.accuracy[-1], result.control_accuracy[-1]], samples),
    ):
        low, high = wilson(values, of) if of else (np.full(2, np.nan), np.full(2, np.nan))
        numbers |= {f"{head} (%)": 100 * np.array(values), f"{head} low": 100 * low, f"{head} high": 100 * high}
    hit = [each[each > 0] for each in (result.succeeded, result.control_succeeded)]
    numbers["iterations"] = [each.mean() if len(each) else np.nan for each in hit]
    settings = [
        f"{attacked} of {samples} samples are classified correctly at T = {result.timestep[-1]} and attacked",
        f"clean accuracy {result.clean_accuracy[-1]:.2%}",
    ]
    if np.isfinite(result.resampling_error):
        settings.append(f"of the attacked {result.resampling_error:.2%} change class by drawing the spikes again")
    return Table(
        pd.DataFrame(numbers, index=pd.Index(_arms_of(result), name="changes")),
        (_percent("success"), _percent("accuracy"), Column("mean iterations to success", of="iterations")),
        about="Success of the attack and of random changes of the same size, and the accuracy that they leave",
        note=f"In brackets {_WILSON}s over samples",
        feet=tuple(settings),
        key=Column("changes"),
        label="attack",
    )


def words(results: Sequence[AttackRun], choices: Choices) -> Words:
    """How often gradients are all zero, and how far the control comes."""
    said, warned = [], []
    for name, result in zip(network_names(results), results, strict=True):
        if result.method in NOISES:
            continue
        if np.isfinite(result.zero_gradient[:1]).all():
            said.append(f"{name}: {result.zero_gradient[0]:.1%} of input gradients are all zero in the first iteration")
        if result.success[-1] > 0 and result.control_success[-1] > 0.6 * result.success[-1]:
            ratio = result.control_success[-1] / result.success[-1]
            warned.append(
                f"{name}: random changes of the same size reach {ratio:.0%} of the success of the attack; its "
                "gradients add little"
            )
    return Words(said=tuple(said), warned=tuple(warned))


def curves(results: Sequence[AttackRun], choices: Choices) -> list[Curves]:
    """Success against iteration, all-zero gradients against iteration, and accuracy at every T under attack."""
    names = network_names(results)
    success: list[Series] = []
    zero: list[Series] = []
    accuracy: list[Series] = []
    for network, result in enumerate(results):
        attacked, samples, t = max(1, int(result.attacked.sum())), len(result.sample), result.timestep
        low, high = wilson(result.success, attacked)
        success.append(Series(network, result.iteration, 100 * result.control_success, thin=True))
        success.append(Series(network, result.iteration, 100 * result.success, 100 * low, 100 * high))
        zero.append(Series(network, result.iteration, 100 * result.zero_gradient))
        low, high = wilson(result.accuracy, samples)
        ring = position(t, result.t_train)
        accuracy.append(Series(network, t, 100 * result.clean_accuracy, thin=True))
        accuracy.append(Series(network, t, 100 * result.accuracy, 100 * low, 100 * high, ringed=ring))
    listed, share = ", ".join(names), {"least": 2.0, "within": (0.0, 100.0)}
    return [
        Curves(
            "Success against iteration",
            f"Success of attacks on {listed} against the iteration, beside random changes of the same size.",
            tuple(names),
            Axis("iteration", "whole"),
            Axis("success (%)", **share),  # type: ignore[arg-type]
            tuple(success),
            band=_WILSON,
            thin=_CONTROL,
        ),
        Curves(
            "All-zero gradients",
            f"Share of the samples of {listed} still attacked whose input gradient is all zero.",
            tuple(names),
            Axis("iteration", "whole"),
            Axis("all-zero gradients (%)", **share),  # type: ignore[arg-type]
            tuple(zero),
        ),
        Curves(
            "Accuracy under attack",
            f"Accuracy of {listed} under attack against the number of timesteps, beside the clean one.",
            tuple(names),
            Axis("number of timesteps T", "log2"),
            ACCURACY,
            tuple(accuracy),
            ring="training T" if any(each.ringed for each in accuracy) else "",
            band=_WILSON,
            thin="clean",
        ),
    ]


def record(results: Sequence[AttackRun], choices: Choices) -> list[dict[str, Any]]:
    """A record for each network: its settings and curves."""
    named = ("success", "control_success", "zero_gradient", "flips", "clean_accuracy", "accuracy", "control_accuracy")
    return [
        {
            "label": name,
            "method": result.method,
            "targeted": bool(result.targeted),
            "attacked": int(result.attacked.sum()),
            "samples": len(result.sample),
            "resampling_error": result.resampling_error,
            **{field: getattr(result, field).tolist() for field in named},
        }
        for name, result in zip(network_names(results), results, strict=True)
    ]


def context(result: AttackRun) -> str:
    """The data, the method and its settings."""
    method = f"{result.method}{', targeted' if result.targeted else ''}"
    parts = [data_context(result), method, f"T = {result.timestep[-1]}"]
    if np.isfinite(result.epsilon):
        parts.append(f"{'budget' if result.method.startswith('g2s') else 'epsilon'} {result.epsilon:.4g}")
    if np.isfinite(result.threshold):
        parts.append(f"penultimate threshold {result.threshold:g} in gradients")
    return ", ".join([*parts, *([f"surrogate {result.surrogate} in gradients"] if result.surrogate else [])])


VIEW = View[AttackRun](
    title="Attack",
    takes="files of tetviz attack",
    describe=lambda result: (
        f"Attack {result.method}, {counted(len(result.iteration), 'iteration')}, T = {len(result.timestep)}"
    ),
    context=context,
    tables={"attack-table": TableOf("success and accuracy under attack", table)},
    record=record,
    words=words,
    curves=curves,
    alt="Attack on {}",
    together=require_same_data,
)
