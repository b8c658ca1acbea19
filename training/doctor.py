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
from tetviz.models import SpikingNetwork
from tetviz.models.resting import close
from tetviz.training.doctor_causal import causality
from tetviz.training.doctor_probe import CANNOT_RUN, clone, generators_kept, listed, logits, reason, watching
from tetviz.training.doctor_spikes import firing, precision
from tetviz.training.doctor_state import find_causes, find_graph, find_train_mode
from tetviz.training.doctor_tensors import tied_tensors
from tetviz.training.profile import Batch, TemporalProfile, a_parameter, evaluating, measure, to_batches

SMALL = 32  # samples of the checks that look inside

Verdicts = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name, such as ``repeatable``.
        verdict: ``ok``, ``warning`` or ``failure``.
        message: one line: what, where, expected and found, cure.
    """

    check: str
    verdict: str
    message: str


@dataclass(frozen=True)
class _Patient:
    """The network with its data, a few samples, and two evaluations of the centre (fewer where they failed)."""

    model: nn.Module
    batches: Iterable[Batch]
    x: Tensor
    labels: Tensor
    timesteps: int
    profiles: list[TemporalProfile]
    seconds: float
    error: str

    @property
    def centre(self) -> TemporalProfile:
        if not self.profiles:
            raise ValueError("the centre cannot be measured")
        return self.profiles[0]


def examine(model: nn.Module, data: Any, timesteps: int, *, batch_size: int = 256) -> list[Finding]:
    """Examines whether what is measured on a network means anything.

    The centre is measured on all data, twice; what needs a look inside is done on 32 samples. Everything runs
    on copies: the model, its mode, its state and the random generators are left as they are.
    """
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
    batches = to_batches(data, batch_size)
    if isinstance(batches, Iterator):
        batches = list(batches)
    findings = []
    with generators_kept(a_parameter(model).device):
        patient = _admit(model, batches, timesteps)
        for check, look in CHECKS.items():
            try:
                findings += [Finding(check, verdict, message) for verdict, message in look(patient)]
            except torch.OutOfMemoryError:
                raise
            except CANNOT_RUN as error:
                findings.append(Finding(check, "failure", f"could not be examined: {reason(error)}"))
    return findings


def _admit(model: nn.Module, batches: Iterable[Batch], timesteps: int) -> _Patient:
    batch = next(iter(batches), None)
    if batch is None:
        raise DataError("no samples to measure on: the data set is empty")
    weight = a_parameter(model)
    x = batch[0].to(weight.device, weight.dtype)
    x = x[:timesteps, :SMALL] if x.dim() == 5 else x[:SMALL]
    profiles, started, error = [], 0.0, ""
    try:
        subject = clone(model)
        for _ in range(2):
            started = time.perf_counter()
            profiles.append(measure(subject, batches, timesteps))
    except torch.OutOfMemoryError:
        raise
    except CANNOT_RUN as failure:
        error = reason(failure)
    seconds = time.perf_counter() - started
    return _Patient(model, batches, x.clone(), batch[1][:SMALL], timesteps, profiles, seconds, error)


def _repeatable(patient: _Patient) -> Verdicts:
    model, x, timesteps = patient.model, patient.x, patient.timesteps
    found = find_graph(model)
    if patient.error:
        found.append(f"the centre cannot be measured: {patient.error}")
    agree = not patient.error and _same_profiles(*patient.profiles)
    try:
        if not agree:
            causes = find_causes(model, patient.batches, x, timesteps)
            found += causes or ([] if patient.error else ["the cause does not show on a few samples"])
        found += find_train_mode(model, x, timesteps)
    except torch.OutOfMemoryError:
        raise
    except CANNOT_RUN as error:
        if not patient.error:
            found.append(f"{len(x)} samples cannot be run: {reason(error)}")
    if not found:
        text = f"two evaluations of {patient.centre.samples} samples agree bit for bit"
        return [("ok", text)]
    what = "" if agree or patient.error else "two evaluations of the same point differ: "
    return [("failure", what + "; ".join(found))]


def _same_profiles(first: TemporalProfile, second: TemporalProfile) -> bool:
    return all(np.array_equal(value, getattr(second, name), equal_nan=True) for name, value in vars(first).items())


def _finite(patient: _Patient) -> Verdicts:
    profile = patient.centre
    sick = [
        f"{name} {values[t]} at T = {t + 1}"
        for name, values in (("L_SDT", profile.sdt_loss), ("L_TET", profile.tet_loss))
        for t in np.flatnonzero(~np.isfinite(values))[:1]
    ]
    if not sick:
        return [("ok", f"both losses are finite at T = 1 to {patient.timesteps}")]
    names = [name for name, tensor in patient.model.state_dict().items() if not bool(torch.isfinite(tensor).all())]
    if names:
        return [("failure", f"{', '.join(sick)}: {', '.join(names[:4])} hold values that are not finite; train again")]
    first: list[str] = []

    def see(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        if not all(bool(torch.isfinite(tensor).all()) for tensor in results):
            first.append(name)

    copied = clone(patient.model)
    with watching(copied, see):
        logits(copied, patient.x, patient.timesteps)
    where = f", first behind {listed(patient.model, first[:1])}" if first else ""
    return [("failure", f"{', '.join(sick)}{where}: expected finite numbers; check the data and that layer")]


def _above_chance(patient: _Patient) -> Verdicts:
    classes = logits(clone(patient.model), patient.x, patient.timesteps).shape[2]
    loss, chance = float(patient.centre.sdt_loss[-1]), math.log(classes)
    found = f"L_SDT {loss:.4f} at T = {patient.timesteps}, log {classes} = {chance:.4f}"
    if loss < chance - 1e-3:
        return [("ok", f"better than chance: {found}, accuracy {patient.centre.accuracy[-1]:.2%}")]
    return [
        (
            "failure",
            f"no better than chance ({found}), its numbers say little; with few batches an epoch it takes more epochs, "
            "or a smaller --batch-size, until the batch-norm statistics follow",
        )
    ]


def _reset_gradient(patient: _Patient) -> Verdicts:
    detached = [
        name for name, module in patient.model.named_modules() if getattr(module, "detach_reset", False) is True
    ]
    if not detached:
        return [("ok", "no neuron detaches its reset")]
    return [
        (
            "warning",
            f"{listed(patient.model, detached)} detach the reset: what follows gradients (curvature, SAM) sees none "
            "through it, and is not the slope of the measured surface; build with detach_reset=False",
        )
    ]


def _inputs_untouched(patient: _Patient) -> Verdicts:
    copied, x = clone(patient.model), patient.x.clone()
    versions: dict[str, int] = {}
    touched: list[str] = []

    def enter(name: str) -> None:
        versions[name] = x._version

    def see(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        if x._version != versions[name]:
            touched.append(name)

    with evaluating(copied), watching(copied, see, enter):
        copied(x, patient.timesteps)
    if x.shape == patient.x.shape and close(x, patient.x):
        return [("ok", "the samples stay as they are")]
    before, after = tuple(patient.x.shape), tuple(x.shape)
    what = "their values" if before == after else f"their shape from {before} to {after}"
    # measure() hands clones to modules that are not ours, and only to those.
    verdict = "failure" if isinstance(patient.model, SpikingNetwork) else "warning"
    where = listed(patient.model, touched[:1])
    return [(verdict, f"{where} works in place on the caller's samples and changes {what}; let it make new tensors")]


def _time(patient: _Patient) -> Verdicts:
    each, samples = patient.seconds, patient.centre.samples
    surface = f"a 25x25 surface takes about {25 * 25 * each:.0f} s"
    return [("ok", f"{each:.2g} s a point of {samples} samples at T = {patient.timesteps}: {surface}")]


CHECKS: dict[str, Callable[[_Patient], Verdicts]] = {
    "repeatable": _repeatable,
    "finite": _finite,
    "above chance": _above_chance,
    "tied tensors": lambda patient: tied_tensors(patient.model),
    "reset gradient": _reset_gradient,
    "causal in t": lambda patient: [causality(patient.model, patient.x, patient.timesteps)],
    "inputs untouched": _inputs_untouched,
    "spikes": lambda patient: firing(patient.model, patient.x, patient.timesteps),
    "precision": lambda patient: [precision(patient.model, patient.x, patient.labels, patient.timesteps)],
    "time": _time,
}
