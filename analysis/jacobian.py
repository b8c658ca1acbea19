"""Blocks of a network and their Jacobians, by random vectors drawn back through the surrogate derivatives."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.analysis.activations import WEIGHTED, Activations
from tetviz.errors import ModelError
from tetviz.models.blocks import BasicBlock, MSBlock, SEWBlock
from tetviz.models.foreign.isolation import differentiating
from tetviz.results.schema import FloatArray

RESIDUAL = (BasicBlock, SEWBlock, MSBlock)

# How many types an error lists of modules that repeat, and how many names where none does.
_LISTED, _NAMED = 4, 8


@dataclass(frozen=True)
class JacobianBlock:
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

    def ends(self, activations: Activations) -> tuple[list[Tensor], list[Tensor]]:
        """The tensors that it takes and gives."""
        into = activations.left[self.start] if self.start else activations.entered.get(self.name, [])
        out = activations.left.get(self.name, [])
        if not into or len(into) != len(out):
            raise ModelError(
                f"block {self.name}: was not called with a tensor that it turns into one; name other blocks with "
                f"--blocks; {candidates(activations.model)}"
            )
        if not all(tensor.requires_grad for tensor in (*into, *out)):
            raise ModelError(
                f"block {self.name}: nothing of it depends on the network's input in a way that has a gradient; its "
                "neurons, or those before it, have no surrogate derivative"
            )
        return into, out


def find_blocks(model: nn.Module, pattern: str | None = None) -> list[JacobianBlock]:
    """The modules that are blocks.

    Args:
        pattern: a regular expression that their whole names match; None for the residual blocks of tetviz.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if pattern is None:
        return [JacobianBlock(name, type(m).__name__) for name, m in modules.items() if isinstance(m, RESIDUAL)]
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
    return [JacobianBlock(name, type(modules[name]).__name__) for name in names]


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
    named = [*modules] if len(modules) <= _NAMED else [*list(modules)[:_NAMED], "..."]
    return f"nothing in it repeats, the names are {', '.join(named) or 'none'}"


def _pattern(names: Sequence[str]) -> str:
    # One part for each way in which names differ by more than their numbers.
    return "|".join(dict.fromkeys(re.sub(r"\d+", r"\\d+", re.escape(name)) for name in names))


def chain(activations: Activations, loss: Tensor) -> list[JacobianBlock]:
    """What lies between one layer of neurons and the next."""
    neurons, order = activations.neurons(), activations.order
    if len(neurons) < 2:
        found = f"only {neurons[0]}" if neurons else "none"
        raise ModelError(
            f"no blocks: between two layers of neurons would be one, there is {found}; name modules with --blocks; "
            f"{candidates(activations.model)}"
        )
    for a, b in pairwise(neurons):
        if _bypassed(loss, activations.left[a], activations.left[b]):
            raise ModelError(
                f"the gradient at {a} does not all come through {b}, so the layers of neurons are no chain; name "
                f"blocks through which it does with --blocks; {candidates(activations.model)}"
            )
    places = {name: place for place, name in enumerate(order)}
    return [JacobianBlock(b, "chain", a, tuple(order[places[a] + 1 : places[b] + 1])) for a, b in pairwise(neurons)]


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
    activations: Activations, into: Sequence[Tensor], out: Sequence[Tensor], probes: int, generator: torch.Generator
) -> FloatArray:
    """Hutchinson's estimates of tr(J(t, t') J(t, t')^T) / d for every sample: |v(t)^T J(t, t')|^2 / d, v random signs.

    With statistics of the batch a sample's output depends on the inputs of others; what their vectors give at the
    input of a sample counts for that sample.
    """
    out_TB = activations.by_step(out)
    estimates = []
    for _ in range(probes):
        rows = []
        for t in range(len(out_TB)):
            v_TB = torch.zeros_like(out_TB)
            signs = torch.randint(0, 2, out_TB[t].shape, generator=generator, device=generator.device)
            v_TB[t] = 2 * signs - 1
            back_TB = activations.by_step(gradients([out_TB], into, [v_TB]))
            rows.append(squares(back_TB).T / out_TB[t, 0].numel())
        estimates.append(torch.stack(rows, 1))
    return torch.stack(estimates).cpu().numpy()


def gradient_squares(
    activations: Activations, blocks: Sequence[JacobianBlock], layers: Sequence[str], loss: Tensor
) -> dict[str, FloatArray]:
    """Squared norms of the gradients of the samples' own losses, summed over samples."""
    ends = [block.ends(activations) for block in blocks]
    groups = [side for pair in ends for side in pair] + [activations.left[name] for name in layers]
    found = iter(gradients([loss], [tensor for group in groups for tensor in group]))
    grouped = [[next(found) for _ in group] for group in groups]
    inputs, outputs = grouped[: 2 * len(ends) : 2], grouped[1 : 2 * len(ends) : 2]
    past = []
    for (into, out), at_input, at_output in zip(ends, inputs, outputs, strict=True):
        through = gradients(out, into, at_output)
        past.append([whole - part for whole, part in zip(at_input, through, strict=True)])
    kinds = {"input_gradient": inputs, "output_gradient": outputs, "bypass": past}
    sums = {name: _sums(activations, each) for name, each in kinds.items()}
    return sums | {"layer_gradient": _sums(activations, grouped[2 * len(ends) :])}


def _sums(activations: Activations, grouped: list[list[Tensor]]) -> FloatArray:
    # The loss is a mean over the batch: times its size, the gradient is that of the sample's own loss.
    sums = [squares(activations.by_step(group)).sum(1) * activations.samples**2 for group in grouped]
    return np.array([each.cpu().numpy() for each in sums]).reshape(len(grouped), activations.timesteps)
