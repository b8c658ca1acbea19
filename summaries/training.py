"""What training costs: energies of the three phases, densities, and whole schedules. Needs no torch."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from tetviz.errors import unknown
from tetviz.results import TrainingOperations
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries.costs import CostModel

PHASES = ("FP", "BP", "WU")
SPARSITIES = ("effective", "one-sided", "dense")
DENSITIES = ("d_in", "d_err", "d_need", "dual", "product", "d_wu")


def with_cost(result: TrainingOperations, cost: CostModel) -> TrainingOperations:
    """The same counts at another price."""
    return replace(result, cost=cost.name, mac_pj=cost.mac, ac_pj=cost.ac)


def schedule_cost(stages: Iterable[tuple[int, int]]) -> int:
    """The cost of a training schedule in timestep-epochs, the unit of the TET paper (Deng et al. 2022, section 4.3).

    >>> schedule_cost([(6, 300)]), schedule_cost([(2, 300), (6, 50)])
    (1800, 900)

    Args:
        stages: (T, epochs) of each stage.

    Returns:
        The sum of T times epochs.
    """
    return sum(timesteps * epochs for timesteps, epochs in stages)


def optimizer_mac(optimizer: str, momentum: float = 0.0, weight_decay: float = 0.0) -> int:
    """Multiply-adds of one optimiser step for one parameter, roots and divisions among them.

    Plain SGD takes 1, w - lr g, and momentum 1 more. Adam takes 8: 2 for the mean of the gradient, 3 for that of its
    square, a root, a division and the update; its bias corrections are two numbers a step. SAM takes 2 more than SGD,
    for the norm of the gradient and the step uphill. Weight decay adds 1.
    """
    macs = {"sgd": 1 + (momentum > 0), "adam": 8, "adamw": 8, "sam": 3 + (momentum > 0)}
    if optimizer not in macs:
        raise ValueError(unknown("optimizer", optimizer, macs))
    return macs[optimizer] + (weight_decay > 0)


def phase_pairs(result: TrainingOperations, sparsity: str = "effective") -> IntArray:
    """Pairs that each phase computes, summed over the samples.

    Returns:
        Counts (phase, layer, timestep), phases as in :data:`PHASES`. BP is 0 where the input takes no gradient.
    """
    dense_backward = result.dense * result.input_gradient[:, None]
    pairs = {
        "effective": (result.forward, result.backward, result.weight),
        "one-sided": (result.forward, result.backward_error, result.forward),
        "dense": (result.dense, dense_backward, result.dense),
    }
    if sparsity not in pairs:
        raise ValueError(unknown("sparsity", sparsity, pairs))
    return np.stack(pairs[sparsity])


def phase_energy(result: TrainingOperations, sparsity: str = "effective") -> FloatArray:
    """Energy of each phase, in pJ for one sample.

    A pair of FP or WU costs an AC where the layer's input is spikes, else a MAC; one of BP costs a MAC. Dense pairs all
    cost a MAC: they are what a network without spikes of the same shapes and steps computes.

    Args:
        result: counts.
        sparsity: as in :func:`phase_pairs`.

    Returns:
        pJ (phase, layer, timestep).
    """
    added = np.where(result.spiking == 1, result.ac_pj, result.mac_pj)
    whole = np.full_like(added, result.mac_pj)
    prices = np.stack([whole, whole, whole] if sparsity == "dense" else [added, whole, added])
    energy: FloatArray = phase_pairs(result, sparsity) * prices[:, :, None] / len(result.sample)
    return energy


def neuron_energy(result: TrainingOperations) -> FloatArray:
    """Energy of the backward pass through the neurons, in pJ for one sample: surrogate, leak and reset, a MAC each."""
    macs = result.surrogate_mac + result.leak_mac + result.reset_mac
    return macs * result.mac_pj / len(result.sample)


def optimizer_energy(result: TrainingOperations) -> float:
    """Energy of one step of the optimiser, which does not depend on T.

    Returns:
        pJ for one step, whatever its batch; NaN where the checkpoint records no optimiser.
    """
    return result.parameters * result.optimizer_mac * result.mac_pj if result.optimizer else math.nan


def run_energy(result: TrainingOperations) -> float:
    """Energy of the whole run that made the checkpoint, in joules.

    Samples times timestep-epochs times the energy of a sample and step, mean over the steps measured, and the
    optimiser's steps; SAM makes two passes a step. All epochs and all T are taken to cost what was measured, with the
    weights of the checkpoint.

    Args:
        result: counts.

    Returns:
        J; NaN where the checkpoint records no run.
    """
    stages = result.stages
    if not stages or not result.train_samples or not result.train_batch_size:
        return math.nan
    of_a_step = (phase_energy(result).sum() + neuron_energy(result).sum()) / len(result.timestep)
    updates = sum(epochs for _, epochs in stages) * -(-result.train_samples // result.train_batch_size)
    passes = of_a_step * result.train_samples * schedule_cost(stages) * (2 if result.optimizer == "sam" else 1)
    return float(passes + updates * optimizer_energy(result)) * 1e-12


def training_table(result: TrainingOperations) -> pd.DataFrame:
    """Energies of all steps of a sample, in pJ.

    Args:
        result: counts.

    Returns:
        A row for each layer and one for their ``total``; columns FP, BP, WU, and the sums ``effective``,
        ``one-sided`` and ``dense`` of all three.
    """
    frame = pd.DataFrame(phase_energy(result).sum(2).T, index=pd.Index(result.names, name="layer"), columns=PHASES)
    for sparsity in SPARSITIES:
        frame[sparsity] = phase_energy(result, sparsity).sum((0, 2))
    frame.loc["total"] = frame.sum()
    return frame


def densities(result: TrainingOperations) -> pd.DataFrame:
    """Shares that are not 0, over all samples and steps, for every layer.

    Args:
        result: counts.

    Returns:
        A row for each layer. Of elements: ``d_in`` inputs, ``d_err`` outputs with an error, ``d_need`` inputs at
        which it is needed. Of pairs: ``dual`` with an error that is needed, which is what BP computes, beside it
        ``product``, the share of pairs with an error times that of pairs that need it, which is ``dual`` if both were
        independent; ``d_wu`` with an input and an error. NaN for need where the input takes no gradient.
    """
    runs = len(result.sample) * len(result.timestep)
    takes = np.where(result.input_gradient == 1, 1.0, np.nan)
    inputs, outputs, dense = result.inputs * runs, result.outputs * runs, result.dense.sum(1)
    columns = {
        "d_in": result.active_inputs.sum(1) / inputs,
        "d_err": result.active_errors.sum(1) / outputs,
        "d_need": takes * result.needed_inputs.sum(1) / inputs,
        "dual": takes * result.backward.sum(1) / dense,
        "product": takes * (result.backward_error.sum(1) / dense) * (result.backward_need.sum(1) / dense),
        "d_wu": result.weight.sum(1) / dense,
    }
    return pd.DataFrame(columns, index=pd.Index(result.names, name="layer"))[list(DENSITIES)]
