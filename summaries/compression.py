"""What compression saves, and what it costs in accuracy."""

import numpy as np
import pandas as pd

from tetviz.results import Compression
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import samples_of
from tetviz.summaries.scaling import wilson

MECHANISMS = ("dense", "retrained", "admm", "one-shot", "activity")


def compression_table(result: Compression, timestep: int) -> pd.DataFrame:
    """A row for each network, the dense one first.

    Args:
        result: the compression.
        timestep: T of the run.

    Returns:
        Indexed by name: ``accuracy`` with the ends ``low`` and ``high`` of its 95 % Wilson interval over samples;
        ``sparsity``, the share of weights that are 0; ``bits``; ``memory``, (1 - sparsity) bits / 32; ``spikes`` for
        each sample and their ratio ``spikes ratio`` to the dense network; ``operations ratio`` = spikes ratio x (1 -
        sparsity), an estimate; ``synaptic ratio``, counted synaptic operations over those of the dense network;
        ``energy pj`` for each sample; ``front``, 1 where no other network is as accurate for less energy.
    """
    at = int(np.flatnonzero(result.timestep == timestep)[0])
    samples = len(samples_of(result))
    accuracy, energy = result.accuracy[:, at], result.energy[:, at]
    low, high = wilson(accuracy, samples)
    sparsity = result.zeros.sum(1) / max(1, int(result.layer_weights.sum()))
    spikes, operations = result.spikes[:, at], result.mac[:, at] + result.ac[:, at]
    spikes_ratio = _over(spikes, spikes[0])
    columns = {
        "mechanism": result.mechanisms,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "sparsity": sparsity,
        "bits": result.bits,
        "memory": (1 - sparsity) * result.bits / 32,
        "spikes": spikes,
        "spikes ratio": spikes_ratio,
        "operations ratio": spikes_ratio * (1 - sparsity),
        "synaptic ratio": _over(operations, operations[0]),
        "energy pj": energy,
        "front": pareto(energy, accuracy),
    }
    return pd.DataFrame(columns, index=pd.Index(result.names, name="network"))


def pareto(cost: FloatArray, value: FloatArray) -> FloatArray:
    """Which points no other one dominates.

    Args:
        cost: of each point, the less the better.
        value: of each point, the more the better.

    Returns:
        1.0 for a point that none equals in one and beats in the other, or beats in both; else 0.0.
    """
    beaten = [np.any((cost <= c) & (value >= v) & ((cost < c) | (value > v))) for c, v in zip(cost, value, strict=True)]
    return np.where(beaten, 0.0, 1.0)


def _over(values: FloatArray, base: float) -> FloatArray:
    return np.asarray(values / base) if base else np.full(len(values), np.nan)
