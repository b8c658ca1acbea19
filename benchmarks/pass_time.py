"""What an evaluation pass costs against its own convolutions and linear layers.

    python benchmarks/pass_time.py [--threads 1] [--networks snn5:0.25 resnet19:0.5 ...]

The denominator is the convolutions and linear layers of the pass alone, on the same inputs. Times are the least of
interleaved rounds of one process; with one thread CPU time, which other processes disturb less.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tetviz.models import build
from tetviz.training.passes import Passes, compiling, outputs
from tetviz.training.profile import evaluating

TIMESTEPS, BATCH = 4, 64
Call = tuple[nn.Module, Tensor]


def network(name: str, width: float) -> nn.Module:
    """A network with weights and statistics at which its neurons fire."""
    torch.manual_seed(0)
    model = build(name, num_classes=10, in_channels=3, image_size=32, width=width)
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(16, 3, 32, 32), 2)
    return model.eval()


def products(model: nn.Module, x: Tensor) -> list[Call]:
    """The convolutions and linear layers of a pass, with their inputs."""
    calls: list[Call] = []
    hooks = [
        module.register_forward_hook(lambda module, given, _: calls.append((module, given[0].clone())))
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    list(outputs(model, x, TIMESTEPS))
    for hook in hooks:
        hook.remove()
    return calls


def seconds(runs: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float]) -> list[float]:
    """The least time of each call, taken in turns."""
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for times, run in zip(taken, runs, strict=True):
            began = clock()
            run()
            times.append(clock() - began)
    return [min(times) for times in taken]


def main() -> None:
    """Prints a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--networks", nargs="+", default=[f"{n}:{w}" for n in ("snn5", "resnet19") for w in (0.25, 0.5)]
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    print(f"T = {TIMESTEPS}, batch {BATCH}, {arguments.threads} threads, torch {torch.__version__}")
    print("network         as it is / convs    compiled / convs    ms compiled")
    for named in arguments.networks:
        name, _, width = named.partition(":")
        model, x, run = network(name, float(width)), torch.randn(BATCH, 3, 32, 32), Passes()
        with evaluating(model), compiling("on"):
            calls = products(model, x)
            list(run(model, x, TIMESTEPS))
            plain, compiled, alone = seconds(
                [
                    lambda: list(outputs(model, x, TIMESTEPS)),  # noqa: B023
                    lambda: list(run(model, x, TIMESTEPS)),  # noqa: B023
                    lambda: list(itertools.starmap(nn.Module.__call__, calls)),  # noqa: B023
                ],
                arguments.rounds,
                clock,
            )
        print(f"{named:16}{plain / alone:<20.3f}{compiled / alone:<20.3f}{1e3 * compiled:.1f}", flush=True)


if __name__ == "__main__":
    main()
