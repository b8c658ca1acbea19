"""Blocks of a network and their Jacobians, by random vectors drawn back through the surrogate derivatives."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from tetviz.analysis.signals import WEIGHTED, Signals
from tetviz.errors import ModelError
from tetviz.models.blocks import BasicBlock, MSBlock, SEWBlock
from tetviz.models.foreign.isolation import differentiating
from tetviz.results.schema import FloatArray

RESIDUAL = (BasicBlock, SEWBlock, MSBlock)

# Of modules that repeat, how many types an error lists.
_LISTED = 4


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
        """The tensors that it takes and gives."""
        into = signals.left[self.start] if self.start else signals.entered.get(self.name, [])
        out = signals.left.get(self.name, [])
        if not into or len(into) != len(out):
            raise ModelError(
                f"block {self.name}: was not called with a tensor that it turns into one; name other blocks with "
                f"--blocks; {candidates(signals.model)}"
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
        pattern: a regular expression that their whole names match; None for the residual blocks of tetviz.
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
        raise ModelError(f"blocks {pattern!r}: match no module's whole name; {candidates(model)}")
    for outer, inner in pairwise(names):
        if inner.startswith(f"{outer}."):
            raise ModelError(f"blocks {pattern!r}: match {outer} and {inner} inside it; match one of them")
    return [Block(name, type(modules[name]).__name__) for name in names]


def candidates(model: nn.Module) -> str:
    r"""What the blocks of a network may be, for who has to name them: modules of one type that repeat."""
    modules = {name: module for name, module in model.named_modules() if name}
    layers = [name for name, module in modules.items() if isinstance(module, WEIGHTED)]
    held = {name: sum(layer.startswith(f"{name}.") for layer in layers) for name in modules}
    for names in ([name for name in modules if held[name]], layers, [*modules]):
        places: dict[str, list[str]] = {}
        for name in names:
            places.setdefault(type(modules[name]).__name__, []).append(name)
        # A list of modules cannot be called; a Sequential may be anything, so it comes last.
        repeated = [kind for kind in places if len(places[kind]) > 1 and kind not in ("ModuleList", "ModuleDict")]
        repeated.sort(key=lambda kind: (kind == "Sequential", -max(held[name] for name in places[kind])))
        if repeated:
            listed = [f"{kind} {len(places[kind])} times, {_pattern(places[kind])}" for kind in repeated[:_LISTED]]
            return f"what repeats: {'; '.join(listed)}"
    return f"nothing in it repeats, the names are {', '.join([*modules][:8]) or 'none'}{', ...' * (len(modules) > 8)}"


def _pattern(names: Sequence[str]) -> str:
    # One part for each way in which names differ by more than their numbers.
    return "|".join(dict.fromkeys(re.sub(r"\d+", r"\\d+", re.escape(name)) for name in names))


def chain(signals: Signals, loss: Tensor) -> list[Block]:
    """What lies between one layer of neurons and the next."""
    neurons, order = signals.neurons(), signals.order
    if len(neurons) < 2:
        found = f"only {neurons[0]}" if neurons else "none"
        raise ModelError(
            f"no blocks: between two layers of neurons would be one, there is {found}; name modules with --blocks; "
            f"{candidates(signals.model)}"
        )
    for a, b in pairwise(neurons):
        if _bypassed(loss, signals.left[a], signals.left[b]):
            raise ModelError(
                f"the gradient at {a} does not all come through {b}, so the layers of neurons are no chain; name "
                f"blocks through which it does with --blocks; {candidates(signals.model)}"
            )
    places = {name: place for place, name in enumerate(order)}
    return [Block(b, "chain", a, tuple(order[places[a] + 1 : places[b] + 1])) for a, b in pairwise(neurons)]


def _bypassed(loss: Tensor, start: Sequence[Tensor], out: Sequence[Tensor]) -> bool:
    # By the graph, not by the gradient, which is 0 in silent branches and where no neuron is near its threshold.
    closed, sought = {tensor.grad_fn for tensor in out}, {tensor.grad_fn for tensor in start}
    seen, waiting = {None, *closed}, [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            if node in sought:
                return True
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return False


def gradients(of: Sequence[Tensor], by: Sequence[Tensor], seeds: Sequence[Tensor] | None = None) -> list[Tensor]:
    """Vector-Jacobian products; the graph is kept."""
    with differentiating(*of):
        found = torch.autograd.grad(of, by, seeds, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(tensor) if each is None else each for tensor, each in zip(by, found, strict=True)]


def squares(by_step_TB: Tensor) -> Tensor:
    """The squared L2 norm at every step and sample."""
    return (by_step_TB.double() ** 2).flatten(2).sum(2)


def stretch(
    signals: Signals, into: Sequence[Tensor], out: Sequence[Tensor], probes: int, generator: torch.Generator
) -> FloatArray:
    """Hutchinson's estimates of tr(J(t, t') J(t, t')^T) / d for every sample: |v(t)^T J(t, t')|^2 / d, v random signs.

    With statistics of the batch a sample's output depends on the inputs of others; what their vectors give at the
    input of a sample counts for that sample.
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
