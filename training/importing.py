"""Weights of someone else's become a checkpoint."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.errors import CheckpointError, DataError, ModelError
from tetviz.models import Calling, ForeignNetwork, ForeignSpec, check_contract, propose
from tetviz.models.foreign.check import SAMPLES, RandomNumbersError
from tetviz.models.foreign.isolation import Isolation, generators_kept
from tetviz.models.foreign.network import NetworkError
from tetviz.models.foreign.state import changed, state_of
from tetviz.training.batches import Batch, to_batches
from tetviz.training.checkpoint import Checkpoint, check_state, file_sha256, find_weights
from tetviz.training.data.dataset import LabelledDataset
from tetviz.training.factory import build_foreign
from tetviz.training.padding import own_frames
from tetviz.training.passes import check_length
from tetviz.training.profile import a_parameter, exact_kernels
from tetviz.training.weights import complete, rename


def import_foreign(
    weights: str | Path,
    factory: str,
    data: LabelledDataset,
    timesteps: int,
    calling: Calling | None,
    *,
    arguments: Mapping[str, Any] | None = None,
    key: str = "",
    allow_missing: Sequence[str] = (),
    ignore: Sequence[str] = (),
    trust: bool = False,
    device: torch.device | str = "cpu",
) -> Checkpoint:
    """Builds a network of someone else's, loads its weights, and checks on real data that it can be measured.

    Args:
        weights: file of its state_dict, as :func:`tetviz.training.load_weights` reads it.
        factory: ``module:function`` that builds the network.
        data: a data set of the network.
        timesteps: T that it was trained with.
        calling: how it is called; None to be told what fits.
        arguments: what the factory is called with.
        key: entry of the file that holds the state_dict.
        allow_missing: names of tensors that the file may lack, with ``*`` for any text, or of modules; the network
            keeps its own.
        ignore: likewise, those of the file that are left out.
        trust: whether the factory may be imported and run.
        device: where the contract is tested.

    Returns:
        The checkpoint; ``training["adapted"]`` says what was done to the names of the weights, in sentences.

    Raises:
        CheckpointError: the weights cannot be read, or do not fit the network.
        DataError: the data do not fit the network.
        ModelError: the factory or the network fails, or breaks the contract; or no convention is stated.
    """
    # How many classes there are the network says, below.
    spec = ForeignSpec(
        factory, calling or Calling("step", "step"), 1, data.in_channels, data.image_size, dict(arguments or {})
    )
    network = build_foreign(spec, trust=trust)
    state, adapted = _fitted(weights, key, network, allow_missing, ignore)
    network = _loaded(network, state, factory, device)
    check_length(_some_samples(data, network), timesteps)
    if calling is None:
        raise ModelError(
            f"{factory}: state how the network is called (--takes, --gives; see `tetviz import --help`). "
            + _proposed(network, data, timesteps)
        )
    calling = replace(calling, sample_axes=data.sample_axes)
    model = ForeignNetwork(network, calling, timesteps)
    classes = hold_to_contract(model, factory, data)
    if classes != data.num_classes if data.states_classes else classes < data.num_classes:
        raise DataError(
            f"{factory}: the network has {classes} classes, the data set {data.spec.name} has {data.num_classes}; name "
            "the data set that it was trained on"
        )
    with generators_kept(torch.device("cpu")):
        torch.default_generator.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        twin = _loaded(build_foreign(spec, trust=trust), state, factory, device)
    _same_network(model, ForeignNetwork(twin, calling, timesteps), factory, data)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Checkpoint(
        replace(spec, calling=calling, num_classes=classes, parameters=parameters),
        {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
        timesteps,
        training=imported_from(weights, adapted),
        data=data.spec.to_dict(),
    )


def imported_from(weights: str | Path, adapted: Sequence[str]) -> dict[str, Any]:
    """What a checkpoint records of the file that its weights are from, and of what was done to their names."""
    origin: dict[str, Any] = {"imported": Path(weights).name, "weights_sha256": file_sha256(weights)}
    return origin | ({"adapted": list(adapted)} if adapted else {})


def _loaded(network: nn.Module, state: dict[str, Tensor], factory: str, device: torch.device | str) -> nn.Module:
    first = next((tensor.dtype for tensor in state.values() if tensor.is_floating_point()), torch.float32)
    with Isolation(f"{factory}: loading the weights raised"):
        network.to(torch.promote_types(first, torch.float32)).load_state_dict(state)
        return network.to(device).eval()


def _fitted(
    weights: str | Path, key: str, network: nn.Module, allow_missing: Sequence[str], ignore: Sequence[str]
) -> tuple[dict[str, Tensor], list[str]]:
    # The weights under the network's names, and what was done for that.
    found, notes = find_weights(weights, key)
    expected = network.state_dict()
    try:
        state, done = complete(rename(found, expected), network, allow_missing, ignore)
    except CheckpointError as error:
        raise CheckpointError(f"{weights}: {error}") from error
    check_state(weights, expected, state)
    return state, notes + done


def _proposed(network: nn.Module, data: LabelledDataset, timesteps: int) -> str:
    try:
        with exact_kernels():
            fitting = _fitting(network, _some_samples(data, network), timesteps, sample_axes=data.sample_axes)
    except ModelError as error:
        return f"No convention that tetviz knows fits; what came furthest, {error}{_cure(error, data)}"
    shown = "; or ".join(each.options() for each in fitting)
    believed = {
        "that a call is one step, not a whole run": any(each.takes == "step" for each in fitting),
        "that its output is a mean or a sum over time, not that of the last step": any(
            each.recover == "prefix" for each in fitting
        ),
    }
    words = " and ".join(word for word, needed in believed.items() if needed)
    return f"It keeps the contract with {shown}" + (f" (taken at your word: {words})" if words else "")


def _fitting(network: nn.Module, x: Tensor, timesteps: int, **given: Any) -> list[Calling]:
    try:
        return propose(network, x, timesteps, **given)
    except RandomNumbersError:
        return _fitting(network, x, timesteps, **given, draws=1)
    except NetworkError:
        if "integers" in given or not bool((x == x.round()).all()):
            raise
    return _fitting(network, x, timesteps, **given, integers=True)


def hold_to_contract(model: ForeignNetwork, name: str, data: LabelledDataset) -> int:
    """Tests a network as :func:`tetviz.models.check_contract` does, on the first samples of a data set."""
    x = _some_samples(data, model)
    timesteps = model.timesteps or len(x)
    try:
        with exact_kernels():
            return check_contract(model, x, min(timesteps, len(x)) if data.sequence else timesteps)
    except ModelError as error:
        options = model.calling.options()
        raise ModelError(f"{name}: called with {options}: {error}{_cure(error, data)}") from error


def _cure(error: ModelError, data: LabelledDataset) -> str:
    if not isinstance(error, NetworkError):
        return ""
    return (
        f"; its input was {describe_input(data)}: if it was trained on another, give it that size with `tetviz import "
        "--image-size`, or your own preprocessing with --data MODULE:FUNCTION"
    )


def _same_network(model: ForeignNetwork, twin: ForeignNetwork, factory: str, data: LabelledDataset) -> None:
    x = _some_samples(data, model)
    with torch.no_grad(), exact_kernels():
        if torch.equal(model(x, model.timesteps), twin(x, model.timesteps)):
            return
    drawn = changed(state_of(model.network), state_of(twin.network))
    where = f" ({', '.join(drawn[:3])})" if drawn else ""
    raise ModelError(
        f"{factory}: does not build the same network twice: another one with the same weights gives other outputs"
        f"{where}; make what it draws at random a buffer, and save the weights with it"
    )


def _some_samples(data: LabelledDataset, network: nn.Module) -> Tensor:
    if len(data) < 5:
        raise DataError(f"data set {data.spec.name}: has {len(data)} samples, a network is tested on at least 5")
    weight = a_parameter(network)
    return _first_batch(data, SAMPLES)[0].to(weight.device, weight.dtype)


def describe_input(data: LabelledDataset, samples: int = 256) -> str:
    """What a network is given, so that its user sees whether it is what the network was trained on.

    Returns:
        Name, shape of a sample, and range, mean and standard deviation (by channel, if there are few) of the first.
    """
    x, labels = _first_batch(data, samples)
    sizes = [*x.shape[: x.dim() - 4], *x.shape[-3:]][: data.sequence + data.sample_axes]
    shape = " x ".join(map(str, sizes))
    own = data.spec.axes.replace("T", "") or {1: "F"}.get(data.sample_axes, "CHW")
    axes = " x ".join(["T"] * data.sequence + list(own))
    x = own_frames(x, labels).double()
    by_channel = x.movedim(-3, 0).flatten(1) if x.shape[-3] < 5 else x.reshape(1, -1)
    means, deviations = (
        ", ".join(f"{float(value):.3g}" for value in values)
        for values in (by_channel.mean(1), by_channel.std(1, correction=0))
    )
    return (
        f"{data.spec.name}, samples of {shape} ({axes}), from {float(x.min()):.3g} to "
        f"{float(x.max()):.3g}, mean {means}, standard deviation {deviations}"
    )


def _first_batch(data: LabelledDataset, samples: int) -> Batch:
    return next(iter(to_batches(data, samples, range(min(samples, len(data))))))
