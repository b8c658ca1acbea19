"""The attack on a network, sample by sample, with its random control."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.analysis.attack.gradient import attacker_view, input_gradient
from tetviz.analysis.attack.inputs import Input, Pixels, Spikes, Step, started
from tetviz.errors import CheckpointError, DataError
from tetviz.models.foreign.draws import is_stochastic
from tetviz.models.layers import eval_mode
from tetviz.models.nodes import refuse_graph
from tetviz.results import AttackRun, Provenance
from tetviz.results.attack import METHODS, NOISES, ONCE
from tetviz.results.schema import FloatArray, IntArray
from tetviz.training.batches import to_batches
from tetviz.training.data.bernoulli import BernoulliSpikes
from tetviz.training.profile import a_parameter, exact_kernels, measured_on


def compute_attack(
    model: nn.Module,
    data: Any,
    timesteps: int,
    method: str = "g2s-image",
    *,
    targeted: bool = False,
    iterations: int = 25,
    epsilon: float = 8 / 255,
    budget: float = float("inf"),
    threshold: float | None = None,
    surrogate: str | None = None,
    seed: int = 0,
    indices: IntArray | None = None,
    batch_size: int = 256,
    provenance: Provenance | None = None,
    progress: Callable[[int], None] | None = None,
) -> AttackRun:
    """Changes the input of samples that a network classifies correctly until it does not, beside a random control.

    g2s-image and g2s-spike are the gradient-to-spike converter with the restricted spike flipper (Liang et al. 2020,
    arXiv 2001.01587): the first on images in [0, 1] as Bernoulli spikes, drawn again in each iteration, the second on
    events, as 0 or 1 in each frame and pixel. fgsm (Goodfellow et al. 2015), bim (Kurakin et al. 2017) and pgd (Madry
    et al. 2018) change pixels in [0, 1] by epsilon at most. gaussian noise has standard deviation epsilon; of
    salt-and-pepper each value becomes 0 or 1, of drop each event vanishes, with probability epsilon. An attack
    succeeds where the mean output of all steps has one largest entry, of another class than the label, or of the
    target, and the change is within the budget.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK.
        data: a Dataset; its images are attacked before their normalisation.
        timesteps: T.
        method: one of g2s-image, g2s-spike, fgsm, bim, pgd, gaussian, salt-and-pepper, drop.
        targeted: whether another class, drawn for each sample, is to be predicted.
        iterations: at most; fgsm and noise make one.
        epsilon: of fgsm, bim and pgd the largest change of a pixel; of noise its size.
        budget: of g2s: largest mean squared change of image or spikes.
        threshold: that the last layer of neurons fires at where gradients are taken; None for its own.
        surrogate: where gradients are taken; None for the network's own.
        seed: of all random numbers.
        indices: which samples of a Dataset, in which order; all by default.
        batch_size: samples a batch.
        provenance: what the caller knows of the origin.
        progress: called with the number of samples of each finished batch.

    Returns:
        What became of each sample, and accuracies at every t.

    Raises:
        CheckpointError: the network draws random numbers, or has no neurons whose threshold or surrogate can be set.
        DataError: no samples, samples with lengths, images where events are needed or events where images are.
        ValueError: an unknown method, or an argument out of range.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if timesteps < 1 or iterations < 1 or not 0 < epsilon <= 1 or not budget > 0:
        raise ValueError("timesteps, iterations, epsilon (at most 1) and budget must be positive")
    refuse_graph(model, "attacks change the input of single samples, its nodes share theirs")
    known = measured_on(model, provenance)
    if is_stochastic(model):
        raise CheckpointError(
            f"{known.checkpoint or 'the network'}: draws random numbers, which attacks do not average"
        )
    if method == "g2s-image" and isinstance(data, BernoulliSpikes):
        data = data.images  # whose spikes are drawn anew in each iteration
    iterations = 1 if method in ONCE else iterations
    run = _Run(model, getattr(data, "normalisation", None), timesteps, method, targeted, iterations, seed)
    run.epsilon, run.budget, run.view = epsilon, budget, {"threshold": threshold, "surrogate": surrogate}
    weight = a_parameter(model)
    with torch.no_grad(), exact_kernels(), eval_mode(model):
        for x, labels in to_batches(data, batch_size, indices):
            run.batch(x.to(weight.device, weight.dtype), labels.to(weight.device))
            if progress is not None:
                progress(len(labels))
    count = len(run.labels)
    if not count:
        raise DataError("no samples to attack: the data set is empty")
    limited = method in ("fgsm", "bim", "pgd", *NOISES)
    return AttackRun(
        timestep=np.arange(1, timesteps + 1),
        iteration=np.arange(1, iterations + 1),
        sample=np.arange(count) if indices is None else indices,
        label=np.array(run.labels),
        **run.arrays(),
        method=method,
        targeted=int(targeted),
        threshold=float("nan") if threshold is None else threshold,
        surrogate=surrogate or "",
        epsilon=epsilon if limited else budget if np.isfinite(budget) else float("nan"),
        attack_seed=seed,
        t_train=getattr(model, "timesteps", None) or 0,
        provenance=known,
    )


