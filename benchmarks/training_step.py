"""What a training step takes and keeps, against the same network of SpikingJelly neurons.

    python benchmarks/training_step.py [--threads 1] [--rounds 9] [--networks snn5:0.25 snn5:0.5]

SpikingJelly 2.0 has to be installed. Its network has the convolutions, normalisations and readout of ours, and its
own neurons over all steps (step_mode "m"), of the same leak, reset and surrogate. Forward pass, loss and backward
pass; times are the least of interleaved rounds of one process, with one thread CPU time, which other processes disturb
less. What is kept is what autograd holds when the backward pass begins, each storage once.
"""

import argparse
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.models import build
from tetviz.models.layers import OverTime, over_time
from tetviz.models.neuron import LIF
from tetviz.training.passes import compiling
from tetviz.training.steps import LeanSteps, spikes_as_bytes

TIMESTEPS, BATCH = 4, 64
saving = torch.autograd.graph.saved_tensors_hooks


class Peer(nn.Module):
    """An SNN-5 or VGGSNN whose neurons are SpikingJelly's."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for layer in model.features:
            if isinstance(layer, LIF):
                # A leak of 1/2, and the triangle of width 1.
                triangle = surrogate.PiecewiseQuadratic(alpha=1.0)
                layers.append(neuron.LIFNode(2.0, decay_input=False, surrogate_function=triangle, step_mode="m"))
            elif isinstance(layer, nn.AvgPool2d):
                layers.append(OverTime(layer))
            else:
                layers.append(OverTime(nn.Sequential(layer.conv, layer.norm)))
        self.features, self.classifier = nn.Sequential(*layers), model.classifier

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        """The outputs of every step."""
        functional.reset_net(self)
        spikes = self.features(x.expand(timesteps, *x.shape))
        return over_time(self.classifier, spikes.flatten(2))


class Kept:
    """The bytes that are held when a backward pass begins."""

    def __init__(self, hooks: saving | None = None) -> None:
        self.total, packs = 0, list[Any]()
        pack, unpack = (hooks.pack_hook, hooks.unpack_hook) if hooks else (lambda tensor: tensor, lambda kept: kept)

        def counted(tensor: Tensor) -> Any:
            kept = pack(tensor)
            packs.append(weakref.ref(kept[0] if isinstance(kept, tuple) else kept))
            return kept

        def given_back(kept: Any) -> Tensor:
            if packs:  # some may have been given up in the forward pass, and others be where they were
                held = [tensor.untyped_storage() for tensor in (each() for each in packs) if tensor is not None]
                self.total = sum({storage.data_ptr(): storage.nbytes() for storage in held}.values())
                packs.clear()
            return unpack(kept)

        self.hooks = saving(counted, given_back)


def main() -> None:
    """Prints a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--networks", nargs="+", default=["snn5:0.25", "snn5:0.5"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    print(f"T = {TIMESTEPS}, batch {BATCH}, {arguments.threads} threads, torch {torch.__version__}")
    print("network      seconds: SpikingJelly  as it is  compiled   ratios          MB kept: SpikingJelly  ours  ratio")
    for named in arguments.networks:
        name, _, width = named.partition(":")
        torch.manual_seed(0)
        model = build(name, num_classes=10, in_channels=3, image_size=32, width=float(width)).train()
        peer = Peer(model).train()
        x, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(0, 10, (BATCH,))
        as_it_is, compiled = LeanSteps(), LeanSteps()

        def backward(network: nn.Module, hooks: AbstractContextManager[None]) -> None:
            network.zero_grad()
            with hooks:
                logits = network(x, TIMESTEPS)  # noqa: B023
            F.cross_entropy(logits.mean(0), labels).backward()  # type: ignore[no-untyped-call]  # noqa: B023

        def lean(when: str, own: LeanSteps, hooks: AbstractContextManager[None]) -> None:
            with compiling(when), own.step(model, TIMESTEPS):  # noqa: B023
                backward(model, hooks)  # noqa: B023

        runs: list[Callable[[], None]] = [
            lambda: backward(peer, nullcontext()),  # noqa: B023
            lambda: lean("off", as_it_is, spikes_as_bytes()),  # noqa: B023
            lambda: lean("on", compiled, spikes_as_bytes()),  # noqa: B023
        ]
        theirs, ours = Kept(), Kept(spikes_as_bytes())
        backward(peer, theirs.hooks)
        lean("off", as_it_is, ours.hooks)
        taken: list[list[float]] = [[] for _ in runs]
        for each in runs:
            each()
        for _ in range(arguments.rounds):
            for times, each in zip(taken, runs, strict=True):
                began = clock()
                each()
                times.append(clock() - began)
        peers, plain, fast = map(min, taken)
        kept = [each.total / 1e6 for each in (theirs, ours)]
        print(
            f"{named:13}{peers:21.3f}{plain:10.3f}{fast:10.3f}   {plain / peers:.3f}, {fast / peers:.3f}"
            f"{kept[0]:29.1f}{kept[1]:6.1f}{kept[1] / kept[0]:7.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
