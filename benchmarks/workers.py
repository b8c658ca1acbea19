"""Two workers of one thread against one process of two threads, in one run.

    python benchmarks/workers.py

Each ratio is of two runs next to each other, alternating, so that a machine that others use slows both.
"""

import statistics
import time
from functools import partial
from typing import Any

import torch
from torch.utils.data import TensorDataset

from tetviz.landscape import Evaluator, RandomPlanes, Store, grid_coordinates, surface_on
from tetviz.landscape.workers import block_size, local_workers
from tetviz.models import build

GRID, REPEATS = 7, 5


def evaluator() -> Evaluator:
    """SNN-5 at a quarter of its width, on 64 images of 32 x 32."""
    torch.manual_seed(0)
    model: Any = build("snn5", num_classes=10, in_channels=3, image_size=32, width=0.25)
    model.timesteps = 4
    return Evaluator(model, TensorDataset(torch.randn(64, 3, 32, 32), torch.arange(64) % 10), 4, batch_size=64)


def seconds_of(pool: Any, network: Evaluator) -> float:
    """How long a surface takes."""
    x, begin = grid_coordinates(GRID), time.perf_counter()
    surface_on(network, RandomPlanes(network.model, 0, 1), x, x, "sdt", Store(**({"pool": pool} if pool else {})))
    return time.perf_counter() - begin


def compare() -> None:
    """Two workers of one thread against one process of two."""
    network = evaluator()
    torch.set_num_threads(1)
    point = seconds_of(None, network) / GRID**2
    ratios = []
    with local_workers(2) as workers:
        pool = partial(workers.measure, points=GRID**2, seconds=point)
        seconds_of(pool, network)  # imports, and the first network
        for _ in range(REPEATS):
            torch.set_num_threads(2)
            threads = seconds_of(None, network)
            torch.set_num_threads(1)
            spread = seconds_of(pool, network)
            ratios.append(threads / spread)
            print(f"two threads {threads:.2f} s, two workers {spread:.2f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"{point * 1e3:.1f} ms a point, blocks of {block_size(GRID**2, 2, point)}")
    middle, lowest, highest = statistics.median(ratios), min(ratios), max(ratios)
    print(f"speed of two workers / of two threads: median {middle:.2f}, {lowest:.2f} to {highest:.2f}")


if __name__ == "__main__":
    compare()
