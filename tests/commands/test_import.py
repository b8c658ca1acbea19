"""``tetviz import`` and what follows, on networks that SpikingJelly and snnTorch built and trained here."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_runs import run, tetviz
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.results import OperationCounts, ScalingCurve, Surface, load
from tetviz.training import Checkpoint, load_data, to_batches

STEPS = 3
SPIKINGJELLY = """
from torch import nn
from spikingjelly.activation_based import functional, layer, neuron, surrogate

def build(mode="m", channels=6):
    torch_layers = [
        layer.Conv2d(1, channels, 3, stride=2, padding=1, bias=False), layer.BatchNorm2d(channels),
        neuron.LIFNode(surrogate_function=surrogate.ATan()),
        layer.AvgPool2d(2), layer.Flatten(), layer.Linear(16 * channels, 10),
    ]
    net = nn.Sequential(*torch_layers)
    functional.set_step_mode(net, mode)
    return net
"""
SNNTORCH = """
import snntorch
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_steps, hidden=24):
        super().__init__()
        self.num_steps = num_steps
        self.fc1, self.fc2 = nn.Linear(256, hidden), nn.Linear(hidden, 10)
        self.lif1, self.lif2 = snntorch.Leaky(beta=0.9), snntorch.Leaky(beta=0.9)

    def forward(self, x):
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spk_rec, mem_rec = [], []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(self.fc1(x.flatten(1)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk_rec.append(spk2)
            mem_rec.append(mem2)
        return torch.stack(spk_rec), torch.stack(mem_rec)

build = Net
"""
DATA = """
import torch
from torch.utils.data import DataLoader, TensorDataset
from tetviz.training import load_data

def digits(split):
    data = load_data("digits", split=split)
    x, y = torch.stack([x for x, _ in data]), torch.tensor(data.labels)
    return DataLoader(TensorDataset(x, y, torch.arange(len(y))), batch_size=10)
"""
HOSTILE = """
import sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, kind="good"):
        super().__init__()
        self.kind, self.fc, self.memory = kind, nn.Linear(256, 9 if kind == "classes" else 10), 0.0

    def forward(self, x_TB):
        y = self.fc(x_TB.flatten(2)).cumsum(0)
        if self.kind == "keeps":
            self.memory = self.memory + 1.0
            return y + self.memory
        if self.kind == "mutates":
            x_TB.mul_(2)
        if self.kind == "clamps":
            self.fc.weight.data.clamp_(-0.01, 0.01)
        if self.kind == "prints":
            print("a line on stdout")
        if self.kind == "exits":
            sys.exit(0)
        if self.kind == "detaches":
            y = y.detach()
        if self.kind == "hard-wired" and len(x_TB) != 2:
            raise AssertionError("T is 2")
        if self.kind == "raises":
            raise OverflowError("far too many spikes\\nand more lines")
        other = {"mean": y.mean(0), "nan": y / 0, "batch-major": y.transpose(0, 1), "tuple": (y, y), "shape": y[..., 0]}
        return other.get(self.kind, y)

def build(kind="good"):
    if kind == "fails":
        raise FileNotFoundError("no config.yaml")
    return {"text": "a network"}.get(kind) or Net(kind)
"""


def refused(*args: Any, code: int = 1) -> str:
    """The error, which is one line."""
    lines = tetviz(*args, code=code).stderr.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == 1
    assert errors[0] == lines[-1]
    assert "Traceback" not in "".join(lines)
    return errors[0]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    modules = {"sj_nets": SPIKINGJELLY, "snn_nets": SNNTORCH, "own_data": DATA, "hostile_nets": HOSTILE}
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    yield tmp_path
    for name in modules:
        sys.modules.pop(name, None)


def built(text: str, **arguments: Any) -> nn.Module:
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    torch.manual_seed(0)
    network: nn.Module = namespace["build"](**arguments)
    return network


def trained(network: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]) -> nn.Module:
    data = load_data("digits", split="train")
    x, y = torch.stack([x for x, _ in data]), torch.tensor(data.labels)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for batch in torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).split(64):
        optimizer.zero_grad()
        F.cross_entropy(run(network, x[batch]), y[batch]).backward()
        optimizer.step()
    return network.eval()


def own_accuracy(network: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]) -> float:
    """As the library's users measure it."""
    test, right = load_data("digits", split="test"), 0
    with torch.no_grad():
        for x, labels in to_batches(test, 256):
            right += int((run(network, x).argmax(1) == labels).sum())
    return right / len(test)


def spikingjelly_run(network: nn.Module, x: Tensor) -> Tensor:
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    functional.reset_net(network)
    return network(x.repeat(STEPS, 1, 1, 1, 1)).mean(0)


def spikingjelly_steps(network: nn.Module, x: Tensor) -> Tensor:
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    functional.reset_net(network)
    outputs = 0.0
    for _ in range(STEPS):
        outputs = outputs + network(x)
    return outputs / STEPS


def follow(path: Path, accuracy: float, tmp: Path) -> None:
    """landscape, scale and energy, end to end, all with the accuracy that the library has."""
    for command in ("scale", "energy"):
        tetviz(command, path, "--tmax", 4, "--trust")
    tetviz("landscape", path, "--grid", 3, "--samples", 0, "--trust")
    scale, energy, surface = (load(path.with_suffix(f".{kind}.h5")) for kind in ("scale", "energy", "landscape"))
    assert isinstance(scale, ScalingCurve)
    assert isinstance(energy, OperationCounts)
    assert isinstance(surface, Surface)
    assert scale.t_train == energy.t_train == STEPS
    assert scale.accuracy[STEPS - 1] == energy.accuracy[STEPS - 1] == surface.accuracy[0, 1, 1, -1] == accuracy
    assert scale.prefix_test.startswith("ok")
    assert surface.sdt_loss[0, 0, 0, -1] != surface.sdt_loss[0, 1, 1, -1]
    assert energy.spikes.sum() > 0
    assert list(energy.not_counted) == []
    assert all(path.with_suffix(f".{kind}.png").stat().st_size > 5000 for kind in ("scale", "energy", "landscape"))
    assert scale.provenance.network["factory"].endswith(":build")


@pytest.mark.parametrize("mode", ["m", "s"])
def test_a_network_of_spikingjelly(here: Path, mode: str) -> None:
    pytest.importorskip("spikingjelly.activation_based.neuron")
    run = spikingjelly_run if mode == "m" else spikingjelly_steps
    network = trained(built(SPIKINGJELLY, mode=mode), run)
    accuracy = own_accuracy(network, run)
    assert 0.4 < accuracy < 1
    torch.save({f"module.{name}": tensor for name, tensor in network.state_dict().items()}, "w.pth")  # DataParallel's
    axes = "time-major" if mode == "m" else "step"
    stated = ("--takes", axes, "--gives", axes)
    common = ("import", "w.pth", "--factory", "sj_nets:build", "--factory-args", json.dumps({"mode": mode}))
    common = (*common, "--timesteps", STEPS, "--data", "digits", "-o", "net.pt")
    message = refused(*common, "--trust")
    assert message.partition(" (taken")[0].endswith(f"It keeps the contract with {' '.join(stated)}")
    result = tetviz(*common, *stated, "--trust")
    assert f"accuracy {accuracy:.2%}" in result.output
    assert "trusted: importing sj_nets to call sj_nets:build" in result.stderr
    follow(here / "net.pt", accuracy, here)


@pytest.mark.parametrize("item", ["spk", "mem"])
def test_a_network_of_snntorch(here: Path, item: str) -> None:
    pytest.importorskip("snntorch")

    def run(network: nn.Module, x: Tensor) -> Tensor:
        return network(x)[0 if item == "spk" else 1].mean(0)

    network = trained(built(SNNTORCH, num_steps=STEPS), lambda network, x: network(x)[1].mean(0))
    accuracy = own_accuracy(network, run)
    assert 0.4 < accuracy < 1
    torch.save({"net": network.state_dict(), "epoch": 1}, "w.pth")
    common = ("import", "w.pth", "--key", "net", "--factory", "snn_nets:build", "--timesteps", STEPS, "--trust")
    common = (*common, "--factory-args", json.dumps({"num_steps": 99}), "--data", "own_data:digits", "-o", "net.pt")
    stated = ("--takes", "static", "--gives", "time-major", "--item", item, "--timesteps-by", "attribute:num_steps")
    assert f"accuracy {accuracy:.2%}" in tetviz(*common, *stated).output
    follow(here / "net.pt", accuracy, here)
    tetviz("doctor", "net.pt", "--trust", "--samples", 64)


def imported(kind: str = "good", *options: Any) -> tuple[Any, ...]:
    torch.manual_seed(0)
    torch.save(nn.Module.state_dict(built(HOSTILE, kind="good" if kind in ("fails", "text") else kind)), "w.pth")
    arguments = json.dumps({"kind": kind})
    given = ("import", "w.pth", "--factory", "hostile_nets:build", "--factory-args", arguments, "--data", "digits")
    stated = () if options else ("--takes", "time-major", "--gives", "time-major", "--trust")
    return (*given, "--timesteps", 2, "-o", "net.pt", *stated, *options)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("fails", "hostile_nets:build: raised: FileNotFoundError: no config.yaml"),
        ("text", "gave something of type str, expected a torch.nn.Module"),
        (
            "raises",
            "--takes time-major --gives time-major: the network raised: OverflowError: far too many",
        ),
        ("keeps", "state is kept from run to run, in (Net).memory"),
        ("mutates", "works in place on its input"),
        ("mean", "if that is a mean or a sum over time, state gives mean or sum"),
        ("batch-major", "time and samples are swapped"),
        ("shape", "expected outputs T x B x K = 2 x 8 x K of floating point"),
        ("tuple", "state which item of it is O(t)"),
        ("classes", "the network has 9 classes, the data set digits has 10"),
        ("clamps", "forward changes the parameters fc.weight"),
        ("exits", "the network raised: SystemExit: 0; its input was digits, samples of 1 x 16 x 16"),
        ("nan", "the outputs are not finite, first at step 1"),
        ("hard-wired", "it runs for T = 2, but not for T = 3: the network raised: AssertionError: T is 2"),
    ],
)
def test_hostile_networks_are_one_line(here: Path, kind: str, message: str) -> None:
    assert message in refused(*imported(kind))
    assert not (here / "net.pt").exists()


