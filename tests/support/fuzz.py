"""Mutated files over all readers: each is read, or refused in one line, within a limit of time and memory.

``python tests/support/fuzz.py --count 100000`` does it at length (``make fuzz``); the suite takes a share. Mutation
number n of a reader is the same on every machine, so a finding is named by its reader and number.
"""

import argparse
import copy
import io
import json
import math
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import h5py
import nir
import numpy as np
import torch
from every_kind import KINDS
from graphs import write_graph
from nir_graphs import lif
from PIL import Image
from planted_results import planted_surface

from tetviz.commands.command import _take_defaults
from tetviz.commands.scale import scale
from tetviz.errors import TetvizError, printable
from tetviz.figures import printed
from tetviz.figures.report.blocks import Source
from tetviz.figures.report.origins import origin
from tetviz.figures.report.origins import warnings as sayings
from tetviz.models import GraphSpec, ModelSpec, build
from tetviz.results import export_result, save
from tetviz.results.loss_landscape import load_any
from tetviz.summaries import load_cost
from tetviz.training import Checkpoint, load_data, read_nir, training_history
from tetviz.training.checkpoint import load_weights
from tetviz.training.data import DataSpec

SECONDS, MEMORY = 60, 6 * 2**30  # the first reading imports what it needs
ODD: list[Any] = [
    *(
        0,
        -1,
        1,
        2**31,
        2**62,
        2**70,
        1.5,
        float("nan"),
        float("inf"),
        1e308,
        True,
        None,
        "",
        "x",
        "[]",
        "{}",
        "\x1b[31m\n",
    ),
    *([], {}, [1, [2]], {"a": 1}, {1: 2}, ("a", 1), "9" * 5000, "[" * 2000),
]
INTEGERS = [struct.pack("<q", each) for each in (0, -1, 1, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1)]


