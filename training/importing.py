"""Weights of someone else's become a checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tetviz.errors import DataError, ModelError
from tetviz.models import Calling, ForeignNetwork, ForeignSpec, check_contract, propose
from tetviz.training.checkpoint import Checkpoint, check_state, file_sha256, load_weights
from tetviz.training.dataset import LabelledDataset
from tetviz.training.factory import build_foreign
from tetviz.training.profile import a_parameter, exact_kernels, to_batches

CONTRACT_SAMPLES = 8


def import_foreign(
    weights: str | Path,
    factory: str,
    data: LabelledDataset,
    timesteps: int,
    calling: Calling | None,
    *,
    arguments: Mapping[str, Any] | None = None,
    key: str = "",
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
        trust: whether the factory may be imported and run.
        device: where the contract is tested.

    Returns:
        The checkpoint.

    Raises:
        DataError: the data do not fit the network.
        ModelError: the factory or the network fails, or breaks the contract; or no convention is stated.
    """
    state = load_weights(weights, key)
    # How many classes there are the network says, below.
    spec = ForeignSpec(
        factory, calling or Calling("step", "step"), 1, data.in_channels, data.image_size, dict(arguments or {})
    )
    network = build_foreign(spec, trust=trust)
    if all(name.startswith("module.") for name in state) and not state.keys() & network.state_dict().keys():
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}  # of DataParallel
    check_state(weights, network.state_dict(), state)
    precision = next((tensor.dtype for tensor in state.values() if tensor.is_floating_point()), torch.float32)
    network.to(precision).load_state_dict(state)
    network.to(device).eval()
    x = some_samples(data, network)
    if calling is None:
        with exact_kernels():
            fitting = propose(network, x, timesteps)
        shown = "; or ".join(each.options() for each in fitting)
        raise ModelError(
            f"{factory}: state how the network is called (--takes, --gives; see `tetviz import --help`). "
            + (
                f"It keeps the contract with {shown}"
                if fitting
                else "It keeps the contract with none that tetviz knows"
            )
        )
    model = ForeignNetwork(network, calling, timesteps)
    classes = hold_to_contract(model, factory, x, timesteps)
    if classes != data.num_classes if data.states_classes else classes < data.num_classes:
        raise DataError(
            f"{factory}: the network has {classes} classes, the data set {data.spec.name} has {data.num_classes}; name "
            "the data set that it was trained on"
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Checkpoint(
        ForeignSpec(factory, calling, classes, spec.in_channels, spec.image_size, spec.arguments, parameters),
        {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
        timesteps,
        training={"imported": Path(weights).name, "weights_sha256": file_sha256(weights)},
        data=data.spec.to_dict(),
    )


def hold_to_contract(model: ForeignNetwork, name: str, x: torch.Tensor, timesteps: int) -> int:
    """Tests a network as :func:`tetviz.models.check_contract` does, and says which one fails.

    Args:
        model: the network.
        name: what to call it.
        x: a real batch.
        timesteps: T.

    Returns:
        The number of classes.

    Raises:
        ModelError: the contract is broken.
    """
    try:
        with exact_kernels():
            return check_contract(model, x, timesteps)
    except ModelError as error:
        raise ModelError(f"{name}: called with {model.calling.options()}: {error}") from error


def some_samples(data: LabelledDataset, network: torch.nn.Module) -> torch.Tensor:
    """The first samples of a data set, to test a contract on.

    Args:
        data: the data set.
        network: says device and precision.

    Returns:
        x_BCHW, or x_TBCHW.

    Raises:
        DataError: there are too few.
    """
    if len(data) < 5:
        raise DataError(f"data set {data.spec.name}: has {len(data)} samples, a network is tested on at least 5")
    x, _ = next(iter(to_batches(data, CONTRACT_SAMPLES, range(min(CONTRACT_SAMPLES, len(data))))))
    weight = a_parameter(network)
    return x.to(weight.device, weight.dtype)