def test_what_cannot_be_imported_is_one_line(here: Path) -> None:
    good = imported()

    def changed(option: str, value: str) -> list[Any]:
        return [value if before == option else arg for before, arg in zip((None, *good), good, strict=False)]

    untrusted = refused(*(arg for arg in good if arg != "--trust"))
    assert "would import from the module 'hostile_nets'" in untrusted
    assert "pass --trust" in untrusted
    assert "hostile_nets" not in sys.modules
    assert "No module named 'nowhere'" in refused(*changed("--factory", "nowhere:build"))
    assert "did you mean 'build'?" in refused(*changed("--factory", "hostile_nets:biuld"))
    assert "expected a JSON object" in refused(*changed("--factory-args", "T=4"), code=2)
    assert "expected a JSON object" in refused(*changed("--factory-args", "[4]"), code=2)
    assert "module:function" in refused(*changed("--data", "digits:"), code=2)
    assert "--takes and --gives go together" in refused(*imported("good", "--trust", "--takes", "step"), code=2)
    assert "has to be told T" in refused(*changed("--takes", "static"), code=2)
    assert "TypeError" in refused(*changed("--factory-args", '{"T": 4}'))
    torch.save(nn.Linear(256, 10), "w.pth")
    assert "refused, it holds Python code" in refused(*good)
    torch.save({"fc.weight": torch.zeros(10, 4), "fc.bias": torch.zeros(10)}, "w.pth")
    assert "fc.weight has shape (10, 4), the network expects (10, 256)" in refused(*good)
    torch.save({"fc.weight": torch.zeros(10, 256), "fc.gain": torch.zeros(10)}, "w.pth")
    assert "it lacks fc.bias (--allow-missing) and has unknown fc.gain (--ignore)" in refused(*good)
    assert not (here / "net.pt").exists()


