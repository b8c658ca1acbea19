"""The one measurement: both losses and both accuracies at every number of timesteps, from one pass.

In eval mode a spiking network is causal in time, so the first t steps of a long run are a run of t steps.
Networks built by tetviz run one step at a time, their membranes carried by ``streaming``: memory does not
grow with T, and a run of t steps makes exactly the same calls as the start of a longer one.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.errors import DataError
from tetviz.models.foreign.draws import drawn, draws_of, is_stochastic
from tetviz.models.layers import eval_mode
from tetviz.results import Provenance
from tetviz.results.schema import FloatArray, IntArray
from tetviz.training.batches import to_batches
from tetviz.training.losses import step_cross_entropy
from tetviz.training.padding import check_runs, classes_and_lengths
from tetviz.training.passes import Runner, outputs, uses_batch_statistics


@dataclass(frozen=True)
class TemporalProfile:
    """What a network does at every number of timesteps 1..T; every array has length T.

    Of a sample that ends after L_i steps a run of t is one of min(t, L_i). Loss and accuracy of step t alone are over
    the samples that have such a step; NaN where none has.

    Attributes:
        sdt_loss: cross-entropy of the mean output of steps 1..t (Deng et al. 2022, eq. 7), in nats.
        tet_loss: mean cross-entropy of the outputs of steps 1..t (Deng et al. 2022, eq. 9), in nats.
        step_loss: cross-entropy of the output of step t alone, in nats.
        accuracy: accuracy of the mean output of steps 1..t, a fraction.
        step_accuracy: accuracy of the output of step t alone, a fraction.
        sdt_loss_se: standard error of sdt_loss over samples; NaN for a single sample.
        tet_loss_se: standard error of tet_loss over samples; NaN for a single sample.
        samples: number of samples.
        step_samples: number of samples that have a step t.

    Of a network that draws random numbers (``Calling.draws``) losses and accuracies are means over draws: of the
    losses and hits of each sample, not those of a mean output. Standard errors are over the samples' means.
    """

    sdt_loss: FloatArray
    tet_loss: FloatArray
    step_loss: FloatArray
    accuracy: FloatArray
    step_accuracy: FloatArray
    sdt_loss_se: FloatArray
    tet_loss_se: FloatArray
    samples: int
    step_samples: IntArray


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Puts a model into eval mode without gradients; on exit every module's mode is as it was.

    Args:
        model: any module.

    Yields:
        The model.
    """
    with torch.no_grad(), exact_kernels(), eval_mode(model):
        yield model


def exact_kernels() -> AbstractContextManager[None]:
    """Deterministic cuDNN kernels that keep all bits of float32; TF32 would round potentials and flip spikes."""
    flags: Any = torch.backends.cudnn.flags
    return flags(enabled=True, deterministic=True, benchmark=False, allow_tf32=False)  # type: ignore[no-any-return]


def a_parameter(model: nn.Module) -> Tensor:
    """A tensor on the network's device and in its precision."""
    return next(model.parameters(), torch.zeros(()))


def measured_on(model: nn.Module, provenance: Provenance | None) -> Provenance:
    """What is known of the origin of a result, with the device and the precision of the network."""
    weight = a_parameter(model)
    dtype = str(weight.dtype).removeprefix("torch.")
    draws = str(draws_of(model)) if is_stochastic(model) else ""
    return dataclasses.replace(provenance or Provenance(), device=str(weight.device), dtype=dtype, draws=draws)


def measure(
    model: nn.Module,
    data: Any,
    timesteps: int,
    *,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
    run: Runner = outputs,
) -> TemporalProfile:
    """Measures a network over a data set, at all numbers of timesteps up to T, in one pass.

    Losses are computed and summed in float64. The model runs in eval mode on its own device and in its own
    precision, and is left as it was.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK.
        data: a Dataset, or batches, as in :func:`to_batches`.
        timesteps: T, the longest run.
        batch_size: samples a batch when a Dataset is given.
        progress: called with the number of samples of each finished batch.
        run: makes a run, as :func:`outputs` does; another one may look at what passes. It is asked for every draw of a
            batch, one after the other.

    Returns:
        The profile.

    Raises:
        DataError: no samples, a label out of range, a sequence that is too short.
        ValueError: timesteps below 1, or outputs that are not logits_TBK.
    """
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
    weight = a_parameter(model)
    totals, by_batch = _Totals(draws_of(model)), uses_batch_statistics(model)
    with evaluating(model), drawn(model, to_batches(data, batch_size)) as passes:
        for x, labels in passes:
            check_runs(model, labels, timesteps, by_batch)
            finished = totals.add(run(model, x.to(weight.device, weight.dtype), timesteps), labels, timesteps)
            if finished and progress is not None:
                progress(finished)
    return totals.profile()


def of_the_longest(profile: TemporalProfile) -> TemporalProfile:
    """The profile of a network whose outputs at t < T are no runs of t steps: NaN there."""
    shorter = np.arange(len(profile.accuracy)) < len(profile.accuracy) - 1
    values: dict[str, Any] = {
        name: np.where(shorter, np.nan, each)
        for name, each in vars(profile).items()
        if isinstance(each, np.ndarray) and name != "step_samples"
    }
    return dataclasses.replace(profile, **values)


