"""``tetviz import graph.nir``, ``tetviz export --to nir`` and what follows, on a network that SpikingJelly trained."""

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from cli_runs import refused, tetviz
from nir_graphs import affine, chain, lif, perceptron, weights
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.results import OperationCounts, ScalingCurve, Surface, load
from tetviz.training import Checkpoint, load_data

STEPS = 3


def stepped(network: nn.Module, x: Tensor) -> Tensor:
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    functional.reset_net(network)
    return torch.stack([network(x) for _ in range(STEPS)]).mean(0)


def whole(split: str) -> tuple[Tensor, Tensor]:
    data = load_data("digits", split=split)
    return torch.stack([x for x, _ in data]), torch.tensor(data.labels)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A graph that SpikingJelly wrote, and the accuracy of its network."""
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    torch.manual_seed(0)
    network = nn.Sequential(
        *(layer.Conv2d(1, 6, 3, stride=2, padding=1), neuron.LIFNode(surrogate_function=surrogate.ATan())),
        *(layer.AvgPool2d((2, 2), (2, 2), (0, 0)), layer.Flatten(), layer.Linear(96, 10)),
    )
    x, y = whole("train")
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for batch in torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).split(64):
        optimizer.zero_grad()
        F.cross_entropy(stepped(network, x[batch]), y[batch]).backward()
        optimizer.step()
    network.eval()
    x, y = whole("test")
    with torch.no_grad():
        accuracy = float((stepped(network, x).argmax(1) == y).double().mean())
    path = tmp_path_factory.mktemp("nir") / "net.nir"
    for module in network.modules():
        if hasattr(module, "reset"):
            module.reset()
    nir.write(path, exchange.export_to_nir(network, x[:1]))
    return path, accuracy


def test_all_commands_take_an_imported_graph(trained: tuple[Path, float], tmp_path: Path) -> None:
    source, accuracy = trained
    path = tmp_path / "net.pt"
    assert 0.4 < accuracy < 1
    said = tetviz("import", source, "--timesteps", STEPS, "--data", "digits", "-o", path)
    assert f"accuracy {accuracy:.2%}" in said.stdout
    assert "lif, leak 0.5, V_th 2 in units of its input, reset to 0" in said.stderr
    assert "stepped with dt = 0.0001 s" in said.stderr
    for command in ("scale", "energy"):
        tetviz(command, path, "--tmax", 4)
    tetviz("landscape", path, "--grid", 3, "--samples", 0)
    scale, energy, surface = (load(path.with_suffix(f".{kind}.h5")) for kind in ("scale", "energy", "landscape"))
    assert isinstance(scale, ScalingCurve)
    assert isinstance(energy, OperationCounts)
    assert isinstance(surface, Surface)
    assert scale.accuracy[STEPS - 1] == energy.accuracy[STEPS - 1] == surface.accuracy[0, 1, 1, -1]
    assert scale.accuracy[STEPS - 1] == pytest.approx(accuracy)
    assert scale.prefix_test.startswith("ok")
    assert surface.sdt_loss[0, 0, 0, -1] != surface.sdt_loss[0, 1, 1, -1]
    assert list(energy.not_counted) == []
    assert energy.spikes.sum() > 0
    # 6 maps of 8 x 8, 9 weights each, and 96 x 10; a padded edge takes a ninth of the taps less at each side
    samples = len(whole("test")[0])
    dense = energy.dense_mac[:, 0]
    assert dense[dense > 0].tolist() == [6 * 64 * 9 * samples, 960 * samples]
    assert energy.inbounds_mac[0, 0] == 6 * 23 * 23 * samples
    info = tetviz("info", path).stdout
    assert "conv2d of input" in info
    assert "training dt" in info
    tetviz("doctor", path, "--samples", 64)
    tetviz("training-energy", path, "--samples", 32)


def test_a_graph_goes_out_and_in_again(trained: tuple[Path, float], tmp_path: Path) -> None:
    common = ("--timesteps", STEPS, "--data", "digits")
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    tetviz("import", trained[0], *common, "-o", first)
    assert "wrote" in tetviz("export", first, "--to", "nir").stderr
    tetviz("import", tmp_path / "first.nir", *common, "-o", second)
    x, _ = whole("test")
    with torch.no_grad():
        outputs = [Checkpoint.load(path).model()(x[:50]) for path in (first, second)]
    assert torch.equal(*outputs)
    assert "the graph takes images of 16" in refused(
        tmp_path, "import", first.with_suffix(".nir"), *common, "--image-size", 8, "-o", tmp_path / "x.pt", code=2
    )


def test_a_graph_of_vectors_takes_images_flat(tmp_path: Path) -> None:
    graph = chain((256,), 10, a=affine(1, 256, 20, 0.2), n=lif((20,), 2, 2.0), b=affine(2, 20, 10))
    nir.write(tmp_path / "net.nir", graph)
    common = ("import", tmp_path / "net.nir", "--timesteps", 2, "-o", tmp_path / "net.pt")
    assert "name the data set" in refused(tmp_path, *common, code=2)
    assert "takes samples of 256, the data are of 1 x 8 x 8" in refused_after(
        tmp_path, *common, "--data", "digits", "--image-size", 8
    )
    tetviz(*common, "--data", "digits")
    spec = Checkpoint.load(tmp_path / "net.pt").spec
    assert (spec.in_channels, spec.image_size) == (1, 16)
    x, _ = whole("test")
    with torch.no_grad():
        own = Checkpoint.load(tmp_path / "net.pt").model()(x[:4], 1)[0]
        layer = graph.nodes["a"]
        u = F.linear(x[:4].flatten(1), torch.tensor(layer.weight), torch.tensor(layer.bias))
        expected = F.linear((u > 1).float(), torch.tensor(graph.nodes["b"].weight), torch.tensor(graph.nodes["b"].bias))
    torch.testing.assert_close(own, expected)


def refused_after(folder: Path, *args: Any) -> str:
    """The error of a command that has said something before."""
    lines = tetviz(*args, code=1).stderr.splitlines()
    assert [line.startswith("Error: ") for line in lines].count(True) == 1
    assert not (folder / "net.pt").exists()
    return lines[-1]


def test_what_does_not_belong_to_a_graph_is_a_usage_error(tmp_path: Path) -> None:
    nir.write(tmp_path / "net.nir", perceptron(lif((12,), 2, 2.0), lif((5,), 2, 2.0)))
    torch.save({"w": torch.zeros(2)}, tmp_path / "w.pth")
    common = ("import", tmp_path / "net.nir", "--timesteps", 2, "-o", tmp_path / "net.pt")
    for options in (("--leak", 0.5), ("--model", "snn5"), ("--reset", "soft"), ("--key", "net"), ("--factory", "a:b")):
        assert f"{options[0]}: a graph of NIR decides that" in refused(tmp_path, *common, *options, code=2)
    assert "leave it out" in refused(tmp_path, *common, "--takes", "step", "--gives", "step", code=2)
    assert "sigmoid" in refused(tmp_path, *common, "--surrogate", "sigmoid", code=2)
    weights_file = ("import", tmp_path / "w.pth", "--timesteps", 2, "-o", tmp_path / "net.pt")
    assert "--dt: is for graphs of NIR" in refused(tmp_path, *weights_file, "--dt", 1, code=2)
    assert "no step in seconds" in refused(tmp_path, "export", "a.h5", "--to", "csv", "--dt", 1, code=2)
    assert "leave out --loss" in refused(tmp_path, "export", "a.pt", "--to", "nir", "--loss", "sdt", code=2)


def test_what_cannot_be_run_is_one_line(tmp_path: Path) -> None:
    graph = chain((16,), 5, a=affine(1, 16, 5), n=nir.LI(np.ones(5), np.ones(5), np.zeros(5)))
    nir.write(tmp_path / "net.nir", graph)
    common = ("import", tmp_path / "net.nir", "--timesteps", 2, "-o", tmp_path / "net.pt")
    assert "node n (LI): is of a type that tetviz does not run" in refused(tmp_path, *common)
    graph = perceptron(lif((12,), 2, 2.0), lif((5,), 2, 2.0))
    graph.nodes["w"] = nir.Linear(weights(12, 12))
    graph.edges += [("i", "w"), ("w", "i")]
    nir.write(tmp_path / "net.nir", graph)
    assert "is recurrent (i -> w -> i)" in refused(tmp_path, *common)


def test_without_the_extra_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.nir").touch()
    monkeypatch.setattr("tetviz.training.from_nir.find_spec", lambda name: None)
    common = ("import", tmp_path / "net.nir", "--timesteps", 2, "-o", tmp_path / "net.pt")
    assert "pip install 'tetviz[nir]'" in refused(tmp_path, *common)