_OF_EVENTS = ("g2s-spike", "drop")


class _Run:
    """Sums and samples of an attack so far."""

    epsilon: float
    budget: float
    view: dict[str, Any]

    def __init__(
        self, model: nn.Module, normalise: Any, timesteps: int, method: str, targeted: bool, iterations: int, seed: int
    ) -> None:
        self.model, self.normalise, self.timesteps = model, normalise, timesteps
        self.method, self.targeted, self.iterations = method, targeted, iterations
        self.generator = torch.Generator().manual_seed(seed)
        self.labels: list[int] = []
        self.by_sample: list[dict[str, FloatArray]] = []
        self.hits = {name: np.zeros(timesteps) for name in ("clean_accuracy", "accuracy", "control_accuracy")}
        self.left, self.zero, self.flips = np.zeros(iterations), np.zeros(iterations), np.zeros(iterations)

    def logits(self, leaf: Tensor) -> Tensor:
        """O(t) of pixels or spikes before normalisation."""
        logits: Tensor = self.model(leaf if self.normalise is None else self.normalise(leaf), self.timesteps)
        return logits

    def batch(self, x: Tensor, labels: Tensor) -> None:
        """Attacks a batch, and the control beside it."""
        self._check(x, labels)
        if self.normalise is not None:
            x = self.normalise.undo(x).clamp(0, 1)
        given: Input = started(self.method, x, self.timesteps, self.epsilon, self.iterations, self.generator)
        clean = self.logits(given.first if isinstance(given, Pixels) else given.leaf)
        attacked = clean.mean(0).argmax(1) == labels
        shift = torch.randint(1, clean.shape[2], labels.shape, generator=self.generator).to(labels.device)
        goal = (labels + shift) % clean.shape[2] if self.targeted else labels
        other = ~attacked
        if isinstance(given, Spikes) and given.image is not None:
            again = Spikes.of_image(given.image, self.timesteps, self.generator)
            other = self.logits(again.leaf).mean(0).argmax(1) != labels
        control, done, control_done = given, ~attacked, ~attacked
        succeeded, control_succeeded = torch.zeros_like(labels), torch.zeros_like(labels)
        end, control_end = clean, clean
        distance = torch.full(labels.shape, float("nan"), dtype=x.dtype, device=x.device)
        for iteration in range(1, self.iterations + 1):
            if done.all():
                break
            with attacker_view(self.model, **self.view):
                direction = input_gradient(self.logits, given.leaf, goal) * (-1 if self.targeted else 1)
            step = given.along(direction, self.generator)
            control = control.at_random(step, self.generator).given
            given, active = step.given, ~done
            self._count(iteration, active, direction, step)
            end = torch.where(active[None, :, None], self.logits(given.leaf), end)
            distance = torch.where(active, given.distance(), distance)
            won = active & self._won(end, goal) & (given.distance() <= self.budget)
            trying = active & ~control_done
            control_end = torch.where(trying[None, :, None], self.logits(control.leaf), control_end)
            control_won = trying & self._won(control_end, goal) & (control.distance() <= self.budget)
            succeeded[won], control_succeeded[control_won] = iteration, iteration
            done, control_done = done | won, control_done | control_won
        for name, logits in (("clean_accuracy", clean), ("accuracy", end), ("control_accuracy", control_end)):
            self.hits[name] += _hits(logits, labels)
        self.labels += labels.tolist()
        kept = {"attacked": attacked, "succeeded": succeeded, "control_succeeded": control_succeeded}
        kept |= {"distance": distance, "other": other & attacked}
        self.by_sample.append({name: each.cpu().numpy() for name, each in kept.items()})

    def arrays(self) -> dict[str, Any]:
        """What became of the samples, as the fields of the result."""
        each = {name: np.concatenate([batch[name] for batch in self.by_sample]) for name in self.by_sample[0]}
        other, attacked = each.pop("other"), each["attacked"].astype(bool)
        steps = np.arange(1, self.iterations + 1)[:, None]
        made = {"success": "succeeded", "control_success": "control_succeeded"}
        nothing = np.full(self.iterations, np.nan)
        shares = {
            name: ((each[field] > 0) & (each[field] <= steps))[:, attacked].mean(1) if attacked.any() else nothing
            for name, field in made.items()
        }
        with np.errstate(invalid="ignore"):
            shares |= {"zero_gradient": self.zero / self.left, "flips": self.flips / self.left}
        accuracies = {name: hits / len(self.labels) for name, hits in self.hits.items()}
        noisy = self.method == "g2s-image" and attacked.any()
        return {
            **each,
            **shares,
            **accuracies,
            "resampling_error": float(other.sum() / attacked.sum()) if noisy else float("nan"),
        }

    def _won(self, logits: Tensor, goal: Tensor) -> Tensor:
        top, predicted = logits.mean(0).topk(2, 1)
        unique = top[:, 0] > top[:, 1]
        reached = predicted[:, 0] == goal
        return unique & (reached if self.targeted else ~reached)

    def _count(self, iteration: int, active: Tensor, direction: Tensor, step: Step) -> None:
        by_sample = (direction.transpose(0, 1) if direction.dim() == 5 else direction).flatten(1)
        self.left[iteration - 1] += int(active.sum())
        self.zero[iteration - 1] += int(((by_sample == 0).all(1) & active).sum())
        self.flips[iteration - 1] += float((step.changed[active] / by_sample.shape[1]).sum())

    def _check(self, x: Tensor, labels: Tensor) -> None:
        if labels.dim() != 1:
            raise DataError("samples end before the last step: attacks take samples of one length")
        sequence = x.dim() == 5
        if sequence != (self.method in _OF_EVENTS):
            others = [each for each in METHODS if (each in _OF_EVENTS) == sequence]
            given, needed = "events" if sequence else "images", f"{', '.join(others[:-1])} or {others[-1]}"
            raise DataError(f"--method {self.method}: the data are {given}; use {needed}")
        if sequence and len(x) < self.timesteps:
            raise DataError(f"T = {self.timesteps}: the samples have {len(x)} frames; give --timesteps {len(x)}")


def _hits(logits: Tensor, labels: Tensor) -> FloatArray:
    steps = torch.arange(1, len(logits) + 1, device=logits.device, dtype=torch.float64)[:, None, None]
    mean = logits.double().cumsum(0) / steps
    hits: FloatArray = (mean.argmax(2) == labels).sum(1).cpu().numpy().astype(np.float64)
    return hits
