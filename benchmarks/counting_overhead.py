"""Time of a pass that counts operations over the time of the plain pass, as a ratio in one run."""

import statistics
import time
from collections.abc import Callable

import torch

from tetviz.analysis.counting.operations import CountedRuns
from tetviz.models import build
from tetviz.training.passes import outputs
from tetviz.training.profile import evaluating

NETWORKS = {"snn5": (128, 3, 32), "vggsnn": (32, 2, 48), "resnet19": (16, 3, 32)}
TIMESTEPS, ROUNDS = 4, 3


def seconds(run: Callable[[], object]) -> float:
    """Times one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Prints one line for each network."""
    for name, (batch, channels, side) in NETWORKS.items():
        torch.manual_seed(0)
        model = build(name, in_channels=channels, image_size=side).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.data.fill_(0.5)  # else an untrained network is silent
        x = torch.rand(batch, channels, side, side)
        counted = CountedRuns(model, TIMESTEPS)
        with evaluating(model):
            runs: dict[str, Callable[[], object]] = {
                "plain": lambda: list(outputs(model, x, TIMESTEPS)),  # noqa: B023
                "counted": lambda: list(counted.run(model, x, TIMESTEPS)),  # noqa: B023
            }
            for run in runs.values():
                run()
            times = [{kind: seconds(run) for kind, run in runs.items()} for _ in range(ROUNDS)]
        ratios = [each["counted"] / each["plain"] for each in times]
        plain = statistics.median(each["plain"] for each in times)
        print(f"{name:9} plain {plain:6.2f} s of CPU, counted / plain {', '.join(f'{ratio:.3f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