class _Totals:
    """Sums over samples, T long, of every quantity of a profile and of the squares of both losses."""

    def __init__(self, draws: int = 1) -> None:
        self.samples, self.draws = 0, draws
        self.drawn: list[dict[str, Tensor]] = []
        self.batches: list[dict[str, Tensor]] = []

    def add(self, stretches: Iterable[Tensor], labels: Tensor, timesteps: int) -> int:
        """Adds a draw of a batch, and gives the number of samples that are finished with it: none before its last."""
        labels_B, lengths_B = classes_and_lengths(labels, timesteps)
        step_loss, sdt_loss, step_hit, hit = [], [], [], []
        integrated, done = torch.zeros(()), 0
        for logits_TBK in stretches:
            if done == 0:
                check_outputs(logits_TBK, labels_B)
                labels_B, integrated = labels_B.to(logits_TBK.device), integrated.to(logits_TBK.device)
                lengths_B = lengths_B.to(logits_TBK.device)
            steps_T = torch.arange(done + 1, done + len(logits_TBK) + 1, device=logits_TBK.device)
            inside_TB = steps_T[:, None] <= lengths_B
            logits_TBK = logits_TBK.double().where(inside_TB[..., None], 0)
            sum_TBK = integrated + logits_TBK.cumsum(0)
            integrated, done = sum_TBK[-1], done + len(logits_TBK)
            mean_TBK = sum_TBK / steps_T[:, None].minimum(lengths_B)[..., None]
            step_loss.append(step_cross_entropy(logits_TBK, labels_B).where(inside_TB, 0))
            sdt_loss.append(step_cross_entropy(mean_TBK, labels_B))
            step_hit.append(_right(logits_TBK, labels_B) & inside_TB)
            hit.append(_right(mean_TBK, labels_B))
        if done != timesteps:
            raise ValueError(f"the model gave {done} timesteps of output, {timesteps} were asked for")
        step_TB, sdt_TB = torch.cat(step_loss), torch.cat(sdt_loss)
        steps_TB = torch.arange(1, timesteps + 1, device=step_TB.device)[:, None].minimum(lengths_B)
        tet_TB = step_TB.cumsum(0) / steps_TB
        hits = {"step_accuracy": torch.cat(step_hit).double(), "accuracy": torch.cat(hit).double()}
        self.drawn.append({"step_loss": step_TB, "sdt_loss": sdt_TB, "tet_loss": tet_TB, **hits})
        return self._finish(steps_TB) if len(self.drawn) == self.draws else 0

    def _finish(self, steps_TB: Tensor) -> int:
        of_samples = {name: torch.stack([each[name] for each in self.drawn]).mean(0) for name in self.drawn[0]}
        squares = {f"{loss}_square": (of_samples[f"{loss}_loss"] ** 2).sum(1) for loss in ("sdt", "tet")}
        has_step_TB = steps_TB.diff(dim=0, prepend=torch.zeros_like(steps_TB[:1])) > 0
        sums = {name: values_TB.sum(1) for name, values_TB in of_samples.items()}
        self.batches.append(sums | squares | {"step_samples": has_step_TB.sum(1)})
        self.samples += steps_TB.shape[1]
        self.drawn = []
        return steps_TB.shape[1]

    def profile(self) -> TemporalProfile:
        if self.samples == 0:
            raise DataError("no samples to measure on: the data set is empty")
        sums = {k: torch.stack([b[k] for b in self.batches]).sum(0).cpu().numpy() for k in self.batches[0]}
        step_samples = sums.pop("step_samples")
        having = np.where(step_samples > 0, step_samples, np.nan)
        mean = {k: each / (having if k.startswith("step_") else self.samples) for k, each in sums.items()}
        squares = {loss: mean.pop(f"{loss}_square") for loss in ("sdt", "tet")}
        errors = {f"{k}_loss_se": self._standard_error(mean[f"{k}_loss"], squares[k]) for k in squares}
        return TemporalProfile(**mean, **errors, samples=self.samples, step_samples=step_samples)

    def _standard_error(self, mean: FloatArray, square: FloatArray) -> FloatArray:
        if self.samples < 2:
            return np.full_like(mean, np.nan)
        with np.errstate(invalid="ignore", over="ignore"):  # an infinite loss has no standard error, nor one too large
            return np.sqrt(np.maximum(square - mean**2, 0) / (self.samples - 1))


def _right(logits_TBK: Tensor, labels_B: Tensor) -> Tensor:
    # argmax takes a NaN for the largest; no class is predicted there.
    return (logits_TBK.argmax(2) == labels_B) & ~logits_TBK.isnan().any(2)


def check_outputs(logits_TBK: Tensor, labels_B: Tensor) -> None:
    """Checks that outputs and labels fit each other."""
    if logits_TBK.dim() != 3 or logits_TBK.shape[1] != len(labels_B):
        raise ValueError(
            f"expected outputs T x {len(labels_B)} x K, got {tuple(logits_TBK.shape)}: "
            "the model must return its output at every timestep, time first"
        )
    check_labels(labels_B, logits_TBK.shape[2])


def check_labels(labels: Any, classes: int) -> None:
    """Checks that labels are classes."""
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        wrong = int(labels.max()) if int(labels.max()) >= classes else int(labels.min())
        raise DataError(f"label {wrong} is out of range: the network has {classes} classes, 0 to {classes - 1}")
