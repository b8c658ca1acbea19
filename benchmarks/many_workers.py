"""A discrete-event simulation of a surface on many workers, with costs that were measured.

    python benchmarks/many_workers.py --point 2769 -o docs/img/many-workers.png

The scheduler serves one request after the other. A worker that lacks the network and the data, or the directions of a
plane, fetches them from one that has them, each of which gives them to one other at a time; then it computes its block.
The paces of workers differ. ``--point`` is what ``--measure`` prints: the seconds of ResNet-19 on 10,000 images.
"""

import argparse
import heapq
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from tetviz.landscape.workers import BLOCK_SECONDS, SCHEDULER_SECONDS, block_size
from tetviz.models import build
from tetviz.training import measure

POINTS, PLANES, IMAGES = 101 * 101, 10, 10_000
WORKERS = (100, 1000, 3000, 10_000, 30_000, 100_000)
SIZES = (1, 2, 3, 5, 10, 20, 50)


@dataclass(frozen=True)
class Costs:
    """Seconds and bytes.

    Attributes:
        point: seconds of a point.
        block: seconds that a block costs its worker besides.
        scheduler: seconds that it costs the scheduler.
        start: bytes of network and data, of ResNet-19 and 10,000 images of 3 x 32 x 32 in float32.
        plane: bytes of the directions of a plane.
        bandwidth: bytes a second from one worker to another.
        spread: standard deviation of the paces of workers, as a share.
    """

    point: float
    block: float = BLOCK_SECONDS
    scheduler: float = SCHEDULER_SECONDS
    start: float = 51e6 + 123e6
    plane: float = 2 * 51e6
    bandwidth: float = 1e9
    spread: float = 0.05


def simulate(costs: Costs, workers: int, size: int, seed: int = 0) -> tuple[float, float]:
    """Seconds until the last block of so many points is there, and the share of the workers' time that is points."""
    draw = random.Random(seed)
    pace = [max(0.5, draw.gauss(1, costs.spread)) for _ in range(workers)]
    blocks = [(plane, min(size, POINTS - first)) for plane in range(PLANES) for first in range(0, POINTS, size)]
    network = [0.0]  # when each that has it is free to give it
    planes = [[0.0] for _ in range(PLANES)]
    holds: list[set[int]] = [set() for _ in range(workers)]
    idle = [(0.0, worker) for worker in range(workers)]
    scheduler = end = busy = 0.0
    for plane, count in blocks:
        asked, worker = heapq.heappop(idle)
        now = scheduler = max(scheduler, asked) + costs.scheduler
        if not holds[worker]:
            now = _fetched(network, now, costs.start / costs.bandwidth)
        if plane not in holds[worker]:
            now = _fetched(planes[plane], now, costs.plane / costs.bandwidth)
            holds[worker].add(plane)
        busy += count * costs.point * pace[worker]
        now += costs.block + count * costs.point * pace[worker]
        end = max(end, now)
        heapq.heappush(idle, (now, worker))
    return end, busy / (workers * end)


def _fetched(sources: list[float], asked: float, seconds: float) -> float:
    end = max(asked, heapq.heappop(sources)) + seconds
    heapq.heappush(sources, end)
    heapq.heappush(sources, end)
    return end


def chosen(costs: Costs, workers: int) -> int:
    """What tetviz chooses."""
    return block_size(PLANES * POINTS, workers, costs.point)


def seconds_of_a_point(images: int = 4) -> float:
    """Seconds of a core for ResNet-19 on 10,000 images at T = 4, from a pass over a few."""
    torch.set_num_threads(1)
    model = build("resnet19", num_classes=10, in_channels=3, image_size=32).eval()
    batch = [(torch.randn(images, 3, 32, 32), torch.zeros(images, dtype=torch.int64))]
    begin = time.process_time()  # of a core that others use too
    measure(model, batch, 4)
    return (time.process_time() - begin) / images * IMAGES


def table(costs: Costs) -> None:
    """What a surface costs on more and more workers."""
    print(
        "| workers | points a block | time | worker hours | of them in points |\n| ---: | ---: | ---: | ---: | ---: |"
    )
    for workers in WORKERS:
        size = chosen(costs, workers)
        seconds, share = simulate(costs, workers, size)
        print(f"| {workers:,} | {size} | {seconds / 3600:,.2f} h | {workers * seconds / 3600:,.0f} | {share:.0%} |")


def draw(point: float, path: Path) -> None:
    """How far it scales, by the seconds of a point; and how the block size decides that on 10,000 workers."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for seconds in (point, 10.0, 1.0, 0.1):
        costs = replace(Costs(seconds))
        label = f"{seconds:g} s a point"
        left.plot(WORKERS, [100 * simulate(costs, each, chosen(costs, each))[1] for each in WORKERS], ".-", label=label)
        (line,) = right.plot(SIZES, [100 * simulate(costs, 10_000, each)[1] for each in SIZES], ".-", label=label)
        size = chosen(costs, 10_000)
        right.plot(size, 100 * simulate(costs, 10_000, size)[1], "o", ms=10, mfc="none", color=line.get_color())
    left.set(xscale="log", xlabel="workers", ylabel="worker time in points (%)", ylim=(0, 102), title="the size chosen")
    right.set(xscale="log", xlabel="points a block", ylim=(0, 102), title="10,000 workers; ring: the size chosen")
    left.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--point", type=float, default=2769.0)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    if given.measure:
        print(f"{seconds_of_a_point():.0f} s")
    else:
        table(Costs(given.point))
        if given.output:
            draw(given.point, given.output)
