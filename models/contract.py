"""What a network of someone else's must keep to, tested by running it; how to call one, proposed by trying."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.errors import ForeignCode, ModelError
from tetviz.models.calling import Calling
from tetviz.models.foreign import ForeignNetwork
from tetviz.models.resting import reset, state_of

SAMPLES = 8
ROUNDING = 1e-5  # relative to the largest output


def adapt(network: nn.Module, x: Tensor, timesteps: int, **calling: Any) -> ForeignNetwork:
    """Makes a network of someone else's one that gives logits_TBK, and checks that it does.

    Args:
        network: any module. It is not copied, and left as it was.
        x: a real batch of at least 5 samples, x_BCHW, or x_TBCHW.
        timesteps: T that the network was trained with.
        **calling: fields of :class:`tetviz.models.Calling`; ``takes`` and ``gives`` have to be stated.

    Returns:
        The network, to be called as ``model(x, timesteps)``, in the mode that it was in.

    Raises:
        ValueError: takes or gives is missing, or values that exclude each other.
    """
    if not {"takes", "gives"} <= calling.keys():
        raise ValueError("state how the network is called: takes=... and gives=..., see tetviz.models.Calling")
    model = ForeignNetwork(network, Calling(**calling), timesteps)
    check_contract(model, x, timesteps)
    return model


def check_contract(model: ForeignNetwork, x: Tensor, timesteps: int) -> int:
    """Tests what all measurements rest on, in eval mode, on a few samples.

    The outputs are T x B x K for two T and two B that all differ. The same batch gives the same outputs twice. The
    network leaves its input and, when it is reset, its weights alone. No sample has an influence on another, which also
    tells a swapped time axis. The mean of O(t) is the untouched network's own output, where it averages.

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
    sequence = x.dim() == 5
    samples = x.shape[1] if sequence else len(x)
    other = timesteps + 1 if not sequence or len(x) > timesteps else max(1, timesteps - 1)
    sizes = [size for size in range(min(samples, SAMPLES), 1, -1) if size not in (timesteps, other)][:2]
    if samples < 5 or len(sizes) < 2:
        raise ValueError(f"the contract is tested on at least 5 samples, got {samples}")
    first, second = (x[:, :size] if sequence else x[:size] for size in sizes)
    with _examined(model, x.device):
        _reset_spares_weights(model.network)
        _input_untouched(model, first, timesteps)
        outputs = _repeatable(model, first, timesteps)
        again = model(second, other)
        if again.shape[2] != outputs.shape[2]:
            raise ModelError(
                f"the number of outputs changes from {outputs.shape[2]} for T = {timesteps} and {sizes[0]} samples to "
                f"{again.shape[2]} for T = {other} and {sizes[1]}: the last axis must be the classes"
            )
        _samples_apart(model, first, timesteps, outputs)
        if model.calling.reduced:
            _same_mean(model, first, timesteps, outputs)
    return outputs.shape[2]


@contextmanager
def _examined(model: nn.Module, device: torch.device) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            model.eval()
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _reset_spares_weights(network: nn.Module) -> None:
    before = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    with ForeignCode("resetting the network raised"):
        reset(network)
    changed = [name for name, tensor in network.state_dict().items() if not _close(tensor, before.get(name))]
    if changed:
        raise ModelError(
            f"a reset method of the network changes {', '.join(changed[:3])}, which its state_dict holds; it may reset "
            "membranes alone, name one that does more otherwise"
        )


def _input_untouched(model: ForeignNetwork, x: Tensor, timesteps: int) -> None:
    given: list[tuple[Tensor, Tensor]] = []

    def look(_: nn.Module, args: tuple[Any, ...]) -> None:
        given.append((args[0], args[0].clone()))  # a state that is passed is the network's own

    handle = model.network.register_forward_pre_hook(look)
    try:
        model(x, timesteps)
    finally:
        handle.remove()
    if not all(_close(after, before) for after, before in given):
        raise ModelError("the network works in place on its input and changes it; let forward make new tensors")


