"""Is this network fit to be measured? Every check runs an experiment on copies and says what it found."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.errors import DataError
from tetviz.models import SpikingNetwork, only_length
from tetviz.models.foreign.draws import stilled
from tetviz.models.foreign.isolation import generators_kept
from tetviz.models.foreign.state import clone, close
from tetviz.training.batches import Batch, to_batches
from tetviz.training.doctor.causal import causality
from tetviz.training.doctor.draws import over_draws
from tetviz.training.doctor.runs import Attempt, listed, logits, watching
from tetviz.training.doctor.spikes import firing, precision
from tetviz.training.doctor.state import find_causes, find_graph, find_train_mode
from tetviz.training.doctor.statistics import running_statistics
from tetviz.training.doctor.steps import carried_over
from tetviz.training.doctor.tensors import tied_tensors
from tetviz.training.losses import no_better_than_chance
from tetviz.training.padding import whole_samples
from tetviz.training.profile import TemporalProfile, a_parameter, evaluating, measure

_SAMPLES = 32  # samples of the checks that look inside

Verdicts = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name in :data:`CHECKS`, such as ``repeatable``.
        verdict: ``ok``, ``warning`` or ``failure``.
        message: one line: what, where, expected and found, cure.
    """

    check: str
    verdict: str
    message: str


@dataclass(frozen=True)
class _Examined:
    """The network with its data, a few samples, and two evaluations of the centre (fewer where they failed).

    The few samples are the longest of a batch, and run for as many steps as all of them have.
    """

    model: nn.Module
    batches: Iterable[Batch]
    x: Tensor
    labels: Tensor
    steps: int
    timesteps: int
    profiles: list[TemporalProfile]
    seconds: float
    error: str

    @property
    def centre(self) -> TemporalProfile:
        if not self.profiles:
            raise ValueError("the centre cannot be measured")
        return self.profiles[0]


@dataclass(frozen=True)
class Check:
    """A row of :data:`CHECKS`.

    Attributes:
        look: runs the experiment and gives verdicts, each with its message.
        excusable: whether a network that fails is measured all the same, if its user asks for that.
    """

    look: Callable[[_Examined], Verdicts]
    excusable: bool = False


def examine(model: nn.Module, data: Any, timesteps: int, *, batch_size: int = 256) -> list[Finding]:
    """Examines whether what is measured on a network means anything.

    The centre is measured on all data, twice; what needs a look inside is done on 32 samples. Everything runs
    on copies: the model, its mode, its state and the random generators are left as they are.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK.
        data: a Dataset, or batches, as in :func:`tetviz.training.to_batches`.
        timesteps: longest run T.
        batch_size: samples a batch, of a Dataset.

    Returns:
        What the checks found, in the order of :data:`CHECKS`.

    Raises:
        DataError: there are no samples.
        ValueError: timesteps is less than 1.
    """
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
    batches = to_batches(data, batch_size)
    if isinstance(batches, Iterator):
        batches = list(batches)
    findings = []
    with generators_kept(a_parameter(model).device):
        examined = _measured(model, batches, timesteps)
        for name, check in CHECKS.items():
            with Attempt() as attempt:
                findings += [Finding(name, verdict, message) for verdict, message in check.look(examined)]
            if attempt.error:
                findings.append(Finding(name, "failure", f"could not be examined: {attempt.error}"))
    return findings


def _measured(model: nn.Module, batches: Iterable[Batch], timesteps: int) -> _Examined:
    batch = next(iter(batches), None)
    if batch is None:
        raise DataError("no samples to measure on: the data set is empty")
    weight = a_parameter(model)
    x, labels_B, steps = whole_samples(*batch, _SAMPLES, timesteps)
    x = x.to(weight.device, weight.dtype)
    profiles, started = [], time.perf_counter()
    with Attempt() as attempt:
        copied = clone(model)
        for _ in range(2):
            started = time.perf_counter()
            profiles.append(measure(copied, batches, timesteps))
    seconds = time.perf_counter() - started
    return _Examined(model, batches, x, labels_B, steps, timesteps, profiles, seconds, attempt.error)


def _repeatable(examined: _Examined) -> Verdicts:
    model, x, steps = examined.model, examined.x, examined.steps
    found = find_graph(model)
    if examined.error:
        found.append(f"the centre cannot be measured: {examined.error}")
    agree = not examined.error and _same_profiles(*examined.profiles)
    with Attempt() as attempt:
        if not agree:
            causes = find_causes(model, examined.batches, x, steps)
            found += causes or ([] if examined.error else ["the cause does not show on a few samples"])
        found += find_train_mode(model, x, steps)
    if attempt.error and not examined.error:
        found.append(f"{len(x)} samples cannot be run: {attempt.error}")
    if not found:
        text = f"two evaluations of {examined.centre.samples} samples agree bit for bit"
        return [("ok", text + over_draws(clone(model), examined.batches, examined.timesteps))]
    what = "" if agree or examined.error else "two evaluations of the same point differ: "
    return [("failure", what + "; ".join(found))]


