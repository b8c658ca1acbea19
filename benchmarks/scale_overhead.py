"""What `tetviz scale` costs: time against plain steps of the network, and peak memory against a short run.

    python benchmarks/scale_overhead.py [CKPT]

A CKPT is measured on its own test split; without one, an untrained SNN-5 on the digits. Timings are the
least CPU time of interleaved rounds of one process; every peak is the resident memory of a process of its own.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tetviz.analysis import compute_scaling
from tetviz.models import build, streaming
from tetviz.training import Checkpoint, DataSpec, LabelledDataset, evaluating, load_data, to_batches

ROUNDS = 5
LONG, SHORT = 64, 8
BATCH = 256


def open_subject(path: Path | None) -> tuple[nn.Module, LabelledDataset]:
    """The network and the data to measure it on."""
    if path is not None:
        checkpoint = Checkpoint.load(path)
        return checkpoint.model(), load_data(DataSpec(**checkpoint.data), frames=LONG, split="test")
    torch.manual_seed(0)
    data = load_data("digits", split="test")
    network = build("snn5", num_classes=10, in_channels=1, image_size=data.image_size, width=0.25)
    network.timesteps = 4
    return network, data


def plain_steps(model: nn.Module, data: LabelledDataset) -> None:
    """64 steps of every batch, nothing measured."""
    with evaluating(model):
        for x, _ in to_batches(data, BATCH):
            with streaming(model):
                for t in range(LONG):
                    model(x[t : t + 1] if x.dim() == 5 else x, 1)


def seconds(run: Callable[[], object]) -> float:
    """CPU time of a call."""
    begin = time.process_time()
    run()
    return time.process_time() - begin


def peak(path: Path | None, tmax: int) -> float:
    """Peak resident memory in MiB of a process that measures up to tmax."""
    command = [sys.executable, __file__, "--peak", str(tmax), *([str(path)] if path else [])]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Prints both ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", type=Path)
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    model, data = open_subject(arguments.checkpoint)
    if arguments.peak:
        compute_scaling(model, data, arguments.peak, batch_size=BATCH)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    plain, scaling = [], []
    for _ in range(ROUNDS):
        plain.append(seconds(lambda: plain_steps(model, data)))
        scaling.append(seconds(lambda: compute_scaling(model, data, LONG, batch_size=BATCH)))
    ratio = min(scaling) / min(plain)
    print(
        f"{len(data)} samples, T = {LONG}: {min(plain):.2f} s of CPU for plain steps, {min(scaling):.2f} s for scale; "
        f"ratio {ratio:.3f}"
    )
    short, long = (peak(arguments.checkpoint, t) for t in (SHORT, LONG))
    print(f"peak memory: T = {SHORT} {short:.0f} MiB, T = {LONG} {long:.0f} MiB, x {long / short:.3f}")


if __name__ == "__main__":
    main()