def _repeatable(model: ForeignNetwork, x: Tensor, timesteps: int) -> Tensor:
    def run() -> Tensor:  # always with the same random numbers
        with torch.random.fork_rng([x.device] if x.device.type == "cuda" else []):
            outputs: Tensor = model(x, timesteps)
            return outputs

    outputs, before = run(), state_of(model.network)
    again, after = run(), state_of(model.network)
    if not (_close(outputs, again) and _close(again, run())):
        kept = [name for name, value in after.items() if not _same(value, before.get(name))]
        where = f", in {', '.join(kept[:3])}" if kept else ""
        raise ModelError(
            f"the same batch gives other outputs the second time: state is kept from run to run{where}; give the "
            "module that keeps it a method reset() without arguments, which is called before every run"
        )
    torch.rand(1, device=x.device)  # and now with others
    if not _close(outputs, run()):
        raise ModelError(
            "the same batch gives other outputs the second time: forward draws random numbers also in eval mode, such "
            "as a Poisson encoder or F.dropout; encode the data beforehand, or let eval() switch it off"
        )
    return outputs


def _samples_apart(model: ForeignNetwork, x: Tensor, timesteps: int, outputs: Tensor) -> None:
    changed = x.clone()
    first = changed[:, 0] if x.dim() == 5 else changed[0]
    first.copy_(x.max() + x.min() - first)
    if not _close(model(changed, timesteps)[:, 1:], outputs[:, 1:], ROUNDING):
        raise ModelError(
            "the outputs of a sample change with another sample of the batch: the axes of time and samples are swapped "
            "(state the other of time-major and batch-major), or a layer normalises by statistics of the batch"
        )


def _same_mean(model: ForeignNetwork, x: Tensor, timesteps: int, outputs: Tensor) -> None:
    own = model.own_output(x, timesteps)
    recovered = outputs.mean(0) if model.calling.gives == "mean" else outputs.sum(0)
    if not _close(recovered, own, ROUNDING):
        raise ModelError(
            f"the {model.calling.gives} of the recovered O(t) differs from the network's own output by up to "
            f"{float((recovered - own).abs().max()):.2g}: what follows the reduction is not linear, or the network "
            "gives no mean or sum over time; have it give its output at every step"
        )
    if model.calling.recover == "prefix" and timesteps > 1 and _close(outputs, outputs[:1].expand_as(outputs)):
        raise ModelError(
            "runs of 1 to T steps all give the same output: no neuron fires, or T does not reach the network; "
            "state with timesteps_by how it is told T"
        )


def _close(a: Tensor, b: Tensor | None, tolerance: float = 0.0) -> bool:
    if b is None or a.shape != b.shape:
        return False
    equal = (a == b) | ((a != a) & (b != b))
    if bool(equal.all()) or not tolerance:
        return bool(equal.all())
    return bool((equal | ((a - b).abs() <= tolerance * torch.nan_to_num(b).abs().max())).all())


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and _close(a, b)
    return type(a) is type(b) and bool(a == b or a != a)


def propose(network: nn.Module, x: Tensor, timesteps: int) -> list[Calling]:
    """The conventions that a network keeps the contract under, found by trying.

    Several may fit: whether O(t) is spikes or membranes, for one, no run can tell. So nothing is chosen.

    Args:
        network: any module, left as it was.
        x: a real batch, as for :func:`adapt`.
        timesteps: T that it was trained with.

    Returns:
        The conventions that fit.
    """
    fitting: list[Calling] = []
    for calling in _candidates(network, timesteps, sequence=x.dim() == 5):
        same = {(each.takes, each.gives, each.timesteps_by) for each in fitting if each.recover == "reduction"}
        if calling.recover == "prefix" and (calling.takes, calling.gives, calling.timesteps_by) in same:
            continue
        try:
            check_contract(ForeignNetwork(network, calling, timesteps), x, timesteps)
        except ModelError:
            continue
        fitting.append(calling)
    return fitting


def _candidates(network: nn.Module, timesteps: int, sequence: bool) -> Iterator[Calling]:
    items: tuple[str | None, ...] = (None, "spk", "mem")
    for item in items:
        yield Calling("step", "step", item)
        if item is None:
            yield Calling("step", "step", state="passed")
    tellers = {
        "time-major": [""],
        "batch-major": [""],
        "static": [] if sequence else list(_tellers(network, timesteps)),
    }
    for takes, ways in tellers.items():
        for by in ways:
            for item in items:
                for gives in ("time-major", "batch-major"):
                    yield Calling(takes, gives, item, by)
                for gives in ("mean", "sum"):
                    for axis in (0, 1):
                        yield Calling(takes, gives, item, by, recover="reduction", time_axis=axis)
                    yield Calling(takes, gives, item, by, recover="prefix")


def _tellers(network: nn.Module, timesteps: int) -> Iterator[str]:
    parameters = [
        p for p in inspect.signature(network.forward).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    if len(parameters) > 1:
        yield "argument"
    for name, value in vars(network).items():
        if type(value) is int and value == timesteps:
            yield f"attribute:{name}"
