"""Block dynamical isometry: how much each block of a network stretches gradients, and what its potentials predict."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.analysis.activations import STEPS_EXPECTED, Activations, neuron_means
from tetviz.analysis.isometry_theory import closed_forms
from tetviz.analysis.jacobian import JacobianBlock, chain, find_blocks, gradient_squares, stretch
from tetviz.errors import DataError, ModelError, TrainingError
from tetviz.models.foreign.draws import drawn, draws_of
from tetviz.models.nodes import refuse_graph
from tetviz.results import BlockIsometry, Provenance
from tetviz.results.schema import FloatArray, IntArray
from tetviz.training import to_batches
from tetviz.training.losses import make_loss
from tetviz.training.padding import without_padding
from tetviz.training.passes import check_length
from tetviz.training.profile import a_parameter, check_outputs, exact_kernels, measured_on

_BN_POLICIES = ("batch", "frozen")


def compute_isometry(
    model: nn.Module,
    data: Any,
    timesteps: int | None = None,
    loss: str = "tet",
    *,
    blocks: str | None = None,
    probes: int = 4,
    bn: str = "batch",
    seed: int = 0,
    lamb: float = 0.05,
    phi: float = 1.0,
    indices: IntArray | None = None,
    batch_size: int = 64,
    provenance: Provenance | None = None,
    progress: Callable[[float], None] | None = None,
) -> BlockIsometry:
    """phi(J J^T) of every block with its standard error, its closed form, and the gradients that it is about.

    For v random signs the mean of |J^T v|^2 is the trace of J J^T (Hutchinson 1989); every sample, step and probe has
    a v of its own. The model is left as it is: a copy runs.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK.
        data: a Dataset, or batches, as in :func:`tetviz.training.to_batches`.
        timesteps: T; the model's own by default.
        loss: whose gradient is measured: ``sdt``, ``tet`` or ``total``.
        blocks: a regular expression, whole names of the modules that are blocks. By default the residual blocks of
            tetviz; where there are none, what lies between one layer of neurons and the next.
        probes: random vectors for each sample and step.
        bn: ``batch``: statistics of each batch, which take part in the Jacobian, as in training; ``frozen``: running
            statistics, which in an untrained network are those of nothing.
        seed: of the random vectors.
        lamb: weight of the regulariser in ``total``, eta in ``trt``.
        phi: target of the regulariser in ``total``.
        indices: which samples of a Dataset, in which order; all by default.
        batch_size: samples a batch.
        provenance: what the caller knows of the origin; device and precision are filled in.
        progress: called with how many samples, in fractions, are done since the last call.

    Returns:
        The isometry of every block, and what is known of every layer and step.

    Raises:
        DataError: there are no samples, one ends before T, or one is alone in a batch whose statistics are asked for.
        ModelError: there are no blocks, one is inside another, its steps cannot be told apart, or what lies between
            the layers of neurons is no chain.
        TrainingError: the loss is not finite.
        ValueError: an unknown policy, no probe, or T is not given and the model names none.
    """
    if bn not in _BN_POLICIES:
        raise ValueError(f"unknown batch-norm policy {bn!r}; known: {', '.join(_BN_POLICIES)}")
    if probes < 1:
        raise ValueError(f"probes must be at least 1, got {probes}")
    steps = timesteps or getattr(model, "timesteps", None)
    if not steps:
        raise ValueError("say for how many timesteps (timesteps): the model names none")
    refuse_graph(model, "phi is a mean over samples that are apart, its nodes are joined")
    weight, loss_function = a_parameter(model), make_loss(loss, lamb, phi)
    found = find_blocks(model, blocks)
    activations = Activations(model, bn, [block.name for block in found])
    totals = _Totals(activations, found, probes, torch.Generator(weight.device).manual_seed(seed))
    with exact_kernels(), drawn(activations.model, to_batches(data, batch_size, indices)) as passes:
        for x, labels in passes:
            if bn == "batch" and len(labels) < 2:
                raise DataError(
                    "a batch of one sample has no statistics to normalise by; take more samples, or bn frozen"
                )
            check_length(x, steps)
            labels_B = without_padding(labels, steps, "isometry", "take a T that all samples have (--timesteps)")
            logits_TBK = activations.run(x.to(weight.device, weight.dtype), steps, len(labels_B))
            check_outputs(logits_TBK, labels_B)
            totals.add(loss_function(logits_TBK, labels_B.to(weight.device)), progress)
    if not totals.runs:
        raise DataError("no samples to measure on: the data set is empty")
    return BlockIsometry(
        **totals.arrays(),
        timestep=np.arange(1, steps + 1),
        input_timestep=np.arange(1, steps + 1),
        sample=np.arange(totals.runs // totals.draws) if indices is None else np.asarray(indices),
        loss=loss,
        bn=bn,
        probes=probes,
        probe_seed=seed,
        t_train=getattr(model, "timesteps", None) or steps,
        provenance=measured_on(model, provenance),
    )


def standard_error(estimates: FloatArray) -> float:
    """Standard error of the mean of Hutchinson's estimates.

    Returns:
        That over samples, of their means over probes, so that both samples and vectors count; over probes for a
        single sample; NaN for a single estimate.
    """
    means = estimates.mean(0) if estimates.shape[1] > 1 else estimates[:, 0]
    return float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")


class _Totals:
    """Sums over batches, for every block, layer of neurons and layer with weights."""

    def __init__(
        self, activations: Activations, blocks: list[JacobianBlock], probes: int, generator: torch.Generator
    ) -> None:
        self.activations, self.blocks, self.probes, self.generator = activations, blocks, probes, generator
        self.neurons: list[str] = []
        self.layers: list[str] = []
        self.untold: list[str] = []
        self.runs, self.draws = 0, draws_of(activations.model)
        self.sums: dict[str, FloatArray] = {}
        self.step_phis: list[FloatArray] = []  # of each draw of a batch (block, probe, sample)
        self.run_phis: list[FloatArray] = []

    def add(self, loss: Tensor, progress: Callable[[float], None] | None) -> None:
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is {loss.item()}: the gradients of a network that has diverged say nothing")
        if not self.runs:
            self._look(loss)
        batch = self.activations.samples
        sums = gradient_squares(self.activations, self.blocks, self.layers, loss)
        estimates = []
        for block in self.blocks:
            estimates.append(stretch(self.activations, *block.ends(self.activations), self.probes, self.generator))
            if progress is not None:
                progress(batch / len(self.blocks) / self.draws)
        phi = np.stack(estimates)  # block, probe, sample, t, t'
        self.step_phis.append(phi.diagonal(0, 3, 4).mean(-1))
        self.run_phis.append(phi.sum(4).mean(3))
        means = {"phi": phi.mean((1, 2)), **neuron_means(self.activations, self.neurons)}
        means["closed_form"] = closed_forms(
            self.activations, self.blocks, dict(zip(self.neurons, means["mass"], strict=True))
        )
        sums |= {name: batch * values for name, values in means.items()}
        self.sums = {name: values + self.sums.get(name, 0) for name, values in sums.items()}
        self.runs += batch

    def _by_sample(self, found: list[FloatArray]) -> FloatArray:
        # Every draw of a batch has probes of its own.
        batches = [np.concatenate(found[at : at + self.draws], 1) for at in range(0, len(found), self.draws)]
        return np.concatenate(batches, 2)

    def _look(self, loss: Tensor) -> None:
        # The first run tells the order of execution, and which modules are neurons.
        activations = self.activations
        self.neurons = [name for name in activations.neurons() if self._told(name)]
        self.layers = [name for name in activations.layers() if self._told(name)]
        self.blocks.sort(key=lambda block: ([*activations.order, block.name]).index(block.name))
        if not self.blocks:
            self.blocks = chain(activations, loss)
        for block in self.blocks:
            if not all(activations.tells_steps(end) for end in block.ends(activations)):
                raise ModelError(f"block {block.name}: its calls do not say which step is which; {STEPS_EXPECTED}")

    def _told(self, name: str) -> bool:
        told = self.activations.tells_steps(self.activations.left[name])
        if not told:
            self.untold.append(name)
        return told

    def arrays(self) -> dict[str, Any]:
        means = {name: values / self.runs for name, values in self.sums.items()}
        bypass = means.pop("bypass").sum(1) / np.maximum(means["input_gradient"].sum(1), np.finfo(float).tiny)
        variance = means.pop("potential_square") - means["potential_mean"] ** 2
        norms = {name: np.sqrt(means[name]) for name in ("input_gradient", "output_gradient", "layer_gradient")}
        steps, runs = (self._by_sample(each) for each in (self.step_phis, self.run_phis))
        return {
            **means,
            **norms,
            "bypass": np.sqrt(bypass),
            "potential_std": np.sqrt(np.maximum(variance, 0)),
            "step_phi": steps.mean((1, 2)),
            "step_phi_se": np.array([standard_error(each) for each in steps]),
            "run_phi": runs.mean((1, 2)),
            "run_phi_se": np.array([standard_error(each) for each in runs]),
            "block": np.arange(len(self.blocks)),
            "neuron": np.arange(len(self.neurons)),
            "layer": np.arange(len(self.layers)),
            "names": tuple(block.name for block in self.blocks),
            "modules": tuple(block.kind for block in self.blocks),
            "neuron_names": tuple(self.neurons),
            "layer_names": tuple(self.layers),
            "not_measured": tuple(f"{name}: its calls do not say which step is which" for name in self.untold),
        }
