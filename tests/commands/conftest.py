"""A small training run that all commands which move a network are tried on, once for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cli_runs import strict_json, tetviz
from click.testing import Result
from data_sets import write_digits
from killed_runs import Server, serving
from moved_run import (
    COMMANDS,
    EPOCHS,
    KEEPING,
    KEPT,
    NAMES,
    command_of,
    same_datasets,
    undrawn,
)


@pytest.fixture
def quick() -> Iterator[pytest.MonkeyPatch]:
    with undrawn() as patch:
        yield patch


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "small.npz"
    write_digits(path, train=400, test=60)
    return path


@pytest.fixture(scope="session")
def tet(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs with all of them kept; beside it same.pt, other.pt, early.pt and chance.pt."""
    path = tmp_path_factory.mktemp("runs") / "tet.pt"
    tetviz(*KEEPING, "--data-root", data, "--epochs", EPOCHS, "-o", path)
    kept = path.with_name("tet.kept")
    last = kept / f"epoch-{EPOCHS:04d}.pt"
    for name, source in (
        ("tet", last),
        ("same", last),
        ("other", kept / "epoch-0002.pt"),
        ("early", kept / "epoch-0001.pt"),
        ("chance", kept / "epoch-0000.pt"),
    ):
        path.with_name(f"{name}.pt").write_bytes(source.read_bytes())
    return path


@pytest.fixture
def run(tet: Path, tmp_path: Path) -> Path:
    """The run in a folder of its own."""
    (tmp_path / "tet.kept").mkdir()
    names = [f"{name}.pt" for name in ("tet", "same", "other", "early", "chance")]
    for name in (*names, *(f"tet.kept/{name}" for name in KEPT)):
        (tmp_path / name).write_bytes((tet.parent / name).read_bytes())
    return tmp_path / "tet.pt"


@pytest.fixture(scope="session")
def measured(tet: Path) -> dict[str, Result]:
    """Every command with its table."""
    with undrawn():
        return {name: tetviz(*command_of(name, tet)) for name in COMMANDS}


@pytest.fixture(scope="session")
def records(tet: Path, measured: dict[str, Result], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every command with --json, into copies of the files that lack one point."""
    folder, found = tmp_path_factory.mktemp("json"), {}
    with undrawn():
        for name in COMMANDS:
            target = folder / NAMES[name]
            for path in (target, target.with_suffix(".pt")):
                if (source := tet.with_name(path.name)).exists():
                    path.write_bytes(source.read_bytes())
            with h5py.File(target, "r+") as file:
                last = tuple(size - 1 for size in file["done"].shape)
                file["done"][last] = 0
                file["sdt_loss"][last] = np.nan
            result = tetviz(*command_of(name, tet), "--json", "-o", target)
            found[name] = strict_json(result.stdout)
            assert "resumed" in result.stderr
            same_datasets(target, tet.with_name(NAMES[name]))
    return found


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    if not Path("/proc/self").exists() or not hasattr(os, "fork"):
        pytest.skip("needs fork and /proc")
    with serving() as server:
        yield server