def test_every_command_asks_for_trust_and_some_need_none(here: Path) -> None:
    tetviz(*imported())
    sys.modules.pop("hostile_nets")
    kept = here / "net.kept"
    kept.mkdir()
    state = Checkpoint.load("net.pt")
    for epoch in range(3):
        moved = {name: tensor + epoch * torch.randn_like(tensor) for name, tensor in state.state.items()}
        Checkpoint(state.spec, moved, 2, state.training, state.data).save(kept / f"epoch-000{epoch}.pt")
    opens = ("landscape", "scale", "energy", "doctor", "sharpness", "line", "curvature", "isometry", "trajectory")
    for command in opens:
        assert "hostile_nets:build: is Python code" in refused(command, "net.pt")
        assert "--trust" in refused(command, "net.pt")
    for command, count in (("interpolate", 2), ("connect", 2), ("plane", 3), ("scale", 2)):
        paths = ["net.pt", *sorted(kept.iterdir())][:count]
        assert "--trust" in refused(command, *paths)
    assert "foreign network" in refused("training-energy", "net.pt", "--trust")
    assert "records no epoch" in refused("history", "net.pt")
    assert "there is nothing to go on from" in refused("train", "--resume", "--data", "digits", "-o", "net.pt")
    (here / "net.last.pt").write_bytes((here / "net.pt").read_bytes())
    assert "cannot resume" in refused("train", "--resume", "--data", "digits", "-o", "net.pt")
    assert "looks like a checkpoint" in refused("export", "net.pt", "--to", "csv")
    text = tetviz("info", "net.pt").output
    assert "hostile_nets:build" in text
    assert "--takes time-major --gives time-major" in text
    assert "parameters               2,570" in text
    assert "hostile_nets" not in sys.modules
    tetviz("trajectory", "net.pt", "--trust", "--grid", 5, "--samples", 20, "--allow-chance")


