"""Code of others: what is imported and when, foreign checkpoints, batches of any kind."""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from wording import refuses

from tetviz.errors import CheckpointError, DataError, ModelError
from tetviz.landscape import compute_surface, random_plane
from tetviz.models import Calling, ForeignSpec
from tetviz.training import Checkpoint, load_weights, measure, to_batches
from tetviz.training.factory import build_foreign, import_function

MODULE = """
import os
import sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, hidden=8, shape=(10,)):
        super().__init__()
        self.first, self.last = nn.Linear(16, hidden), nn.Linear(hidden, *shape)

    def forward(self, x_TB):
        return self.last((self.first(x_TB.flatten(2)).cumsum(0) > 0).to(x_TB))

build = Net
def fails(**_): raise OSError("no weights on this disk")
def number(): return 5
def a_class(): return Net
def lazy(): return nn.LazyLinear(3)
def leaves(): sys.exit("done")
def wrapped(): return nn.DataParallel(Net())
def compiled(): return torch.compile(Net())
def scripted(): return torch.jit.script(nn.Linear(16, 10))
def prints(): print("hello from the factory"); return Net()
def far_away(): os.chdir("/"); sys.path.clear(); torch.set_default_dtype(torch.float64); return Net()
def from_command_line(): return Net(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
ONE = Net()
def the_same(): return ONE
class Half(nn.Module):
    def __init__(self): super().__init__(); self.one, self.own = ONE.first, nn.Linear(1, 1)
class Extra(Net):
    def get_extra_state(self): return {"epoch": 1}
    def set_extra_state(self, state): pass
class Masked(Net):
    def __init__(self): super().__init__(); self.mask = torch.rand(10) > 0.5
    def forward(self, x_TB): return super().forward(x_TB) * self.mask
value = 3
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "my_nets.py").write_text(MODULE)
    (tmp_path / "broken_nets.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "loud.py").write_text("open('it-ran', 'w').close()\ndef build(): pass")
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("my_nets", "broken_nets", "loud"):
        sys.modules.pop(name, None)


def spec(factory: str = "my_nets:build", **arguments: Any) -> ForeignSpec:
    return ForeignSpec(factory, Calling("time-major", "time-major"), 10, 1, 4, arguments, 226)


def checkpoint(**arguments: Any) -> Checkpoint:
    torch.manual_seed(0)
    network = build_foreign(spec(**arguments), trust=True)
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    return Checkpoint(spec(**arguments), state, 4)


# --- functions ------------------------------------------------------------------------------------------------


def test_nothing_is_imported_without_trust() -> None:
    with refuses(ModelError, "loud:build 'loud' --trust"):
        import_function("loud:build", trust=False)
    assert "loud" not in sys.modules
    assert not Path("it-ran").exists()
    assert import_function("loud:build", trust=True)() is None
    assert Path("it-ran").exists()


def test_the_path_is_left_as_it_was() -> None:
    before = list(sys.path)
    import_function("my_nets:Net.forward", trust=True)
    build_foreign(spec(), trust=True)
    assert sys.path == before


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("my_netz:build", "my_netz:build my_netz 'my_netz'"),
        ("broken_nets:build", "'a_module_that_is_not_there'"),
        (
            "my_nets:biuld",
            "my_nets.py 'biuld' 'build'",
        ),
        ("my_nets:Net.backwards", "'backwards'"),
        ("my_nets:value", "type function"),
        ("my_nets:fails", "my_nets:fails"),
        ("my_nets:number", "something torch.nn.Module"),
        ("my_nets:a_class", "torch.nn.Module return"),
        ("my_nets:lazy", "shape until"),
        ("my_nets:leaves", "SystemExit done"),
        ("my_nets:scripted", "TorchScript module"),
        ("my_nets:Extra", "state_dict _extra_state"),
    ],
)
def test_factories_that_fail_are_one_line(factory: str, message: str) -> None:
    with refuses(ModelError, message) as caught:
        build_foreign(spec(factory), trust=True)
    assert "\n" not in str(caught.value)


def test_arguments_that_the_factory_does_not_take() -> None:
    with refuses(ModelError, "my_nets:build 'depth'"):
        build_foreign(spec(depth=3), trust=True)


@pytest.mark.parametrize("name", ["wrapped", "compiled"])
def test_what_only_runs_a_network_is_taken_off(name: str) -> None:
    assert type(build_foreign(spec(f"my_nets:{name}"), trust=True)).__name__ == "Net"


@pytest.mark.parametrize("factory", ["my_nets:the_same", "my_nets:Half"])
def test_a_factory_that_gives_a_module_twice_gets_copies(factory: str) -> None:
    first, second = (build_foreign(spec(factory), trust=True) for _ in range(2))
    before = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.fill_(7)
    assert all(torch.equal(tensor, before[name]) for name, tensor in first.state_dict().items())


def test_two_checkpoints_of_one_network_object_keep_their_own_weights() -> None:
    state = checkpoint().state
    filled = [{name: torch.full_like(each, value) for name, each in state.items()} for value in (1.0, 2.0)]
    models = [Checkpoint(spec("my_nets:the_same"), each, 4).model(trust=True) for each in filled]
    assert [model.state_dict()["network.first.bias"].tolist() for model in models] == [[1.0] * 8, [2.0] * 8]


def test_code_leaves_the_process_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tetviz", "7"])
    before = list(sys.path), random.getstate(), np.random.get_state()[1].tolist()
    build_foreign(spec("my_nets:far_away"), trust=True)
    assert Path.cwd() == tmp_path
    assert (list(sys.path), random.getstate(), np.random.get_state()[1].tolist()) == before
    assert torch.get_default_dtype() == torch.float32
    assert build_foreign(spec("my_nets:from_command_line"), trust=True).first.out_features == 3
    assert sys.argv == ["tetviz", "7"]
    build_foreign(spec("my_nets:prints"), trust=True)
    captured = capsys.readouterr()
    assert not captured.out
    assert "hello from the factory" in captured.err


@pytest.mark.parametrize(
    "text", ["build", "my_nets:", ":build", "my nets:build", "my_nets:build()", "os:system('x')", 3]
)
def test_what_names_no_function(text: Any) -> None:
    with refuses(ValueError, "module:function"):
        spec(text)


def test_arguments_that_no_checkpoint_could_hold() -> None:
    with refuses(ValueError, "arguments values"):
        spec(activation=nn.ReLU)


# --- checkpoints ----------------------------------------------------------------------------------------------


def test_a_foreign_checkpoint_comes_back(tmp_path: Path) -> None:
    path = checkpoint(hidden=5).save(tmp_path / "c.pt")
    sys.modules.pop("my_nets")
    (tmp_path / "my_nets.py").rename(tmp_path / "elsewhere.py")
    loaded = Checkpoint.load(path)  # runs no code
    assert "my_nets" not in sys.modules
    assert loaded.spec == spec(hidden=5)
    assert torch.load(path, weights_only=True)["spec"]["factory"] == "my_nets:build"
    with refuses(CheckpointError, "'my_nets' --trust"):
        loaded.model()
    (tmp_path / "elsewhere.py").rename(tmp_path / "my_nets.py")
    state = torch.get_rng_state()
    model = loaded.model(trust=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert model.timesteps == 4
    assert all(torch.equal(tensor, loaded.state[name]) for name, tensor in model.state_dict().items())


def test_weights_that_no_longer_fit_what_the_factory_builds(tmp_path: Path) -> None:
    path = checkpoint(hidden=5).save(tmp_path / "c.pt")
    Path("my_nets.py").write_text(MODULE.replace("self.last = ", "self.end = ").replace("self.last(", "self.end("))
    sys.modules.pop("my_nets")
    with refuses(CheckpointError, "network.end.bias network.last.bias"):
        Checkpoint.load(path).model(trust=True)


@pytest.mark.parametrize(
    "change",
    [
        {"factory": "my_nets"},
        {"factory": 3},
        {"calling": {"takes": "guess", "gives": "time-major"}},
        {"calling": None},
        {"calling": {"takes": ["step"], "gives": "step"}},
        {"num_classes": 0},
        {"arguments": [1]},
        {"surprise": 1},
    ],
)
def test_damaged_specs_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = checkpoint().save(tmp_path / "c.pt")
    content = torch.load(path, weights_only=True)
    torch.save({**content, "spec": content["spec"] | change}, path)
    with refuses(CheckpointError, "damaged description"):
        Checkpoint.load(path)


@pytest.mark.parametrize(
    "state", [None, {"network.first.weight": 3}, {1: torch.ones(1)}, {"w": torch.tensor(torch.nan)}]
)
def test_damaged_states_are_refused(tmp_path: Path, state: Any) -> None:
    path = checkpoint().save(tmp_path / "c.pt")
    content = torch.load(path, weights_only=True)
    torch.save({**content, "state": state}, path)
    with refuses(CheckpointError, "c.pt"):
        Checkpoint.load(path)


# --- weights --------------------------------------------------------------------------------------------------


def test_weights_in_every_usual_wrapping(tmp_path: Path) -> None:
    state = nn.Linear(2, 3).state_dict()
    torch.save(state, tmp_path / "plain.pth")
    torch.save({"model": state, "epoch": 3}, tmp_path / "wrapped.pth")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name, key in (("plain", ""), ("wrapped", "model"), ("wrapped", ""), ("old", "")):
        loaded = load_weights(tmp_path / f"{name}.pth", key)
        assert {n: t.tolist() for n, t in loaded.items()} == {n: t.tolist() for n, t in state.items()}


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_with_code_are_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> Any:
            return open, (str(marker), "w")

    torch.save({"weight": Hostile()}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with refuses(CheckpointError, "refused weights"):
        load_weights(tmp_path / "w.pth")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        ({"net": {"w": 1.0}, "lr": 0.1}, "", "state_dict 'net', 'lr'"),
        ({"net": {"w": torch.ones(1)}}, "model", "has no entry 'model'"),
        ([torch.ones(1)], "", "it is of type list"),
        ({}, "", "a dictionary of nothing"),
        ({"format": "tetviz-checkpoint"}, "", "is a tetviz checkpoint already"),
    ],
)
def test_what_holds_no_weights(tmp_path: Path, content: Any, key: str, message: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with refuses(CheckpointError, message):
        load_weights(tmp_path / "w.pth", key)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("weights")
    with refuses(CheckpointError, "text.pth"):
        load_weights(tmp_path / "text.pth")
    with refuses(CheckpointError, "such file"):
        load_weights(tmp_path / "none.pth")


# --- batches, in the API --------------------------------------------------------------------------------------


def test_any_loader_gives_the_same_profile_and_surface() -> None:
    model = checkpoint().model(trust=True)
    x, y = torch.randn(20, 1, 4, 4, generator=torch.Generator().manual_seed(2)), torch.arange(20) % 10
    sources: list[Any] = [
        DataLoader(TensorDataset(x, y), 20),
        DataLoader(TensorDataset(x, y, torch.ones(20)), 20),
        [(x, y.numpy(), "more")],
        [[x.numpy(), y.tolist()]],
        (x, y, y),
        TensorDataset(x, y, y),
        iter([(x, y)]),
    ]
    profiles = [measure(model, source, 3) for source in sources]
    for profile in profiles[1:]:
        assert np.array_equal(profile.sdt_loss, profiles[0].sdt_loss)
    surface = compute_surface(model, sources[1], random_plane(model, seed=0), grid=3, timesteps=3)
    assert surface.sdt_loss[0, 1, 1, -1] == profiles[0].sdt_loss[-1]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.ones(3, 1, 4, 4),), "batches labels"),
        ((torch.ones(3, 1, 4, 4), torch.ones(3)), "float32"),
        ((torch.ones(3, 1, 4, 4), torch.ones(3, 2).long()), "shape 3 2"),
        ((torch.ones(3, 6, 1, 4, 4), torch.ones(3).long()), "x_TBCHW"),
    ],
)
def test_batches_that_are_refused(batch: Any, message: str) -> None:
    with refuses(DataError, message):
        list(to_batches([batch]))
