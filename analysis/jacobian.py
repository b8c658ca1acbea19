"""Blocks of a network and their Jacobians, by random vectors drawn back through the surrogate derivatives."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from tetviz.analysis.signals import Signals
from tetviz.errors import ModelError
from tetviz.models.blocks import BasicBlock, MSBlock, SEWBlock
from tetviz.results.schema import FloatArray

RESIDUAL = (BasicBlock, SEWBlock, MSBlock)


@dataclass(frozen=True)
class Block:
    """A part of a network from one tensor to another.

    Attributes:
        name: of the module whose output it gives.
        kind: type of that module, ``chain`` for what lies between two layers of neurons.
        start: the layer of neurons whose output it takes; empty for a module, which takes its own input.
        parts: modules that a chain goes through, in order of execution.
    """

    name: str
    kind: str
    start: str = ""
    parts: tuple[str, ...] = ()

    def ends(self, signals: Signals) -> tuple[list[Tensor], list[Tensor]]:
        """The tensors that it takes and gives.

        Args:
            signals: of a run.

        Returns:
            Both, one tensor for each call.

        Raises:
            ModelError: it was not called, did not give a tensor, or has no gradient.
        """
        into = signals.left[self.start] if self.start else signals.entered.get(self.name, [])
        out = signals.left.get(self.name, [])
        if not into or len(into) != len(out):
            raise ModelError(
                f"block {self.name}: was not called with a tensor that it turns into one; name other blocks"
            )
        if not all(tensor.requires_grad for tensor in (*into, *out)):
            raise ModelError(
                f"block {self.name}: nothing of it depends on the network's input in a way that has a gradient; its "
                "neurons, or those before it, have no surrogate derivative"
            )
        return into, out


def find_blocks(model: nn.Module, pattern: str | None = None) -> list[Block]:
    """The modules that are blocks.

    Args:
        model: any module.
        pattern: a regular expression that their whole names match; None for the residual blocks of tetviz.

    Returns:
        The blocks; none where there is no residual one, and the layers of neurons have to say.

    Raises:
        ModelError: nothing matches, or a block is inside another.
        ValueError: the pattern is no regular expression.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if pattern is None:
        return [Block(name, type(m).__name__) for name, m in modules.items() if isinstance(m, RESIDUAL)]
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    names = [name for name in modules if expression.fullmatch(name)]
    if not names:
        some = ", ".join(list(modules)[:8]) + (", ..." if len(modules) > 8 else "")
        raise ModelError(f"blocks {pattern!r}: match no module's whole name; the names are {some or 'none'}")
    for outer, inner in pairwise(names):
        if inner.startswith(f"{outer}."):
            raise ModelError(f"blocks {pattern!r}: match {outer} and {inner} inside it; match one of them")
    return [Block(name, type(modules[name]).__name__) for name in names]


def chain(neurons: Sequence[str], order: Sequence[str]) -> list[Block]:
    """What lies between one layer of neurons and the next.

    Args:
        neurons: layers of neurons, in order of execution.
        order: all modules, likewise.

    Returns:
        The blocks, named after the neurons at their end.

    Raises:
        ModelError: there are fewer than two layers of neurons.
    """
    if len(neurons) < 2:
        found = f"only {neurons[0]}" if neurons else "none"
        raise ModelError(
            f"no blocks: between two layers of neurons would be one, there is {found}; name modules with --blocks"
        )
    places = {name: place for place, name in enumerate(order)}
    return [Block(b, "chain", a, tuple(order[places[a] + 1 : places[b] + 1])) for a, b in pairwise(neurons)]


def gradients(of: Sequence[Tensor], by: Sequence[Tensor], seeds: Sequence[Tensor] | None = None) -> list[Tensor]:
    """Vector-Jacobian products; the graph is kept.

    Args:
        of: tensors with a graph.
        by: the tensors to differentiate by.
        seeds: the vectors, shaped like ``of``; not needed for a scalar.

    Returns:
        The products, zero where nothing depends on it.
    """
    found = torch.autograd.grad(of, by, seeds, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(tensor) if each is None else each for tensor, each in zip(by, found, strict=True)]


def squares(by_step_TB: Tensor) -> Tensor:
    """The squared L2 norm at every step and sample.

    Args:
        by_step_TB: T x B x any further axes.

    Returns:
        T x B, in float64.
    """
    return (by_step_TB.double() ** 2).flatten(2).sum(2)


def stretch(
    signals: Signals, into: Sequence[Tensor], out: Sequence[Tensor], probes: int, generator: torch.Generator
) -> FloatArray:
    """Hutchinson's estimates of tr(J(t, t') J(t, t')^T) / d for every sample: |v(t)^T J(t, t')|^2 / d, v random signs.

    With statistics of the batch a sample's output depends on the inputs of others; what their vectors give at the
    input of a sample counts for that sample.

    Args:
        signals: of the run.
        into: what the block took, whose steps the signals can tell.
        out: what it gave.
        probes: vectors for each sample and step.
        generator: of the random signs.

    Returns:
        (probe, sample, t, t').
    """
    out_TB = signals.by_step(out)
    assert out_TB is not None
    estimates = []
    for _ in range(probes):
        rows = []
        for t in range(len(out_TB)):
            v_TB = torch.zeros_like(out_TB)
            signs = torch.randint(0, 2, out_TB[t].shape, generator=generator, device=generator.device)
            v_TB[t] = 2 * signs - 1
            back_TB = signals.by_step(gradients([out_TB], into, [v_TB]))
            assert back_TB is not None
            rows.append(squares(back_TB).T / out_TB[t, 0].numel())
        estimates.append(torch.stack(rows, 1))
    return torch.stack(estimates).cpu().numpy()
