"""A surface of both losses against the procedure of Li et al. 2018 (tomgoldstein/loss-landscape), in our own words.

    python benchmarks/surface_time.py [--network snn5:0.25] [--samples 1024] [--points 8] [--workers 2] [--threads 1]

That procedure draws one loss at a time: at each point it sets the weights, and a DataLoader decodes and normalises the
images anew, while the network runs all steps in whole. tetviz measures both losses, at every number of steps, in one
pass over samples that it holds. Wall time, the least of interleaved rounds; compiling is done before.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from tetviz.benchmarks.pass_time import BATCH, TIMESTEPS, network
from tetviz.landscape import Evaluator, random_plane
from tetviz.landscape.directions import displaced
from tetviz.training import sdt_loss, tet_loss
from tetviz.training.passes import compiling


class Photographs(Dataset[tuple[Tensor, int]]):
    """Images in memory as files decode to, turned into normalised tensors whenever one is read."""

    def __init__(self, samples: int) -> None:
        pixels = torch.randint(0, 256, (samples, 32, 32, 3), dtype=torch.uint8).numpy()
        self.images = [Image.fromarray(each) for each in pixels]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels_HWC = torch.from_numpy(np.array(self.images[index]))
        return (pixels_HWC.permute(2, 0, 1).float().div(255) - 0.5) / 0.25, index % 10


Loss = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def one_loss_at_a_point(model: nn.Module, weights: dict[str, Tensor], loader: DataLoader[object], loss: Loss) -> float:
    """The loss over all samples at other weights."""
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
    total, seen = 0.0, 0
    for x, labels in loader:
        logits_TBK = model(x, TIMESTEPS)
        total, seen = total + float(loss(logits_TBK, labels)) * len(labels), seen + len(labels)
    return total / seen


def main() -> None:
    """Prints the ratio, and how far the losses are apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="snn5:0.25")
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="of the DataLoader")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name, _, width = arguments.network.partition(":")
    model, data = network(name, float(width)), Photographs(arguments.samples)
    loader: DataLoader[object] = DataLoader(data, BATCH, num_workers=arguments.workers)
    evaluator = Evaluator(model, data, TIMESTEPS, batch_size=BATCH)
    plane = random_plane(model, seed=0)
    steps = [2 * index / max(1, arguments.points - 1) - 1 for index in range(arguments.points)]
    origin = evaluator.origin

    def ours() -> list[float]:
        profiles = [evaluator.measure_along((a, plane.x), (-a, plane.y)) for a in steps]
        return [float(each[-1]) for p in profiles for each in (p.sdt_loss, p.tet_loss)]

    def theirs() -> list[float]:
        found = []
        for a in steps:
            weights = displaced(origin, (a, plane.x), (-a, plane.y))
            weights = {name: weights.get(name, tensor) for name, tensor in origin.items()}
            found += [one_loss_at_a_point(model, weights, loader, loss) for loss in (sdt_loss, tet_loss)]
        return found

    taken: dict[Callable[[], list[float]], list[float]] = {ours: [], theirs: []}
    with compiling("on", print):
        apart = max(abs(a - b) for a, b in zip(ours(), theirs(), strict=True))
        for _ in range(arguments.rounds):
            for run, times in taken.items():
                began = time.perf_counter()
                run()
                times.append(time.perf_counter() - began)
    ratio = min(taken[theirs]) / min(taken[ours])
    print(
        f"{arguments.network}, {arguments.samples} samples, {arguments.points} points, {arguments.threads} threads, "
        f"{arguments.workers} loader workers: {min(taken[theirs]):.2f} s against {min(taken[ours]):.2f} s, ratio "
        f"{ratio:.2f}; losses apart by {apart:.1e}"
    )


if __name__ == "__main__":
    main()
