"""Compressions made up for figures and tables."""

from typing import Any

import numpy as np

from tetviz.results import Compression, Provenance

NAMES = ("dense", "retrained", "s0.9", "s0.9-oneshot", "b3", "a0.1")


def planted_compression(*, label: str = "tet", tmax: int = 4, **attributes: Any) -> Compression:
    """A tenth of the weights left, an eighth of the bits, or half the spikes; each costs a point or two."""
    networks, layers = len(NAMES), 3
    cost = np.array([1.0, 1.0, 0.2, 0.25, 0.9, 0.5])
    accuracy = np.array([0.93, 0.94, 0.92, 0.9, 0.925, 0.935])
    steps = np.arange(1, tmax + 1)
    weights = np.array([100, 1000, 200])
    zeros = np.zeros((networks, layers), int)
    zeros[2:4] = [90, 900, 180]
    distance = np.full((networks, 6), np.nan)
    distance[[2, 4]] = 0.6 * 0.5 ** np.arange(6)
    bins = np.linspace(-4, 4, 41)
    histogram = np.exp(-(bins**2) / 2) / np.exp(-(bins**2) / 2).sum() * np.ones((networks, 1))
    arrays: dict[str, Any] = {
        "variant": np.arange(networks),
        "timestep": steps,
        "layer": np.arange(layers),
        "level": np.array([0.5, 0.9]),
        "epoch": np.arange(1, 7),
        "bin": bins,
        "sample": np.arange(1000),
        "accuracy": accuracy[:, None] - 0.1 / steps,
        "sdt_loss": (1 - accuracy)[:, None] + 0.5 / steps,
        "spikes": np.array([1.0, 1.0, 0.9, 0.9, 1.0, 0.5])[:, None] * 1e4 * steps,
        "mac": 1e4 * cost[:, None] * steps,
        "ac": 1e5 * cost[:, None] * steps,
        "energy": 1.36e5 * cost[:, None] * steps,
        "layer_weights": weights,
        "zeros": zeros,
        "asked_sparsity": np.array([0, 0, 0.9, 0.9, 0, 0]),
        "bits": np.array([32, 32, 32, 32, 3, 32.0]),
        "activity": np.array([0, 0, 0, 0, 0, 0.1]),
        "distance": distance,
        "sensitivity": np.array([[0.9, 0.3], [0.92, 0.8], [0.91, 0.6]]),
        "histogram": histogram,
    }
    settings: dict[str, Any] = {
        "names": NAMES,
        "paths": tuple([f"tet.compressed/{name}.pt" for name in NAMES]),
        "mechanisms": ("dense", "retrained", "admm", "one-shot", "admm", "activity"),
        "layers": ("conv1", "conv2", "fc"),
        "other_parameters": 40,
        "t_train": tmax,
        "provenance": Provenance(label=label, dataset="mnist", split="test"),
    }
    return Compression(**{**arrays, **settings, **attributes})