def test_what_the_network_is_given_is_printed(here: Path) -> None:
    result = tetviz(*imported())
    assert "its input is digits, samples of 1 x 16 x 16 (C x H x W), from -0." in result.stderr
    assert "no better than chance" in result.stderr  # it is not trained
    assert "compare its input, and how it is called" in result.stderr
    wrong = refused(*imported(), "--image-size", 8, "--force")
    assert "its input was digits, samples of 1 x 8 x 8" in wrong
    assert "--image-size" in wrong
    assert "--data MODULE:FUNCTION" in wrong


def test_other_data_than_it_was_made_with_are_noted(here: Path) -> None:
    tetviz(*imported())
    note = "net.pt was made with digits, measured on own_data:digits"
    assert note in tetviz("scale", "net.pt", "--trust", "--tmax", 2, "--data", "own_data:digits").stderr
    for same in ((), ("--data", "digits")):
        assert "was made with" not in tetviz("scale", "net.pt", "--trust", "--tmax", 2, "--force", *same).stderr


def test_what_networks_print_is_not_in_the_numbers(here: Path) -> None:
    result = tetviz(*imported("prints"))
    assert "a line on stdout" not in result.stdout
    result = tetviz("scale", "net.pt", "--trust", "--tmax", 2, "--json")
    assert json.loads(result.stdout)[0]["t_train"] == 2
    assert "a line on stdout" in result.stderr


def test_a_network_with_t_in_its_code(here: Path) -> None:
    tetviz(*imported("hard-wired"), "--timesteps-by", "fixed")
    small = ("--samples", 40, "--trust", "--allow-chance")
    tetviz("landscape", "net.pt", "--grid", 3, *small)
    tetviz("energy", "net.pt", "--trust")
    (curve,) = json.loads(tetviz("scale", "net.pt", "--trust", "--json").stdout)  # its own T by default
    assert len(curve["accuracy"]) == 2
    for command in ("scale", "energy"):
        told = refused(command, "net.pt", "--trust", "--tmax", 3, "--force")
        assert "runs for T = 2 alone (--timesteps-by fixed), a run of 3 steps was asked for; ask for 2" in told
    assert "runs for T = 2 alone" in refused("landscape", "net.pt", "--grid", 3, *small, "--timesteps", 3, "--force")
    told = tetviz("doctor", "net.pt", "--trust", "--samples", 40, code=1).output
    assert "it runs for T = 2 alone; no output depends on a later frame" in told


