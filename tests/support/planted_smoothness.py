"""Smoothness made up for figures and tables."""

from dataclasses import replace
from typing import Any

import numpy as np

from tetviz.results import Provenance, Smoothness


def planted_smoothness(*, label: str = "GC-SNN", threshold: float = 1.0, **changes: Any) -> Smoothness:
    """Three layers that grow smoother by half."""
    result = Smoothness(
        layer=np.arange(4),
        sample=np.arange(50),
        dirichlet=np.array([0.8, 0.4, 0.2, 0.1]),
        cosine=np.array([0.05, 0.3, 0.5, 0.7]),
        rate=np.array([0.01, 0.2, 0.22, 0.25]),
        silent=np.array([0.0, 0.0, 0.01, 0.02]),
        nodes=200,
        timesteps=4,
        accuracy=0.78,
        t_train=4,
        provenance=Provenance(
            label=label, dataset="planetoid", split="test", neurons={"threshold": threshold, "norm": "stfn"}
        ),
    )
    return replace(result, **changes)
