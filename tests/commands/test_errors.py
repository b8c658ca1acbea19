"""What a user can do wrong: one clear line that names the cure, exit code 1 (2 for usage), nothing replaced."""

import io
import pickle
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cli_runs import bytes_in, refused, run
from PIL import Image

from tetviz.errors import CheckpointError
from tetviz.models import ModelSpec, build
from tetviz.training import Checkpoint

TRAIN = ("train", "--width", 0.0625, "--timesteps", 1, "--epochs", 1)
LANDSCAPE = ("--allow-chance", "--grid", 3, "--samples", 10)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "tet.pt"
    result = run(*TRAIN, "--data", "digits", "-o", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def tet(original: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tet.pt"
    path.write_bytes(original.read_bytes())
    return path


@pytest.fixture
def curve(tmp_path: Path, original: Path) -> Path:
    path = tmp_path / "tet.scale.h5"
    if not original.with_name("tet.scale.h5").exists():
        assert run("scale", original, "--tmax", 4, "--samples", 10).exit_code == 0
    path.write_bytes(original.with_name("tet.scale.h5").read_bytes())
    return path


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.marker), "w"))


class Estimator:
    """Stands for a scikit-learn model."""

    def __init__(self) -> None:
        self.coef_ = np.zeros(3)


def array_file() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(2))
    return buffer.getvalue()


