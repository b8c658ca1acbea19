"""What a network of someone else's must keep to, tested by running it."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tetviz.errors import ModelError
from tetviz.models.foreign.convention import Calling
from tetviz.models.foreign.draws import NOT_TORCHS, QUANTILES, Stilled, stilled
from tetviz.models.foreign.isolation import Isolation, drawn_from, generators_kept
from tetviz.models.foreign.network import ForeignNetwork, NetworkError, full
from tetviz.models.foreign.state import changed, close, reset, state_of, tensors_in
from tetviz.models.layers import SAMPLE_AXES, eval_mode

SAMPLES = 8
ROUNDING = 1e-5  # relative to the largest output; sums of another length round differently


class RandomNumbersError(ModelError):
    """A network draws random numbers, which is not stated."""


def adapt(network: nn.Module, x: Tensor, timesteps: int, **calling: Any) -> ForeignNetwork:
    """Makes a network of someone else's one that gives logits_TBK, and checks that it does.

    Args:
        network: any module. It is not copied, and left as it was.
        x: a real batch of at least 5 samples, x_BCHW, or x_TBCHW; of vectors x_BF, or x_TBF. Sequences may be stacked
            samples, B before T, where T tells.
        timesteps: T that the network was trained with.
        **calling: fields of :class:`tetviz.models.Calling`; ``takes`` and ``gives`` have to be stated, ``sample_axes``
            is 1 for x_BF and x_TBF, else 3.

    Returns:
        The network, to be called as ``model(x, timesteps)``, in the mode that it was in.

    Raises:
        ValueError: takes or gives is missing, or values that exclude each other.
    """
    if not {"takes", "gives"} <= calling.keys():
        raise ValueError("state how the network is called: takes=... and gives=..., see tetviz.models.Calling")
    if x.dim() in (3, 5) and x.shape[1] == timesteps != len(x):
        x = x.transpose(0, 1)
    calling = {"sample_axes": 1 if x.dim() in (2, 3) else SAMPLE_AXES} | calling
    model = ForeignNetwork(network, Calling(**calling), timesteps)
    check_contract(model, x, timesteps)
    return model


def check_contract(model: ForeignNetwork, x: Tensor, timesteps: int) -> int:
    """Tests what all measurements rest on, in eval mode, on a few samples.

    The outputs are finite and T x B x K, for two B and, unless the network is fixed to one T, for two T that all
    differ. The same batch gives the same outputs twice; random numbers are drawn if that is stated, and only then. A
    run leaves the input and the parameters alone, and so does a reset. No sample has an influence on another, which
    also tells a swapped time axis. What is called step by step carries a state. The mean of O(t) is the untouched
    network's own output, where it averages.

    Args:
        model: the network, with the convention to test; it is left as it was.
        x: a real batch, x_BCHW, or x_TBCHW.
        timesteps: T.

    Returns:
        The number of classes K.

    Raises:
        ModelError: the first that fails, with its cure.
        ValueError: there are fewer than 5 samples, or a sequence is too short.
    """
    x = full(x)
    sequence = x.dim() == 5
    samples = x.shape[1] if sequence else len(x)
    other = timesteps + 1 if not sequence or len(x) > timesteps else max(1, timesteps - 1)
    sizes = [size for size in range(min(samples, SAMPLES), 1, -1) if size not in (timesteps, other)][:2]
    if samples < 5 or len(sizes) < 2:
        raise ValueError(f"the contract is tested on at least 5 samples, got {samples}")
    first, second = (x[:, :size] if sequence else x[:size] for size in sizes)
    with torch.no_grad(), generators_kept(x.device), eval_mode(model):
        outputs = _spares_all_else(model, first, timesteps)
        _finite(outputs)
        _repeatable(model, first, timesteps, outputs)
        if model.calling.draws:
            _draws_numbers(model, first, timesteps)
        again = model(second, timesteps) if model.calling.fixed else _at_other_length(model, second, timesteps, other)
        if again.shape[2] != outputs.shape[2]:
            raise ModelError(
                f"the number of outputs changes from {outputs.shape[2]} for T = {timesteps} and {sizes[0]} samples to "
                f"{again.shape[2]} for T = {len(again)} and {sizes[1]}: the last axis must be the classes"
            )
        _samples_apart(model, first, timesteps, outputs)
        if model.calling.takes == "step" and model.calling.state == "modules":
            _carries_state(model, second[0] if sequence else second, max(timesteps, other))
        if model.calling.reduced:
            _same_mean(model, first, timesteps, outputs)
        if model.calling.recover == "prefix":
            _told_apart(model.calling, max(outputs, again, key=len))
    return outputs.shape[2]


def _spares_all_else(model: ForeignNetwork, x: Tensor, timesteps: int) -> Tensor:
    # The outputs of the first run.
    parameters = {name: parameter.detach().clone() for name, parameter in model.network.named_parameters()}
    given: list[tuple[Tensor, Tensor]] = []

    def look(_: nn.Module, args: tuple[Any, ...]) -> None:
        given.append((args[0], args[0].clone()))  # a state that is passed is the network's own

    def lost() -> str:
        return ", ".join(changed(parameters, dict(model.network.named_parameters()))[:3])

    with Isolation("resetting the network raised"):
        reset(model.network)
    if names := lost():
        raise ModelError(
            f"a reset method of the network changes {names}; it may reset membranes, no parameters; call one that does "
            "more otherwise"
        )
    handle = model.network.register_forward_pre_hook(look)
    try:
        with generators_kept(x.device):
            outputs: Tensor = model(x, timesteps)
    except NetworkError as error:
        if model.calling.recover == "reduction":
            model.own_output(x, timesteps)  # raises too, if the reason is another
            raise ModelError(f"what follows the mean or sum takes no time axis: {error}; recover prefix") from error
        raise
    finally:
        handle.remove()
    if not all(close(after, before) for after, before in given):
        raise ModelError("the network works in place on its input and changes it; let forward make new tensors")
    if names := lost():
        raise ModelError(
            f"forward changes the parameters {names}, so others are measured than were given; let forward make new "
            "tensors of them (torch.nn.utils.parametrizations does)"
        )
    return outputs


def _finite(outputs: Tensor) -> None:
    bad = ~outputs.isfinite()
    if bool(bad.any()):
        step = int(bad.flatten(1).any(1).nonzero()[0])
        raise ModelError(
            f"the outputs are not finite, first at step {step + 1}: {float(outputs[step][bad[step]][0])}; check the "
            "range of the data and the layer that divides, takes a logarithm, or grows from step to step"
        )


def _repeatable(model: ForeignNetwork, x: Tensor, timesteps: int, outputs: Tensor) -> None:
    before = state_of(model.network)
    with generators_kept(x.device):
        again = model(x, timesteps)
    kept = changed(before, state_of(model.network))
    once_more = model(x, timesteps)  # with the same random numbers as the runs before
    if not (close(outputs, again) and close(outputs, once_more)):
        where = f"in {', '.join(kept[:3])}" if kept else "outside the attributes of its modules"
        raise ModelError(
            f"the same batch gives other outputs the second time: state is kept from run to run, {where}; give the "
            "module that keeps it a method reset() without arguments, which is called before every run"
        )
    if not close(outputs, model(x, timesteps)):  # with other random numbers
        raise RandomNumbersError(
            "the same batch gives other outputs the second time: forward draws random numbers also in eval mode, such "
            "as a Poisson encoder or F.dropout; state over how many draws it is to be measured (--draws N, in Python "
            "draws=N), or let eval() switch it off"
        )


def _draws_numbers(model: ForeignNetwork, x: Tensor, timesteps: int) -> None:
    before = drawn_from(x.device)
    ForeignNetwork(model.network, replace(model.calling, draws=0), model.timesteps)(x, timesteps)
    if drawn_from(x.device) == before:
        raise ModelError(
            f"draws {model.calling.draws} is stated, but forward draws no random numbers in eval mode: it would be the "
            "same run so many times; leave out --draws (in Python draws)"
        )


def _at_other_length(model: ForeignNetwork, x: Tensor, timesteps: int, other: int) -> Tensor:
    try:
        outputs: Tensor = model(x, other)
    except ModelError as error:
        raise ModelError(
            f"it runs for T = {timesteps}, but not for T = {other}: {error}. If T stands in its code, let forward take "
            f"it from its input, or state --timesteps-by fixed: then all is measured that needs T = {timesteps} alone"
        ) from error
    return outputs


def _samples_apart(model: ForeignNetwork, x: Tensor, timesteps: int, outputs: Tensor) -> None:
    # Random numbers may depend on where a sample stands, and on those before it: then they are held still.
    mixed = _mixed(model, x, timesteps, outputs)
    if mixed and model.calling.draws:
        mixed = any(_mixed_when_still(model, x, timesteps, quantile) for quantile in QUANTILES)
    if mixed:
        raise ModelError("the outputs of a sample change with the other samples of the batch: " + _mixing(model))


def _mixed_when_still(model: ForeignNetwork, x: Tensor, timesteps: int, quantile: float) -> bool:
    with Stilled(quantile):
        return _mixed(model, x, timesteps, model(x, timesteps))


def _mixed(model: ForeignNetwork, x: Tensor, timesteps: int, outputs: Tensor) -> bool:
    half = outputs.shape[1] // 2
    for at, other in enumerate(other_values(x)):
        kept = (slice(None), slice(half, None)) if x.dim() == 5 else slice(half, None)
        other[kept] = x[kept]
        try:
            found = model(other, timesteps)
        except NetworkError:
            if at == 0:
                raise
            continue  # it takes nothing that is out of range
        if not close(found[:, half:], outputs[:, half:], ROUNDING):
            return True
    return False


def whole_numbers(x: Tensor) -> bool:
    """Whether an input holds whole numbers alone, which may be tokens."""
    return bool((x == x.round()).all())


def other_values(x: Tensor) -> list[Tensor]:
    """Inputs that differ from one everywhere, as far as they can.

    Whole numbers may be places in a table, and have no meaning outside of it: they stay between those of the data. Of
    others some are far out, since small networks of spikes forget an input soon.
    """
    low, high = x.min(), x.max()
    mirrored = high + low - x
    if whole_numbers(x):
        return [mirrored, torch.full_like(x, float(low)), torch.full_like(x, float(high))]
    return [mirrored, 10 * mirrored, -10 * mirrored]


def _mixing(model: ForeignNetwork) -> str:
    norms = [
        name
        for name, module in model.network.named_modules()
        if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None)
    ]
    if norms:
        return f"{', '.join(norms[:3])} normalises by statistics of the batch in eval mode too; eval() must end that"
    return (
        "the axes of time and samples are swapped (state the other of time-major and batch-major), or a layer "
        "normalises by statistics of the batch, or else mixes its samples"
    ) + (f"; {NOT_TORCHS}" if model.calling.draws else "")


def _carries_state(model: ForeignNetwork, x: Tensor, timesteps: int) -> None:
    results: list[Any] = []
    handle = model.network.register_forward_hook(lambda module, args, result: results.append(result))
    try:
        with stilled(model):
            model(x, timesteps)
    finally:
        handle.remove()
    first, *rest = (tensors_in(result) for result in results)
    idle = all(close(part, part[:1].expand_as(part)) for part in first if part.dim())  # all samples alike: silent
    if len(first) > 1 and not idle and all(len(each) == len(first) and all(map(close, each, first)) for each in rest):
        raise ModelError(
            "the same image gives the same result at every step, and that is more than one tensor: the network hands "
            "its state back and expects it again (state passed), or one call is a whole run"
        )


def _same_mean(model: ForeignNetwork, x: Tensor, timesteps: int, outputs: Tensor) -> None:
    own = model.own_output(x, timesteps)
    recovered = outputs.mean(0) if model.calling.gives == "mean" else outputs.sum(0)
    if not close(recovered, own, ROUNDING):
        raise ModelError(
            f"the {model.calling.gives} of the recovered O(t) differs from the network's own output by up to "
            f"{float((recovered - own).abs().max()):.2g}: what follows the reduction is not linear, or the network "
            "gives no mean or sum over time; have it give its output at every step"
        )


def _told_apart(calling: Calling, outputs: Tensor) -> None:
    later = outputs[1:] - outputs[:1] if calling.gives == "mean" else outputs[1:]
    if len(later) and not bool(later.any()):
        raise ModelError(
            "runs of 1 to T steps all give the same output: no neuron fires, or T does not reach the network; state "
            "with timesteps_by how it is told T"
        )
