"""What one run shows over the depth of a network: gradients, firing rates, potentials, and what they predict."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor, nn

from tetviz.analysis.isometry_theory import Measured, block_form, path_form
from tetviz.analysis.jacobian import Block, gradients, squares
from tetviz.analysis.signals import Signals
from tetviz.errors import ModelError
from tetviz.models import LIF
from tetviz.models.layers import OverTime
from tetviz.results.schema import FloatArray

STEPS_EXPECTED = (
    "expected a call for each step, or one call with all steps, time first (samples first in a network that is "
    "batch-major)"
)


def gradient_squares(
    signals: Signals, blocks: Sequence[Block], layers: Sequence[str], loss: Tensor
) -> dict[str, FloatArray]:
    """Squared norms of the gradients of the samples' own losses, summed over samples."""
    ends = [block.ends(signals) for block in blocks]
    groups = [side for pair in ends for side in pair] + [signals.left[name] for name in layers]
    found = iter(gradients([loss], [tensor for group in groups for tensor in group]))
    grouped = [[next(found) for _ in group] for group in groups]
    inputs, outputs = grouped[: 2 * len(ends) : 2], grouped[1 : 2 * len(ends) : 2]
    past = []
    for (into, out), at_input, at_output in zip(ends, inputs, outputs, strict=True):
        through = gradients(out, into, at_output)
        past.append([whole - part for whole, part in zip(at_input, through, strict=True)])
    kinds = {"input_gradient": inputs, "output_gradient": outputs, "bypass": past}
    sums = {name: _sums(signals, each) for name, each in kinds.items()}
    return sums | {"layer_gradient": _sums(signals, grouped[2 * len(ends) :])}


def _sums(signals: Signals, grouped: list[list[Tensor]]) -> FloatArray:
    # The loss is a mean over the batch: times its size, the gradient is that of the sample's own loss.
    sums = [squares(_by_step(signals, group)).sum(1) * signals.samples**2 for group in grouped]
    return np.array([each.cpu().numpy() for each in sums]).reshape(len(grouped), signals.timesteps)


def neuron_means(signals: Signals, neurons: Sequence[str]) -> dict[str, FloatArray]:
    """What layers of neurons do, on average over neurons and samples.

    Returns:
        By layer and step: ``rate``; ``potential_mean``, ``potential_square`` and ``mass`` (of the squared surrogate
        derivative), NaN for neurons that are not :class:`tetviz.models.LIF`.
    """
    rows = []
    for name in neurons:
        module = signals.model.get_submodule(name)
        row = [_mean(_by_step(signals, signals.left[name]).detach()), *[np.full(signals.timesteps, np.nan)] * 3]
        if isinstance(module, LIF):
            run = module.trace(_by_step(signals, signals.entered[name]))
            u_TB, slopes_TB = run.potentials.double(), run.slopes.double()
            row[1:] = [_mean(u_TB), _mean(u_TB**2), _mean(slopes_TB**2)]
        rows.append(row)
    columns = np.array(rows).reshape(-1, 4, signals.timesteps).swapaxes(0, 1)
    return dict(zip(("rate", "potential_mean", "potential_square", "mass"), columns, strict=True))


def closed_forms(signals: Signals, blocks: Sequence[Block], mass: Mapping[str, FloatArray]) -> FloatArray:
    """Phi of every block that potentials and weights predict.

    Returns:
        By block and step, NaN where there is no closed form.
    """
    modules = {name: signals.model.get_submodule(name) for name in signals.order}
    names = {module: name for name, module in modules.items()}
    unknown = np.full(signals.timesteps, np.nan)

    def square(module: nn.Module) -> FloatArray:
        last = [part for part in module.modules() if not any(part.children())][-1]
        return _mean(_by_step(signals, signals.left[names[last]]).detach() ** 2)

    run = Measured(
        mass=lambda neuron: mass.get(names[neuron], unknown),
        square=square,
        entered=lambda module: signals.entered[names[module]][0],
    )

    def form(block: Block) -> FloatArray:
        if block.kind != "chain":
            return block_form(modules[block.name], run)
        parts = [name for name in block.parts if not isinstance(modules[name], nn.Sequential | OverTime)]
        whole = isinstance(modules[block.name], LIF) and all(
            signals.left[before][0].numel() == signals.entered[after][0].numel()
            for before, after in pairwise([block.start, *parts])
        )
        return path_form([modules[name] for name in parts], run) if whole else unknown

    return np.stack([np.broadcast_to(form(block), signals.timesteps) for block in blocks])


def _by_step(signals: Signals, tensors: Sequence[Tensor]) -> Tensor:
    found = signals.by_step(tensors)
    if found is None:
        raise ModelError(f"a module is called otherwise in one batch than in another; {STEPS_EXPECTED}")
    return found


def _mean(x_TB: Tensor) -> FloatArray:
    return x_TB.double().flatten(1).mean(1).cpu().numpy()
