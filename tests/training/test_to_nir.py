"""Networks as graphs of NIR: the same outputs when read again, and as snnTorch and SpikingJelly run them."""

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from nir_graphs import (
    affine,
    chain,
    cubalif,
    integrate,
    lif,
    perceptron,
    snntorch_outputs,
    spikingjelly_outputs,
    weights,
)
from torch import Tensor, nn

from tetviz.errors import ModelError
from tetviz.models import Calling, ForeignSpec, ModelSpec, build, fold
from tetviz.training import Checkpoint, read_nir, write_nir

STEPS = 6


def trained(spec: ModelSpec, dtype: torch.dtype = torch.float32) -> Checkpoint:
    """A checkpoint whose normalisations have seen data, and whose neurons fire."""
    torch.manual_seed(0)
    model = build(spec)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.8, 1.5)
            nn.init.uniform_(module.bias, 0, 1)
    return Checkpoint(spec, model.to(dtype).state_dict(), STEPS)


def again(checkpoint: Checkpoint, folder: Path, dt: float = 1e-4) -> Checkpoint:
    write_nir(folder / "net.nir", checkpoint, dt)
    found = read_nir(folder / "net.nir")
    assert found.dt == dt
    return Checkpoint(found.spec, found.state, STEPS)


def inputs(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(STEPS, 3, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


NETWORKS: dict[str, dict[str, Any]] = {
    "snn5": {},
    "vggsnn": {"image_size": 16},
    "vggsnn-nopool": {"image_size": 16},
    "resnet19": {"image_size": 8},
    "cifar-resnet": {"options": {"block": "sew", "depth": 8}, "neuron": "if"},
    "ms-resnet20": {"image_size": 8, "norm": "tdbn"},
    "ms-resnet18": {"image_size": 32},
}
NEURONS: dict[str, dict[str, Any]] = {
    "leak": {"leak": 0.9, "threshold": 0.3},
    "none": {"leak": 0.0},
    "if": {"neuron": "if"},
    "plif": {"neuron": "plif", "leak": 0.37},
}


def spec_of(name: str, **settings: Any) -> ModelSpec:
    return ModelSpec(name, **{"num_classes": 7, "in_channels": 2, "image_size": 16, "width": 0.125, **settings})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "settings"), [*NETWORKS.items(), *(("snn5", settings) for settings in NEURONS.values())]
)
@torch.no_grad()
def test_a_network_read_again_is_the_network(
    name: str, settings: dict[str, Any], dtype: torch.dtype, tmp_path: Path
) -> None:
    checkpoint = trained(spec_of(name, **settings), dtype)
    x_TB = inputs(2, checkpoint.spec.image_size, checkpoint.spec.image_size, dtype=dtype)
    own, read = checkpoint.model()(x_TB), again(checkpoint, tmp_path).model()(x_TB)
    assert read.dtype == dtype
    assert float(own.std(0).max()) > 0
    torch.testing.assert_close(read, fold(checkpoint.model())(x_TB), rtol=0, atol=0)
    torch.testing.assert_close(read, own, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_others_run_what_is_written(tmp_path: Path) -> None:
    checkpoint = trained(spec_of("cifar-resnet", options={"block": "plain", "depth": 8}))
    x_TB = inputs(2, 16, 16)
    own = checkpoint.model()(x_TB)
    write_nir(tmp_path / "net.nir", checkpoint)
    graph = nir.read(tmp_path / "net.nir")
    torch.testing.assert_close(spikingjelly_outputs(graph, x_TB), own, rtol=0, atol=1e-5)
    torch.testing.assert_close(snntorch_outputs(graph, x_TB), own, rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_step_does_not_change_the_network(tmp_path: Path) -> None:
    checkpoint, x_TB = trained(spec_of("snn5", leak=0.9)), inputs(2, 16, 16)
    outputs = [again(checkpoint, tmp_path, dt).model()(x_TB) for dt in (1e-4, 1e-3, 1.0)]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    assert nir.read(tmp_path / "net.nir").nodes["features_1"].tau.flat[0] == pytest.approx(10)


BY_NEURON = lif((12,), 2, 2.0)
BY_NEURON.tau[::2] *= 3
GRAPHS = {
    "CubaLIF": perceptron(cubalif((12,)), lif((5,), 3, 1.0, 0.3)),
    "IF": perceptron(integrate((12,)), cubalif((5,), 3, 5)),
    "by neuron": perceptron(BY_NEURON, lif((5,), 3, 3.0)),
    "scale": chain((16,), 5, a=affine(1, 16, 5), s=nir.Scale(weights(5, seed=3)), n=nir.Threshold(np.full(5, 0.1))),
}


@pytest.mark.parametrize("name", GRAPHS)
@torch.no_grad()
def test_a_graph_written_again_is_the_graph(name: str, tmp_path: Path) -> None:
    nir.write(tmp_path / "graph.nir", GRAPHS[name])
    found = read_nir(tmp_path / "graph.nir")
    checkpoint, x_TB = Checkpoint(found.spec, found.state, STEPS), 2 * inputs(16, 1, 1)
    own = checkpoint.model()(x_TB)
    assert 0 < float(own.mean()) < 1
    written = again(checkpoint, tmp_path)
    torch.testing.assert_close(written.model()(x_TB), own, rtol=0, atol=0)
    for key, tensor in written.state.items():
        torch.testing.assert_close(tensor, found.state[key])
    for name, node in written.spec.nodes.items():
        assert node == {key: pytest.approx(value) for key, value in found.spec.nodes[name].items()}


REFUSED = {
    "features_1: resets by subtraction": {"name": "snn5", "reset": "soft"},
    "features_1: its neurons are smooth and do not spike": {"name": "snn5", "surrogate": "sigmoid"},
    "stem.2.module (MaxPool2d): computes max_pool2d_with_indices": {"name": "sew-resnet18", "image_size": 32},
    "blocks.0 (SEWBlock): computes mul": {
        "name": "cifar-resnet",
        "options": {"block": "sew", "depth": 8, "connect": "AND"},
    },
    "a leak of 1.5 is that of no time constant": {"name": "snn5", "leak": 1.5},
    "its last windows hang over the edge": {"name": "ms-resnet104", "image_size": 20, "width": 0.02},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_nir_does_not_say_is_refused_by_name(message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        write_nir(tmp_path / "net.nir", trained(spec_of(**REFUSED[message])))
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_code_of_others_is_no_graph(tmp_path: Path) -> None:
    spec = ForeignSpec("nets:build", Calling("step", "step"), 10, 1, 8)
    with pytest.raises(ModelError, match=r"code of someone else's \(nets:build\)"):
        write_nir(tmp_path / "net.nir", Checkpoint(spec, {}, 4))