def test_a_network_without_gradients(here: Path) -> None:
    tetviz(*imported("detaches"))
    small = ("--samples", 40, "--trust", "--allow-chance")
    tetviz("landscape", "net.pt", "--grid", 3, *small)
    (here / "two.pt").write_bytes((here / "net.pt").read_bytes())
    for command, *others in (("curvature",), ("sharpness",), ("connect", "two.pt", "--epochs", 1)):
        assert "no gradient reaches the network" in refused(command, "net.pt", *others, *small)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("y = self", "y = 1.0 if self.fc is None else self"), ""),
        (("cumsum(0)", "mean(0)"), "net.pt: called with --takes time-major --gives time-major: expected outputs"),
        (("self.fc", "self.head"), "it lacks network.head.bias, network.head.weight and has unknown network.fc.bias"),
    ],
)
def test_code_that_changed_after_the_import_is_noticed(here: Path, change: tuple[str, str], message: str) -> None:
    tetviz(*imported())
    (here / "hostile_nets.py").write_text(HOSTILE.replace(*change))
    sys.modules.pop("hostile_nets")
    if message:
        assert message in refused("scale", "net.pt", "--trust", "--tmax", 2)
    else:
        tetviz("scale", "net.pt", "--trust", "--tmax", 2)


def test_paths_between_foreign_networks(here: Path) -> None:
    tetviz(*imported())
    other = Checkpoint.load("net.pt")
    state = {name: tensor + 0.05 * torch.randn_like(tensor) for name, tensor in other.state.items()}
    Checkpoint(other.spec, state, 2, data=other.data).save("other.pt")
    Checkpoint(other.spec, {n: -t for n, t in state.items()}, 2, data=other.data).save("third.pt")
    small = ("--samples", 20, "--trust", "--allow-chance")
    tetviz("interpolate", "net.pt", "other.pt", "--grid", 5, *small)
    tetviz("plane", "net.pt", "other.pt", "third.pt", "--grid", 5, *small)
    tetviz("connect", "net.pt", "other.pt", "--epochs", 1, "--grid", 5, *small)
    assert Checkpoint.load("net-other.curve.pt").spec == other.spec


def test_no_path_to_weights_under_other_names(here: Path) -> None:
    tetviz(*imported())
    one = Checkpoint.load("net.pt")
    renamed = {name.replace("fc", "head"): tensor for name, tensor in one.state.items()}
    Checkpoint(one.spec, renamed, 2, data=one.data).save("other.pt")
    small = ("--samples", 20, "--trust", "--allow-chance", "--grid", 5)
    assert "lacks network.fc.bias" in refused("connect", "net.pt", "other.pt", "--epochs", 1, *small)
    assert "network.fc.weight" in refused("interpolate", "net.pt", "other.pt", *small)


def test_training_on_data_of_ones_own(here: Path) -> None:
    args = ("train", "--data", "own_data:digits", "--width", 0.0625, "--timesteps", 2, "--epochs", 1, "-o", "own.pt")
    assert "own_data:digits: is Python code" in refused(*args)
    tetviz(*args, "--trust")
    assert Checkpoint.load("own.pt").data["name"] == "own_data:digits"
    assert "own_data:digits: is Python code" in refused("scale", "own.pt", "--tmax", 2)
    tetviz("scale", "own.pt", "--tmax", 2, "--trust")
    tetviz("training-energy", "own.pt", "--samples", 8, "--trust")


def test_a_dot_for_the_colon_is_a_usage_error() -> None:
    for options, word in ((("--factory", "nets.build"), "module:function"), (("--data", "my.digits"), "with a colon")):
        result = run("import", "w.pth", "--timesteps", "4", "-o", "net.pt", *options)
        assert result.exit_code == 2 and word in result.stderr and isinstance(result.exception, SystemExit)