def bytes_mutated(content: bytes, rng: random.Random) -> bytes:
    """A file with a few of its bytes changed, or cut, doubled, emptied."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        at = rng.randrange(len(data) + 1)
        size = rng.choice([1, 2, 8, 64, 512, 2048])
        how = rng.randrange(8)
        if how == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif how == 1 and data:
            data[at % len(data)] = rng.choice([0, 255, 127, 128, rng.randrange(256)])
        elif how == 2:
            data[at : at + size] = bytes(len(data[at : at + size]))
        elif how == 3:
            del data[at : at + size]
        elif how == 4:
            data[at:at] = data[at : at + size]
        elif how == 5:
            data[at : at + 8] = rng.choice(INTEGERS)
        elif how == 6:
            data[at : at + size] = rng.randbytes(len(data[at : at + size]))
        else:
            del data[max(at, 1) :]
    return bytes(data)


def value_mutated(content: Any, rng: random.Random) -> Any:
    """Plain values and tensors with one of them replaced, or gone."""
    content = copy.deepcopy(content)
    node = content
    while True:
        names: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not names:
            return content
        name = rng.choice(names)
        child = node[name]
        if isinstance(child, dict | list) and child and rng.random() < 0.8:
            node = child
            continue
        how = rng.random()
        if how < 0.1:
            del node[name]
        elif isinstance(child, torch.Tensor) and how < 0.8:
            node[name] = rng.choice(
                [
                    child.to(torch.bfloat16),
                    child.half(),
                    child.to(torch.float8_e4m3fn),
                    child.to(torch.complex64),
                    child.flatten()[:1],
                    torch.zeros(()).expand(10**4, 10**4),
                    child.to_sparse() if child.dim() else child.long(),
                    torch.full_like(child, 3) * float("nan"),
                    torch.nn.Parameter(child.float()),
                ]
            )
        else:
            node[name] = rng.choice(ODD)
        return content


def hdf5_mutated(path: Path, rng: random.Random) -> None:
    """A result with an attribute or some numbers replaced, by another program."""
    with h5py.File(path, "r+") as file:
        node = rng.choice([file, file, file["provenance"]])
        if rng.random() < 0.5:
            name = rng.choice(list(node.attrs))
            value = rng.choice(
                [*ODD, json.dumps([1, 2]), json.dumps({"loss": 3, "seed": "x", "options": 1}), np.arange(3)]
            )
            value = (
                json.dumps(value)
                if isinstance(value, dict | tuple) or value is None or (type(value) is int and value > 2**62)
                else value
            )
            node.attrs[name] = value if not (isinstance(value, list) and value and isinstance(value[-1], list)) else 7
            return
        name = rng.choice([each for each in file if isinstance(file[each], h5py.Dataset)])
        values = file[name][...]
        if rng.random() < 0.3:
            del file[name]
            shape = tuple(rng.choice([0, 1, size, size + 1, 10**6]) for size in values.shape)
            shape = shape if math.prod(shape) < 2**50 else shape[:1]  # what HDF5 can declare
            file.create_dataset(name, shape, values.dtype, chunks=rng.choice([None, True]) if 0 not in shape else None)
            return
        if values.size:
            info = np.iinfo(values.dtype) if values.dtype.kind in "iu" else None
            odd = (
                [info.min, info.max, 0, -1, 7] if info else [np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, -1.0, 1e-320]
            )
            values.flat[rng.randrange(values.size)] = rng.choice(odd)
            if rng.random() < 0.2:
                values[...] = rng.choice(odd)
            file[name][...] = values


def save_some_result(path: Path, rng: random.Random) -> None:
    save(path, rng.choice(list(KINDS.values()))()[0])


def make_result(path: Path, rng: random.Random) -> None:
    save_some_result(path, rng)
    if rng.random() < 0.3:
        hdf5_mutated(path, rng)
    else:
        path.write_bytes(bytes_mutated(path.read_bytes(), rng))


def make_values(path: Path, rng: random.Random) -> None:
    save_some_result(path, rng)
    hdf5_mutated(path, rng)


def read_result(path: Path) -> None:
    """Reads a result and shows all that needs no picture."""
    result = load_any(path)
    source = Source(path, result, "0" * 64)
    printed([result])
    origin(source), sayings(source), result.to_frame()


def make_landscape(path: Path, rng: random.Random) -> None:
    export_result(path, planted_surface(size=5), "loss-landscape", force=True)
    path.write_bytes(bytes_mutated(path.read_bytes(), rng))


SPEC = ModelSpec("snn5", num_classes=3, in_channels=1, image_size=16, width=0.0625)
RECORD = {"epoch": 1, "timesteps": 2, "loss": "tet", "lr": 0.1, "train_loss": 1.0, "test_accuracy": 0.5}


def checkpoint() -> dict[str, Any]:
    torch.manual_seed(0)
    settings = {"loss": "tet", "seed": 0, "stages": ["2:1"], "switch": "", "lamb": 0.05}
    data = DataSpec("digits").to_dict()
    history = [RECORD | {f"test_{name}": 0.5 for name in ("sdt_loss", "tet_loss")}]
    content = {"spec": SPEC.to_dict(), "state": dict(build(SPEC).state_dict()), "timesteps": 2, "training": settings}
    content |= {"data": data, "history": history, "epoch": 1, "resume": {}}
    return content | {"format": "tetviz-checkpoint", "format_version": 1}


def make_checkpoint(path: Path, rng: random.Random) -> None:
    torch.save(checkpoint(), path)
    path.write_bytes(bytes_mutated(path.read_bytes(), rng))


def make_content(path: Path, rng: random.Random) -> None:
    content: Any = value_mutated(checkpoint(), rng)
    if rng.random() < 0.05 and isinstance(training := content.get("training"), dict):
        training["itself"] = training
    torch.save(content, path)


def read_checkpoint(path: Path) -> None:
    found = Checkpoint.load(path)
    found.model()
    training_history(found)


def make_npz(path: Path, rng: random.Random) -> None:
    images, labels = np.arange(10 * 256, dtype=np.uint8).reshape(10, 16, 16), np.arange(10)
    write = rng.choice([np.savez, np.savez_compressed])
    write(path, x_train=images, y_train=labels, x_test=images, y_test=labels, classes=np.array(list("abcdefghij")))
    path.write_bytes(bytes_mutated(path.read_bytes(), rng))


def make_planetoid(path: Path, rng: random.Random) -> None:
    arrays = dict(np.load(write_graph(path)))
    for name in rng.sample(sorted(arrays), rng.randint(0, 2)):
        flat = arrays[name].reshape(-1)
        flat[rng.randrange(len(flat))] = rng.choice([-1, 0, 1, 2, 100, 127])
    rng.choice([np.savez, np.savez_compressed])(path, **arrays)
    if rng.random() < 0.5:
        path.write_bytes(bytes_mutated(path.read_bytes(), rng))


def make_events(path: Path, rng: random.Random) -> None:
    events = np.zeros(50, dtype=[("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i1")])
    events["x"], events["y"], events["t"] = np.arange(50) % 8, np.arange(50) % 8, np.arange(50)
    for part in ("train", "test"):
        folder = path / part / "a"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "0.npy", events)
    (folder / "0.npy").write_bytes(bytes_mutated((folder / "0.npy").read_bytes(), rng))


def make_columns(path: Path, rng: random.Random) -> None:
    suffix = rng.choice([".h5", ".npz"])
    columns: dict[str, Any] = {name: np.arange(50) % 8 for name in "xyt"} | {"p": np.arange(50) % 2}
    for part in ("train", "test"):
        folder = path / part / "a"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        file = folder / f"0{suffix}"
        if suffix == ".npz":
            np.savez_compressed(file, **columns)
            continue
        with h5py.File(file, "w") as written:
            for name, values in columns.items():
                written.create_dataset(f"events/{name}", data=values, chunks=True, compression="gzip")
    file.write_bytes(bytes_mutated(file.read_bytes(), rng))


def make_frames(path: Path, rng: random.Random) -> None:
    for part in ("train", "test"):
        folder = path / part / "a"
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "0.npz", frames=np.ones((2, 2, 8, 8), np.float32))
    (folder / "0.npz").write_bytes(bytes_mutated((folder / "0.npz").read_bytes(), rng))


def make_spikes(path: Path, rng: random.Random) -> None:
    path.mkdir(exist_ok=True)
    for part in ("train", "test"):
        with h5py.File(path / f"{part}.h5", "w") as file:
            for name, kind in (("times", np.float32), ("units", np.int32)):
                rows = file.create_dataset(f"spikes/{name}", (4,), h5py.vlen_dtype(kind))
                for at in range(4):
                    rows[at] = np.arange(at + 2, dtype=kind)
            file["labels"] = np.arange(4)
    file = path / "test.h5"
    file.write_bytes(bytes_mutated(file.read_bytes(), rng))


def make_nir(path: Path, rng: random.Random) -> None:
    nodes = {
        "input": nir.Input(np.array([3])),
        "a": nir.Affine(np.ones((4, 3), np.float32), np.zeros(4, np.float32)),
        "n": lif((4,), 2, 2.0),
        "b": nir.Linear(np.ones((2, 4), np.float32)),
        "output": nir.Output(np.array([2])),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes))))
    if rng.random() < 0.5:
        path.write_bytes(bytes_mutated(path.read_bytes(), rng))
        return
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        name = rng.choice(names)
        del file[name]
        odd: list[Any] = [0, -1, 2**62, 1.5, float("nan"), float("inf"), "x", "LIF", [1, 2], [[1.0]], np.zeros((0, 3))]
        if rng.random() < 0.8:
            file[name] = rng.choice(odd)


def make_safetensors(path: Path, rng: random.Random) -> None:
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for at, name in enumerate(("a.weight", "a.bias")):
        table[name] = {"dtype": "F32", "shape": [2, 1], "data_offsets": [8 * at, 8 * at + 8]}
    header = json.dumps(value_mutated(table, rng) if rng.random() < 0.5 else table, default=str).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(16)
    path.write_bytes(content if rng.random() < 0.3 else bytes_mutated(content, rng))


def make_graph(path: Path, rng: random.Random) -> None:
    nodes = {
        "a": {"kind": "conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": [3, 3], "inputs": ["input"]},
        "n": {"kind": "lif", "leak": 0.5, "threshold": 1.0, "width": 1.0, "inputs": ["a"], "shape": [2, 6, 6]},
        "f": {"kind": "flatten", "start_dim": 1, "end_dim": -1, "inputs": ["n"], "shape": [72]},
        "l": {"kind": "linear", "in_features": 72, "out_features": 3, "bias": True, "inputs": ["f"], "shape": [3]},
    }
    nodes["a"] |= {"stride": [1, 1], "padding": [0, 0], "shape": [2, 6, 6]}
    spec = GraphSpec(3, 1, 8, [1, 8, 8], nodes, ["l"])
    content = {**checkpoint(), "spec": spec.to_dict(), "state": dict(build(spec).state_dict())}
    part = "spec" if rng.random() < 0.8 else "state"
    torch.save({**content, part: value_mutated(content[part], rng)}, path)


def read_graph(path: Path) -> None:
    found = Checkpoint.load(path)
    with torch.no_grad():
        found.model()(torch.zeros(2, 1, *found.spec.input_shape))  # type: ignore[union-attr]


def make_images(path: Path, rng: random.Random) -> None:
    for part in ("train", "test"):
        folder = path / part / "a"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(folder / "0.png")
    kind, content = rng.choice(["PNG", "GIF", "BMP", "TIFF", "JPEG", "PPM", "WEBP"]), io.BytesIO()
    Image.new("RGB", (16, 16), (1, 2, 3)).save(content, kind)
    (folder / "0.png").write_bytes(bytes_mutated(content.getvalue(), rng))


def make_mnist(path: Path, rng: random.Random) -> None:
    raw = path / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    images = struct.pack(">IIII", 2051, 4, 28, 28) + bytes(4 * 28 * 28)
    labels = struct.pack(">II", 2049, 4) + bytes([0, 1, 2, 3])
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    victim = raw / rng.choice(["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
    victim.write_bytes(bytes_mutated(victim.read_bytes()[: rng.choice([None, 16])], rng))


def read_samples(name: str, **settings: Any) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        for split in ("train", "test"):
            data = load_data(name, split=split, root=str(path), **settings)
            for index in range(min(4, len(data))):
                _ = data[index]

    return read


COST = b"""name = "mine"
source = "a paper"
mac = 4.6
ac = 0.9
mul = 3.7
add = 0.9
compare = 0.9
weight_bits = 32
state_bits = 32
memory = "flat"
"""


def make_toml(path: Path, rng: random.Random) -> None:
    content = bytes_mutated(COST, rng)
    value = rng.choice([b"[]", b"{}", b"9" * 5000, b"[" * 5000, b"nan", b"1979-05-27", b'"\\u001b"', b"true"])
    if rng.random() < 0.5:
        lines = COST.splitlines()
        at = rng.randrange(len(lines))
        lines[at] = lines[at].partition(b"=")[0] + b"= " + value
        content = b"\n".join(lines)
    path.write_bytes(content)


def read_config(path: Path) -> None:
    with click.Context(scale) as context:
        _take_defaults(context, scale.params[0], path)


# What makes a file, its name, and what reads it.
READERS: dict[str, tuple[Callable[[Path, random.Random], None], str, Callable[[Path], None]]] = {
    "result": (make_result, "a.h5", read_result),
    "values": (make_values, "a.h5", read_result),
    "loss-landscape": (make_landscape, "a.h5", read_result),
    "checkpoint": (make_checkpoint, "a.pt", read_checkpoint),
    "content": (make_content, "a.pt", read_checkpoint),
    "weights": (make_content, "a.pt", lambda path: bool(load_weights(path, "state"))),  # type: ignore[dict-item]
    "npz": (make_npz, "a.npz", read_samples("npz")),
    "planetoid": (make_planetoid, "a.npz", read_samples("planetoid")),
    "events": (make_events, "events", read_samples("events", frames=2)),
    "columns": (make_columns, "columns", read_samples("events", frames=2)),
    "frames": (make_frames, "frames", read_samples("events")),
    "spikes": (make_spikes, "spikes", read_samples("hdf5-spikes", frames=2)),
    "nir": (make_nir, "a.nir", lambda path: bool(read_nir(path))),  # type: ignore[dict-item]
    "safetensors": (make_safetensors, "a.safetensors", lambda path: bool(load_weights(path))),  # type: ignore[dict-item]
    "graph": (make_graph, "a.pt", read_graph),
    "images": (make_images, "images", read_samples("imagefolder", image_size=16)),
    "mnist": (make_mnist, "mnist", read_samples("mnist")),
    "cost": (make_toml, "a.toml", lambda path: bool(load_cost(path))),  # type: ignore[dict-item]
    "config": (make_toml, "a.toml", read_config),
}


def work(name: str, start: int, stop: int, folder: Path) -> None:
    """Reads mutations of a reader in this process, saying the number of each before it, and what is amiss behind."""

    def late(number: int, frame: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    make, suffix, read = READERS[name]
    for number in range(start, stop):
        print(number, flush=True)
        path = folder / suffix
        make(path, random.Random(f"{name} {number}"))
        signal.alarm(SECONDS)
        try:
            read(path)
        except (TetvizError, click.ClickException) as error:
            said = printable(str(error)) if isinstance(error, TetvizError) else "-"
            if "\n" in str(error) or len(said) > 2000:
                print(f"! not a line: {said[:300]}", flush=True)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            told = printable(f"{type(error).__name__}: {error}")[:200]
            frames = [
                each
                for each in traceback.extract_tb(error.__traceback__)
                if "tetviz" in each.filename or "/wt/" in each.filename
            ]
            inside = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
            print(f"! {told} at {Path(where.filename).name}:{where.lineno}, {inside}", flush=True)
        finally:
            signal.alarm(0)


def findings(name: str, start: int, stop: int) -> Iterator[str]:
    """What is amiss with mutations start to stop of a reader, each in a process that is replaced when it dies."""
    while start < stop:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--work", name, str(start), str(stop), folder]
            # A limit for all, for code that hears no alarm.
            try:
                run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS * 3 + (stop - start) * 2)
                out, ended = run.stdout, run.returncode
            except subprocess.TimeoutExpired as late:
                out, ended = (late.stdout or b"").decode(), -signal.SIGKILL
        number = start
        for line in out.splitlines():
            if line.startswith("! "):
                yield f"{name} {number}: {line[2:]}"
            elif line.isdecimal():
                number = int(line)
        if ended == 0:
            return
        why = run.stderr.strip().splitlines()[-1:] if ended > 0 else f"signal {-ended}"
        yield f"{name} {number}: the process ended with {why}"
        start = number + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1200, help="mutations, over all readers")
    parser.add_argument("--start", type=int, default=0, help="number of the first of each reader")
    parser.add_argument("--readers", nargs="*", default=list(READERS))
    parser.add_argument("--work", nargs=4, metavar=("NAME", "START", "STOP", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        name, start, stop, folder = given.work
        work(name, int(start), int(stop), Path(folder))
        return
    each, found = -(-given.count // len(given.readers)), 0
    for name in given.readers:
        for finding in findings(name, given.start, given.start + each):
            print(finding, flush=True)
            found += 1
        print(f"{name}: {each} mutations", file=sys.stderr, flush=True)
    print(f"{found} findings in {each * len(given.readers)} mutations", file=sys.stderr)
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