def not_checkpoints(tet: Path, folder: Path) -> Iterator[str]:
    content = tet.read_bytes()
    samples: dict[str, Callable[[Path], Any]] = {
        "empty.pt": lambda path: path.write_bytes(b""),
        "text.pt": lambda path: path.write_text("hello"),
        "folder.pt": lambda path: path.mkdir(),
        "short.pt": lambda path: path.write_bytes(content[: len(content) // 2]),
        "state.pt": lambda path: torch.save({"weight": torch.zeros(3)}, path),
        "list.pt": lambda path: torch.save([1, 2], path),
        "tensor.pt": lambda path: torch.save(torch.zeros(2), path),
        "module.pt": lambda path: torch.save(torch.nn.Linear(2, 2), path),
        "estimator.pkl": lambda path: path.write_bytes(pickle.dumps(Estimator())),
        "estimator.pt": lambda path: torch.save(Estimator(), path),
        "hostile.pt": lambda path: torch.save({"state": Hostile(folder / "marker")}, path),
        "hostile.pkl": lambda path: path.write_bytes(pickle.dumps(Hostile(folder / "marker"))),
        "zip.pt": lambda path: zipfile.ZipFile(path, "w").close(),
        "npz.pt": lambda path: path.write_bytes(array_file()),
        "hdf5.pt": lambda path: h5py.File(path, "w").close(),
    }
    for name, make in samples.items():
        make(folder / name)
        yield name


def test_what_is_no_checkpoint_is_refused(tet: Path, tmp_path: Path) -> None:
    for name in ["missing.pt", *not_checkpoints(tet, tmp_path)]:
        for command in ("landscape", "scale"):
            line = refused(tmp_path, command, tmp_path / name, words=(name,))
            assert ("no such file" in line) == (name == "missing.pt")
        refused(tmp_path, "info", tmp_path / name, words=(name,))
        assert not (tmp_path / "marker").exists()
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("readme.txt", "no checkpoint")
    refused(tmp_path, "info", tmp_path / "other.pt")


def test_a_damaged_checkpoint_is_never_called_something_else(tet: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.pt"
    short.write_bytes(tet.read_bytes()[:-100])
    assert "HDF5" not in refused(tmp_path, "info", short)
    assert "HDF5" not in refused(tmp_path, "info", tmp_path / "missing.pt")


def loads_alike_or_not_at_all(path: Path, content: bytes, expected: Checkpoint) -> None:
    path.write_bytes(content)
    try:
        found = Checkpoint.load(path)
    except CheckpointError as error:
        assert "\n" not in str(error)
        return
    assert found.spec == expected.spec and found.history == expected.history
    assert all(torch.equal(tensor, expected.state[name]) for name, tensor in found.state.items())


def test_a_checkpoint_cut_short_anywhere_is_refused(original: Path, tmp_path: Path) -> None:
    content, path = original.read_bytes(), tmp_path / "x.pt"
    chance = random.Random(0)
    for length in [*range(30), *chance.sample(range(len(content)), 100), *range(len(content) - 30, len(content))]:
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            Checkpoint.load(path)


def test_a_flipped_bit_is_refused_or_harmless(original: Path, tmp_path: Path) -> None:
    content, expected = original.read_bytes(), Checkpoint.load(original)
    chance = random.Random(0)
    directory = content.find(b"PK\x01\x02")
    first = content.find(b"PK\x03\x04", 1)
    methods, start = [], directory
    while start >= 0:  # the compression method of each member, in the directory
        methods.append(start + 10)
        start = content.find(b"PK\x01\x02", start + 1)
    places = [*range(60), *range(first, first + 30), *range(len(content) - 100, len(content)), *methods]
    places += chance.sample(range(len(content)), 150) + chance.sample(range(directory, len(content)), 150)
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 8 if place in methods else 1 << chance.randrange(8)
        loads_alike_or_not_at_all(tmp_path / "x.pt", bytes(flipped), expected)


def changed(content: dict[str, Any], part: str, name: str, value: Any) -> None:
    content[part][name] = value


HALVES = [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2]


def cast_to(content: dict[str, Any], dtype: torch.dtype) -> None:
    content["state"] = {k: v.to(dtype) if v.is_floating_point() else v for k, v in content["state"].items()}


def wide(content: dict[str, Any], width: float) -> None:
    content["spec"]["width"] = width
    with torch.device("meta"):
        expected = build(ModelSpec(**content["spec"])).state_dict()
    content["state"] = {name: torch.zeros((), dtype=each.dtype).expand(each.shape) for name, each in expected.items()}


def unfolding(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner, inner]
    return inner


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "newer": lambda c: c.update(format_version=99),
    "no version": lambda c: c.pop("format_version"),
    "unknown model": lambda c: changed(c, "spec", "name", "resnet1999"),
    "spec with more": lambda c: changed(c, "spec", "more", 1),
    "no spec": lambda c: c.pop("spec"),
    "width inf": lambda c: changed(c, "spec", "width", float("inf")),
    "classes huge": lambda c: changed(c, "spec", "num_classes", 10**14),
    "leak text": lambda c: changed(c, "spec", "leak", "x"),
    "threshold none": lambda c: changed(c, "spec", "threshold", None),
    "other shape": lambda c: changed(c, "state", "classifier.weight", torch.zeros(10, 3)),
    "missing key": lambda c: c["state"].pop("classifier.bias"),
    "unknown key": lambda c: changed(c, "state", "more", torch.zeros(1)),
    "number as key": lambda c: changed(c, "state", 1, torch.zeros(1)),
    "nan": lambda c: changed(c, "state", "classifier.bias", torch.full((10,), float("nan"))),
    "integer weights": lambda c: c["state"].update({k: v.long() for k, v in c["state"].items()}),
    "sparse": lambda c: changed(c, "state", "classifier.weight", c["state"]["classifier.weight"].to_sparse()),
    "no tensors": lambda c: c.update(state={}),
    "state a list": lambda c: c.update(state=[]),
    "timesteps 0": lambda c: c.update(timesteps=0),
    "timesteps text": lambda c: c.update(timesteps="4"),
    "data with more": lambda c: changed(c, "data", "more", 1),
    "data unknown": lambda c: changed(c, "data", "name", "digts"),
    "data frames": lambda c: changed(c, "data", "frames", -1),
    "data sensor": lambda c: changed(c, "data", "sensor", [1]),
    "data text": lambda c: c.update(data="digits"),
    "no data": lambda c: c.update(data={}),
    **{
        f"{name} {value!r}": partial(changed, part="spec", name=name, value=value)
        for name in ("name", "norm", "neuron", "reset", "surrogate")
        for value in (3, None, ["x"], {})
    },
    **{
        f"data name {value!r}": partial(changed, part="data", name="name", value=value)
        for value in (3, None, ["digits"])
    },
    **{
        f"timesteps {value!r}": partial(lambda c, value: c.update(timesteps=value), value=value)
        for value in (10**9, 2**70, True, 1.0, float("nan"), None)
    },
    **{str(dtype): partial(cast_to, dtype=dtype) for dtype in HALVES},
    "depth": lambda c: c["spec"].update(name="cifar-resnet", options={"depth": 600_002}),
    "no numbers behind a width": lambda c: wide(c, 300.0),
    "options that are no options": lambda c: changed(c, "spec", "options", [1]),
    "an image of any size": lambda c: changed(c, "data", "image_size", 10**9),
    "history of text": lambda c: c.update(history=[{"loss": 3}]),
    "settings that hold themselves": lambda c: c["training"].update(more=c["training"]),
    "settings that unfold": lambda c: c["training"].update(more=unfolding(60)),
    "settings with tuples for names": lambda c: c["training"].update({("a", 1): 2}),
    "settings of tensors": lambda c: c["training"].update(seed=torch.zeros(1)),
    "a seed that is text": lambda c: c["training"].update(seed="x"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_checkpoint_with_a_fault_is_refused(fault: str, tet: Path, tmp_path: Path) -> None:
    content = torch.load(tet, weights_only=True)
    FAULTS[fault](content)
    path = tmp_path / "fault.pt"
    torch.save(content, path)
    refused(tmp_path, "landscape", path, *LANDSCAPE)
    refused(tmp_path, "scale", path, "--tmax", 2, "--samples", 10)


@pytest.mark.parametrize("fault", [{"data": None}, {"training": [1]}, {"history": [1]}, {"history": 3}])
def test_info_survives_a_strange_checkpoint(fault: dict[str, Any], tet: Path, tmp_path: Path) -> None:
    content = torch.load(tet, weights_only=True) | fault
    torch.save(content, tmp_path / "fault.pt")
    refused(tmp_path, "info", tmp_path / "fault.pt")


def npz(path: Path, **changes: Any) -> Path:
    rng = np.random.default_rng(0)
    arrays = {f"x_{part}": rng.integers(0, 255, (20, 16, 16), dtype=np.uint8) for part in ("train", "test")}
    arrays |= {f"y_{part}": np.arange(20) % 10 for part in ("train", "test")}
    np.savez(path, **{**arrays, **changes})
    return path


def test_data_that_do_not_fit_the_checkpoint(tet: Path, tmp_path: Path) -> None:
    colour = np.zeros((20, 16, 16, 3), np.uint8)
    cases: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
        "classes": ({"y_test": np.full(20, 11)}, ("10 classes", "12", "--data")),
        "channels": ({"x_train": colour, "x_test": colour}, ("1 channels", "3", "--data")),
        "negative": ({"y_test": np.arange(20) - 1}, ("y_test has -1",)),
        "enormous": ({"y_test": np.arange(20) + 10**9}, ("y_test",)),
        "fractions": ({"y_test": np.arange(20) / 2}, ("integer",)),
        "count": ({"y_test": np.arange(3)}, ("one integer label for each image",)),
        "nothing": ({"x_test": colour[:0], "y_test": np.arange(0)}, ("x_test",)),
    }
    for name, (changes, words) in cases.items():
        data = npz(tmp_path / f"{name}.npz", **changes)
        for command in ("landscape", "scale"):
            refused(tmp_path, command, tet, "--data", "npz", "--data-root", data, words=words)
    mnist = ("--data", "mnist", "--data-root", tet)
    refused(tmp_path, *TRAIN, *mnist, "-o", tmp_path / "x.pt", words=("--download",))
    refused(tmp_path, "landscape", tet, "--data", "npz", "--data-root", tet, words=("x_train",))


def test_data_that_are_not_there(tet: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "train" / "cat").mkdir(parents=True)
    (tmp_path / "empty" / "test" / "cat").mkdir(parents=True)
    (tmp_path / "bare").mkdir()
    (tmp_path / "events" / "cat").mkdir(parents=True)
    roots = ("empty", "bare", "events", "missing")
    for name in ("imagefolder", "events", "mnist", "cifar10", "npz", "imagenet"):
        for root in roots:
            words = (str(tmp_path / root),)
            command = (*TRAIN, "--data", name, "--data-root", tmp_path / root)
            refused(tmp_path, *command, "-o", tmp_path / "x.pt", words=words)
        refused(tmp_path, *TRAIN, "--data", name, "-o", tmp_path / "x.pt", words=("--data-root",))
    Image.new("RGB", (16, 16)).save(tmp_path / "empty" / "train" / "cat" / "a.png")
    (tmp_path / "empty" / "test" / "cat" / "a.png").write_bytes(b"no image")
    command = (*TRAIN, "--data", "imagefolder", "--data-root", tmp_path / "empty", "--image-size", 16)
    before = bytes_in(tmp_path)
    result = run(*command, "-o", tmp_path / "x.pt")
    assert result.exit_code == 1 and "a.png" in result.stderr.splitlines()[-1]
    assert before.items() <= bytes_in(tmp_path).items()


USAGE: dict[str, tuple[str, str]] = {
    "scale CKPT --tmax 0": ("--tmax", "x>=1"),
    "landscape CKPT --grid 1": ("--grid", "x>=3"),
    "landscape CKPT --grid 24": ("24 points", "odd"),
    "landscape CKPT --range 0:1": ("centre 0", "0:1"),
    "landscape CKPT --range a:b": ("--range", "-1:1"),
    "landscape CKPT --range -1:inf": ("range", "inf"),
    "landscape CKPT --range -inf:inf": ("range", "inf"),
    "landscape CKPT --range nan:nan": ("range", "nan"),
    "landscape CKPT --grid 3 --range -1e-12:1": ("centre 0", "miss"),
    "landscape CKPT --samples -1": ("--samples", "x>=0"),
    "landscape CKPT --timesteps 0": ("--timesteps", "x>=1"),
    "landscape CKPT --seed -1": ("--seed", "0<=x"),
    "landscape CKPT --seed 99999999999999999999": ("--seed", ""),
    "landscape CKPT --sensor 0x0": ("sensor", ""),
    "landscape CKPT --data digts": ("digts", "did you mean 'digits'"),
    "landscape CKPT --data MNIST": ("MNIST", "did you mean 'mnist'"),
    "landscape CKPT -o DIR/x.txt": ("x.txt", ".h5"),
    "landscape CKPT CKPT": ("twice", ""),
    "scale CKPT OTHER -o DIR/x.h5": ("-o", "leave it out"),
    "landscape": ("CKPT", ""),
    "plot CKPT": ("-o", ""),
    "train --data digits": ("-o", ""),
    "train -o DIR/x.pt": ("--data", ""),
    "train --data digits -o DIR/x": ("x", ".pt"),
    "train --data digits -o DIR/x.pt --model snn6": ("snn6", "did you mean 'snn5'"),
    "train --data digits -o DIR/x.pt --stage 2:3 --epochs 3": ("--stage", "leave out"),
    "train --data digits -o DIR/x.pt --stage 2:3 --timesteps 3": ("--stage", "leave out"),
    "train --data digits -o DIR/x.pt --stage 2": ("--stage", "T:EPOCHS"),
    "train --data digits -o DIR/x.pt --stage 0:2": ("--stage", "at least 1"),
    "train --data digits -o DIR/x.pt --switch tet": ("--switch", "tet@200"),
    "train --data digits -o DIR/x.pt --switch sdt@10": ("--switch", "after the last"),
    "train --data digits -o DIR/x.pt --image-size 4": ("image_size", "16"),
    "train --data digits -o DIR/x.pt --model-option stem=1": ("stem", "snn5"),
    "train --data digits -o DIR/x.pt --width nan": ("width", ""),
    "train --data digits -o DIR/x.pt --width inf": ("width", ""),
    "train --data digits -o DIR/x.pt --lr nan": ("lr", ""),
    "train --data digits -o DIR/x.pt --leak nan": ("leak", ""),
    "train --data digits -o DIR/x.pt --threshold nan": ("threshold", ""),
    "train --data digits -o DIR/x.pt --gamma nan": ("gamma", ""),
    "train --data digits -o DIR/x.pt --weight-decay nan": ("weight-decay", ""),
    "train --data digits -o DIR/x.pt --val-fraction nan": ("val-fraction", ""),
    "train --data digits -o DIR/x.pt --phi nan --loss total": ("phi", ""),
    "train --data digits -o DIR/x.pt --sensor 0x0": ("sensor", ""),
    "train --data digits -o DIR/x.pt --lr 1e300": ("lr", "1e+30"),
    "train --data digits -o DIR/x.pt --stage 2:1@1e300": ("stage", "positive"),
    "train --data digits -o DIR/x.pt --phi 1e300 --loss total": ("phi", "1e+30"),
    "train --data digits -o DIR/x.pt --workers 2000": ("workers", "1,024"),
    "train --data digits -o DIR/x.pt --sensor 99999999999999999999x2": ("sensor", "16384"),
    "train --data digits -o DIR/x.pt --image-size 20000": ("image_size", "16384"),
    "train --data digits -o DIR/x.pt --units 2000000": ("units", "1000000"),
    "train --data digits -o DIR/x.pt --stage 2:99999999999999999999": ("stage", "1,000,000"),
    "train --data digits -o DIR/x.pt --stage 1000001:2": ("stage", "1,000,000"),
    "scale CKPT --tmax 99999999999999999999": ("tmax", "1,000,000"),
    "scale CKPT --units 2000000": ("units", "1000000"),
    "scale CKPT --sensor 20000x2": ("sensor", "16384"),
}


@pytest.mark.parametrize("command", USAGE)
def test_usage_is_explained(command: str, tet: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(tet.read_bytes())
    places = {"CKPT": str(tet), "OTHER": str(other)}
    name, *words = command.split()
    args = [name, *(("--width", 0.0625) if name == "train" else ())]
    args += ("--epochs", 1) if name == "train" and "--stage" not in words else ()
    args += [places.get(word, word).replace("DIR", str(tmp_path)) for word in words]
    refused(tmp_path, *args, code=2, words=USAGE[command])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_what_the_group_itself_prints_on_a_full_disk_is_refused_in_a_line(option: str) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", "from tetviz.cli import main; main()", option],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (ended.returncode, ended.stderr) == (1, "Error: No space left on device; make room\n")


def test_no_arguments_show_the_help() -> None:
    result = run()
    assert result.exit_code == 2 and "landscape" in result.output and "Traceback" not in result.output


@pytest.mark.parametrize("place", ["nofolder", "tet.pt", "/proc", "."])
def test_outputs_that_cannot_be_written(place: str, tet: Path, curve: Path, tmp_path: Path) -> None:
    if place == "/proc" and not Path("/proc/self").exists():
        pytest.skip("needs /proc, where nobody can create a file")
    folder = tmp_path / place
    commands: dict[str, tuple[Any, ...]] = {
        "x.pt": (*TRAIN, "--data", "digits"),
        "x.h5": ("landscape", tet, *LANDSCAPE),
        "y.h5": ("scale", tet, "--tmax", 2, "--samples", 10),
        "x.png": ("plot", curve),
    }
    for name, command in commands.items():
        if place == ".":
            (tmp_path / name).mkdir()
            error = refused(tmp_path, *command, "-o", tmp_path / name, words=("folder",))
        else:
            result = run(*command, "-o", folder / name)
            assert result.exit_code == 1 and isinstance(result.exception, SystemExit), f"{result.exception!r}"
            error = result.stderr.splitlines()[-1]
        assert error.startswith("Error: ") and str(folder / name[0]) in error


NAMELESS = [".", "/", "", "a" * 300 + ".pt", "a" * 252 + ".pt", "a" * 245 + ".h5", "a" * 300 + ".h5"]


@pytest.mark.parametrize("name", NAMELESS, ids=lambda name: name[:3] + str(len(name)))
def test_names_that_no_file_can_have(name: str, tet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (
        (*TRAIN, "--data", "digits", "-o", name),
        ("landscape", name),
        ("landscape", tet, *LANDSCAPE, "-o", name),
        ("scale", name),
        ("info", name),
        ("plot", name, "-o", "x.png"),
        ("plot", tet, "-o", name),
    ):
        before = bytes_in(tmp_path)
        result = run(*command)
        assert result.exit_code in (1, 2), f"{command}: {result.output}"
        assert isinstance(result.exception, SystemExit), f"{command}: {result.exception!r}"
        assert bytes_in(tmp_path) == before


@pytest.mark.parametrize("place", ["tet.pt/demo", "/proc/demo"])
def test_demo_in_a_place_that_cannot_be(place: str, tet: Path, tmp_path: Path) -> None:
    refused(tmp_path, "demo", tmp_path / place)


def test_demo_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "tet.scale.h5").write_bytes(b"precious")
    refused(tmp_path, "demo", tmp_path, words=("tet.scale.h5", "--force"))


@pytest.mark.parametrize("log_dir", ["tet.pt", "/proc/logs"])
def test_a_log_folder_that_cannot_be(log_dir: str, tet: Path, tmp_path: Path) -> None:
    result = run(*TRAIN, "--data", "digits", "--log-dir", tmp_path / log_dir, "-o", tmp_path / "x.pt")
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), f"{result.exception!r}"


@pytest.mark.parametrize("device", ["nonsense", "meta", "cuda", "cuda:77"])
def test_devices_that_are_not_there(device: str, tet: Path, tmp_path: Path) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    (tmp_path / "tet.last.pt").write_bytes(b"precious")
    for command in (("landscape", tet), ("scale", tet), (*TRAIN, "--data", "digits", "--force", "-o", tet)):
        before = bytes_in(tmp_path)
        result = run(*command, "--device", device)
        assert result.exit_code == 1 and f"--device {device}" in result.stderr.splitlines()[-1]
        assert bytes_in(tmp_path) == before


def test_results_and_checkpoints_are_told_apart(tet: Path, curve: Path, tmp_path: Path) -> None:
    refused(tmp_path, "landscape", curve, words=("not a checkpoint",))
    refused(tmp_path, "plot", tet, "-o", tmp_path / "x.png", words=("tetviz result",))
    refused(tmp_path, "plot", tmp_path / "no.h5", "-o", tmp_path / "x.png", words=("no such file",))
    refused(tmp_path, "landscape", tet, *LANDSCAPE, "-o", curve, words=("--force",))
    (tmp_path / "text.h5").write_text("hello")
    refused(tmp_path, "landscape", tet, *LANDSCAPE, "-o", tmp_path / "text.h5", words=("--force",))


def test_damaged_results_are_refused(curve: Path, tmp_path: Path) -> None:
    content, path, chance = curve.read_bytes(), tmp_path / "x.h5", random.Random(0)
    image = content.rindex(b'{"attributes"')  # without what stands behind it a file is whole too
    for length in [0, 8, image - 1, *chance.sample(range(image), 40)]:
        path.write_bytes(content[:length])
        refused(tmp_path, "info", path, words=("x.h5",))
    path.write_bytes(content[:image])
    assert run("info", path).exit_code == 0
    for name, value in (("format_version", "9"), ("format_version", 9), ("kind", "graph"), ("kind", [1, 2])):
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value
        refused(tmp_path, "info", path)
    for missing in ("accuracy", "provenance", "timestep"):
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            del file[missing]
        refused(tmp_path, "info", path, words=(missing,))


def test_a_learning_rate_that_diverges_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    for optimizer in ("adam", "sgd"):
        path = tmp_path / f"{optimizer}.pt"
        result = run(*TRAIN, "--optimizer", optimizer, "--lr", 1e30, "--data", "digits", "-o", path)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        error = result.stderr.splitlines()[-1]
        assert "--lr" in error and f"{optimizer}.last.pt" in error
        for file in tmp_path.glob("*.pt"):
            Checkpoint.load(file)


def test_a_full_gpu_is_one_line(tet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 8 GiB.")

    monkeypatch.setattr("tetviz.commands.movable.measure", full)
    line = refused(tet.parent, "landscape", tet, "-o", tet.parent / "gpu.h5")
    assert line == "Error: CUDA out of memory; lower --batch-size"


@pytest.mark.parametrize("option", [("--framing", "count"), ("--frames", 9), ("--sensor", "3x3")])
@pytest.mark.parametrize("command", ["landscape", "scale"])
def test_event_options_are_refused_for_images(command: str, option: tuple[Any, ...], tet: Path) -> None:
    refused(tet.parent, command, tet, *option, "-o", tet.parent / "x.h5", words=(option[0], "only for event data"))


def test_a_stop_before_the_first_point_promises_no_file(tet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tetviz.commands.movable.measure", stop)
    target = tet.parent / "stopped.h5"
    result = run("landscape", tet, "-o", target)
    assert result.exit_code == 130
    assert "every finished point" not in result.stderr and not target.exists()