def _same_profiles(first: TemporalProfile, second: TemporalProfile) -> bool:
    return all(np.array_equal(value, getattr(second, name), equal_nan=True) for name, value in vars(first).items())


def _finite(examined: _Examined) -> Verdicts:
    profile = examined.centre
    sick = [
        f"{name} {values[t]} at T = {t + 1}"
        for name, values in (("L_SDT", profile.sdt_loss), ("L_TET", profile.tet_loss))
        for t in np.flatnonzero(~np.isfinite(values))[:1]
    ]
    if not sick:
        return [("ok", f"both losses are finite at T = 1 to {examined.timesteps}")]
    names = [name for name, tensor in examined.model.state_dict().items() if not bool(torch.isfinite(tensor).all())]
    if names:
        return [("failure", f"{', '.join(sick)}: {', '.join(names[:4])} hold values that are not finite; train again")]
    first: list[str] = []

    def see(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        if not all(bool(torch.isfinite(tensor).all()) for tensor in results):
            first.append(name)

    copied = clone(examined.model)
    with watching(copied, see):
        logits(copied, examined.x, examined.steps)
    where = f", first behind {listed(examined.model, first[:1])}" if first else ""
    return [("failure", f"{', '.join(sick)}{where}: expected finite numbers; check the data and that layer")]


def _above_chance(examined: _Examined) -> Verdicts:
    classes = logits(clone(examined.model), examined.x, examined.steps).shape[2]
    loss = float(examined.centre.sdt_loss[-1])
    found = f"L_SDT {loss:.4f} at T = {examined.timesteps}, log {classes} = {math.log(classes):.4f}"
    if not no_better_than_chance(loss, classes):
        return [("ok", f"better than chance: {found}, accuracy {examined.centre.accuracy[-1]:.2%}")]
    return [
        (
            "failure",
            f"no better than chance ({found}), its numbers say little; with few batches an epoch it takes more epochs, "
            "or a smaller --batch-size, until the batch-norm statistics follow",
        )
    ]


def _reset_gradient(examined: _Examined) -> Verdicts:
    verdicts: list[tuple[str, str]] = []
    for what, option in (("the reset", "detach_reset"), ("the carried potential", "detach_carry")):
        modules = examined.model.named_modules()
        detached = [name for name, module in modules if getattr(module, option, False) is True]
        if detached:
            said = (
                f"{listed(examined.model, detached)} detach {what}: what follows gradients (curvature, SAM) sees none "
                f"through it, and is not the slope of the measured surface; build with {option}=False"
            )
            verdicts.append(("warning", said))
    return verdicts or [("ok", "no neuron detaches its reset")]


def _causal(examined: _Examined) -> Verdicts:
    verdict, message = causality(examined.model, examined.x, examined.steps)
    # At the T that it runs for alone a network may look ahead.
    return [("warning" if verdict == "failure" and only_length(examined.model) else verdict, message)]


def _inputs_untouched(examined: _Examined) -> Verdicts:
    copied, x = clone(examined.model), examined.x.clone()
    versions: dict[str, int] = {}
    touched: list[str] = []

    def enter(name: str) -> None:
        versions[name] = x._version

    def see(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        if x._version != versions[name]:
            touched.append(name)

    with evaluating(copied), watching(copied, see, enter):
        copied(x, examined.steps)
    if x.shape == examined.x.shape and close(x, examined.x):
        return [("ok", "the samples stay as they are")]
    before, after = tuple(examined.x.shape), tuple(x.shape)
    what = "their values" if before == after else f"their shape from {before} to {after}"
    # measure() hands clones to modules that are not ours, and only to those.
    verdict = "failure" if isinstance(examined.model, SpikingNetwork) else "warning"
    where = listed(examined.model, touched[:1])
    return [(verdict, f"{where} works in place on the caller's samples and changes {what}; let it make new tensors")]


def _precision(examined: _Examined) -> Verdicts:
    with stilled(examined.model):  # in another precision other random numbers are drawn
        return [precision(examined.model, examined.x, examined.labels, examined.steps)]


def _steps(examined: _Examined) -> Verdicts:
    with stilled(examined.model):
        return [carried_over(examined.model, examined.x, examined.steps)]


def _time(examined: _Examined) -> Verdicts:
    each, samples = examined.seconds, examined.centre.samples
    surface = f"a 25x25 surface takes about {25 * 25 * each:.0f} s"
    return [("ok", f"{each:.2g} s a point of {samples} samples at T = {examined.timesteps}: {surface}")]


CHECKS: dict[str, Check] = {
    "repeatable": Check(_repeatable),
    "finite": Check(_finite),
    "above chance": Check(_above_chance, excusable=True),
    "tied tensors": Check(lambda examined: tied_tensors(examined.model)),
    "reset gradient": Check(_reset_gradient),
    "causal in t": Check(_causal),
    "inputs untouched": Check(_inputs_untouched),
    "spikes": Check(lambda examined: firing(examined.model, examined.x, examined.steps), excusable=True),
    "precision": Check(_precision),
    "batch norm": Check(lambda e: running_statistics(e.model, e.x, e.labels, e.steps)),
    "steps": Check(_steps),
    "time": Check(_time),
}
