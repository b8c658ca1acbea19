"""`tetviz energy` end to end on tiny networks: tables, figure, JSON and file agree; what a user can do wrong."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import strict_json, tetviz
from click.testing import Result

from tetviz import analysis
from tetviz.figures.formatting import plain_units, short
from tetviz.figures.views.energy import unit_of
from tetviz.models import ModelSpec, build
from tetviz.results import OperationCounts, load
from tetviz.results.schema import array_fields
from tetviz.summaries import convention_table, estimate_energy, layer_table, spike_table, wilson
from tetviz.training import Checkpoint, DataSpec, load_data

COST = """
name = "own"
source = "a data sheet"
mac = 2.0
ac = 0.5
mul = 1.5
add = 0.5
compare = 0.5
weight_bits = 16
state_bits = 16
"""


def network(path: Path, seed: int, data: DataSpec | None = None) -> Path:
    """An untrained network, small and loud enough to spike, of 3 steps; of digits, or of 2 classes of recordings."""
    digits = load_data("digits", split="test")
    shape = (2, 2, 16) if data else (10, digits.in_channels, digits.image_size)
    spec = ModelSpec("snn5", *shape, 0.0625, threshold=0.3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = build(spec).state_dict()
    Checkpoint(spec, state, 3, data=(data or digits.spec).to_dict()).save(path)
    return path


def recordings(folder: Path) -> DataSpec:
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (folder / split / label).mkdir(parents=True)
            for index in range(3):
                events = np.zeros(400, [("x", "u2"), ("y", "u2"), ("t", "i8"), ("p", "u1")])
                for name, high in (("x", 16), ("y", 16), ("t", 10**6), ("p", 2)):
                    events[name] = draw.integers(0, high, 400)
                np.save(folder / split / label / f"{index}.npy", np.sort(events, order="t"))
    return DataSpec("events", root=str(folder), image_size=16, frames=4, sensor=(16, 16))


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("energy")
    return [network(folder / f"{name}.pt", seed) for seed, name in enumerate(("sdt", "tet"))]


@pytest.fixture(scope="module")
def measured(nets: list[Path]) -> Result:
    return tetviz("energy", *nets, "--tmax", 5, "--samples", 20)


def counts_of(path: Path) -> OperationCounts:
    return load(path.with_name(f"{path.stem}.energy.h5"), OperationCounts)


def column(text: str, head: str, title: str) -> list[str]:
    """A column of the first table whose first line starts like head, read by where its title ends."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(head))
    end = lines[start].index(title) + len(title)
    cells = []
    for line in lines[start + 1 :]:
        if not line:
            break
        cells.append(line[:end].split("  ")[-1].strip())
    return cells


def test_files_and_figures_stand_beside_the_checkpoints(nets: list[Path], measured: Result) -> None:
    names = {path.name for path in nets[0].parent.iterdir()}
    assert names == {
        *(f"{name}{suffix}" for name in ("sdt", "tet") for suffix in (".pt", ".energy.h5", ".energy.png")),
        "sdt-tet.energy.png",
    }
    counts = counts_of(nets[1])
    assert (len(counts.timestep), len(counts.sample), counts.t_train) == (5, 20, 3)
    assert counts.ac.sum() > 0 and not list(counts.not_counted)
    assert "sdt-tet.energy.png" in measured.stderr


def test_tables_json_and_file_agree(nets: list[Path], measured: Result, tmp_path: Path) -> None:
    record = strict_json(
        tetviz("energy", nets[0], "--tmax", 5, "--samples", 20, "--json", "-o", tmp_path / "a.h5").stdout
    )[0]
    counts = counts_of(nets[0])
    for name, schema in array_fields(OperationCounts).items():
        again = getattr(load(tmp_path / "a.h5", OperationCounts), name)
        np.testing.assert_array_equal(getattr(counts, name), again, err_msg=str(schema))
    report = estimate_energy(counts)
    assert record["energy_pj"] == report.total_pj.tolist() and record["accuracy"] == counts.accuracy.tolist()
    assert record["layer"][-1] == "total" and record["notes"] == record["not_counted"] == []
    np.testing.assert_allclose(record["layer_pj"][-1], report.total_pj[2], rtol=1e-12)
    factor, unit = unit_of([report])
    unit, text = plain_units(unit), measured.stdout
    shown = [short(value / factor) for value in report.total_pj]
    assert column(text, "T   ", f"energy ({unit})") == shown
    ends = zip(100 * counts.accuracy, *(100 * each for each in wilson(counts.accuracy, 20)), strict=True)
    assert column(text, "T   ", "accuracy (%)") == [f"{share:.2f} [{low:.2f}, {high:.2f}]" for share, low, high in ends]
    assert column(text, "T   ", " AC") == [f"{value:,.0f}" for value in report.total_ac]
    conventions = convention_table(counts)
    printed = column(text, "convention, first layer", f"energy ({unit})")[:4]
    assert printed == [short(1e3 * value / factor) for value in conventions["energy (nJ)"]]
    assert "tet, per-step (headline)" in text
    layers = layer_table(report)
    assert column(text, "layer   ", f"energy ({unit})") == [short(1e3 * v / factor) for v in layers["energy (nJ)"]]
    spikes = spike_table(counts)["spikes/neuron"].iloc[-1]
    assert f"on average {spikes:.4f} spikes per neuron per inference" in text
    together = text[text.index("Accuracy and energy per sample") :]
    assert column(together, "T  sdt", f"sdt ({unit})") == shown


def test_a_shorter_run_is_the_beginning_of_a_longer_one(nets: list[Path], measured: Result, tmp_path: Path) -> None:
    longest = counts_of(nets[1])
    for tmax in (1, 4):
        tetviz("energy", nets[1], "--tmax", tmax, "--samples", 20, "-o", tmp_path / f"{tmax}.h5")
        counts = load(tmp_path / f"{tmax}.h5", OperationCounts)
        assert list(counts.names) == list(longest.names)
        np.testing.assert_array_equal(counts.ac, longest.ac[:, :tmax])
        np.testing.assert_array_equal(estimate_energy(counts).total_pj, estimate_energy(longest).total_pj[:tmax])


def test_conventions_change_the_price_and_no_count(nets: list[Path], measured: Result, tmp_path: Path) -> None:
    (tmp_path / "cost.toml").write_text(COST)
    plain = counts_of(nets[0])
    args = ("--convention", "strict", "--first-layer", "once", "--cost", tmp_path / "cost.toml", "--memory", "sram")
    result = tetviz(
        "energy", nets[0], "--tmax", 5, "--samples", 20, *args, "--norm-cost", "charge", "-o", tmp_path / "a.h5"
    )
    counts = load(tmp_path / "a.h5", OperationCounts)
    for name in array_fields(OperationCounts):
        np.testing.assert_array_equal(getattr(counts, name), getattr(plain, name))
    assert (counts.convention, counts.first_layer, counts.pool) == ("strict", "once", "mac")
    assert "strict, once (headline)" in result.stdout and "own (2 pJ a MAC, 0.5 pJ an AC)" in result.stdout
    assert "memory sram, high" in result.stdout and re.search(r"^norm mac +[\d,]+ +2 ", result.stdout, re.MULTILINE)
    (tmp_path / "cost.toml").unlink()
    tetviz("plot", tmp_path / "a.h5", "-o", tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_plot_draws_the_same_from_files(nets: list[Path], measured: Result, tmp_path: Path) -> None:
    files = [path.with_name(f"{path.stem}.energy.h5") for path in nets]
    tetviz("plot", *files, "-o", tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes() == nets[0].with_name("sdt-tet.energy.png").read_bytes()
    tetviz("plot", files[0], "--t", 1, "-o", tmp_path / "one.pdf")
    assert "1 to 5" in tetviz("plot", files[0], "--t", 6, "-o", tmp_path / "x.pdf", code=1).stderr
    assert "kind" in tetviz("info", files[0]).stdout


def test_the_default_tmax_is_that_of_training(nets: list[Path], tmp_path: Path) -> None:
    tetviz("energy", nets[0], "--samples", 4, "-o", tmp_path / "a.h5")
    assert len(load(tmp_path / "a.h5", OperationCounts).timestep) == 3


def test_zero_weights_can_be_no_synapses(tmp_path: Path) -> None:
    path = network(tmp_path / "a.pt", 0)
    content = torch.load(path, weights_only=True)
    name = next(name for name in content["state"] if name.endswith("conv.weight"))
    content["state"][name][..., 1, 1] = 0
    torch.save(content, path)
    tetviz("energy", path, "--samples", 4, "-o", tmp_path / "all.h5")
    tetviz("energy", path, "--samples", 4, "--skip-zero-weights", "-o", tmp_path / "some.h5")
    every, some = (load(tmp_path / f"{name}.h5", OperationCounts) for name in ("all", "some"))
    assert some.skip_zero_weights == 1 and 0 < some.mac.sum() < every.mac.sum()
    np.testing.assert_array_equal(some.ac, every.ac)


def test_what_is_not_counted_is_said(nets: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = analysis.compute_operations

    def partial(*args: Any, **options: Any) -> OperationCounts:
        lists = {"warnings": ("conv: odd values",), "not_counted": ("fold: unknown",)}
        return dataclasses.replace(compute(*args, **options), **lists)

    monkeypatch.setattr(analysis, "compute_operations", partial)
    result = tetviz("energy", nets[0], "--samples", 4, "-o", tmp_path / "a.h5")
    assert "warning: conv: odd values" in result.stderr
    assert "lower bounds, not counted: fold: unknown" in result.stderr
    tables = [
        block for block in result.stdout.split("\n\n") if "summed over steps 1..T" in block or "over steps" in block
    ]
    assert len(tables) == 5 and all("incomplete: fold: unknown" in table for table in tables)
    record = strict_json(tetviz("energy", nets[0], "--samples", 4, "--json", "-o", tmp_path / "b.h5").stdout)[0]
    assert record["not_counted"] == ["fold: unknown"] and record["warnings"] == ["conv: odd values"]


def test_a_network_of_batch_statistics_is_refused_by_the_name_of_its_layer(
    nets: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Checkpoint.model

    def without_statistics(self: Checkpoint, trust: bool = False) -> Any:
        network = model(self, trust=trust)
        name, norm = next((n, m) for n, m in network.named_modules() if isinstance(m, torch.nn.BatchNorm2d))
        norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
        layers.append(name)
        return network

    layers: list[str] = []
    monkeypatch.setattr(Checkpoint, "model", without_statistics)
    result = tetviz("energy", nets[0], "--samples", 8, "-o", tmp_path / "a.h5", code=1)
    assert layers[-1] in result.stderr and "track_running_stats" in result.stderr and result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_events_run_for_their_frames_and_their_first_layer_at_every_step(tmp_path: Path) -> None:
    path = network(tmp_path / "events.pt", 0, recordings(tmp_path / "data"))
    tetviz("energy", path, "-o", tmp_path / "a.h5")
    assert len(load(tmp_path / "a.h5", OperationCounts).timestep) == 3
    result = tetviz("energy", path, "--frames", 2, "--first-layer", "once", "-o", tmp_path / "b.h5")
    assert len(load(tmp_path / "b.h5", OperationCounts).timestep) == 2
    assert "no layer sees the same data at every step" in result.stdout
    before = sorted(tmp_path.iterdir())
    error = tetviz("energy", path, "--tmax", 5, "-o", tmp_path / "c.h5", code=1).stderr
    assert "4 frames" in error and "--frames" in error and "Traceback" not in error
    assert sorted(tmp_path.iterdir()) == before


REFUSED: dict[str, tuple[int, tuple[str, ...]]] = {
    "A --tmax 0": (2, ("--tmax", "x>=1")),
    "A --cost 45nm-fp23": (1, ("did you mean '45nm-fp32'", ".toml")),
    "A --cost none.toml": (1, ("none.toml", "no such cost model file")),
    "A --cost TEXT.toml": (1, ("TEXT.toml", "not a readable TOML file")),
    "A --cost SHORT.toml": (1, ("SHORT.toml", "missing", "weight_bits")),
    "A --cost A": (1, ("unknown cost model", "45nm-fp32")),
    "A --convention loose": (2, ("'tet', 'strict'",)),
    "A --first-layer twice": (2, ("'per-step', 'once'",)),
    "A --pool max": (2, ("'fold', 'mac'",)),
    "A --norm-cost batch": (2, ("'fold', 'charge'",)),
    "A --memory dram": (2, ("'none', 'flat', 'sram'",)),
    "A -o x.txt": (2, (".h5",)),
    "A -o missing/x.h5": (1, ("missing",)),
    "A B -o x.h5": (2, ("leave it out",)),
    "A A": (2, ("twice",)),
    "TEXT.toml": (1, ("TEXT.toml",)),
    "A none.pt": (1, ("none.pt",)),
    "A --data mnist": (1, ("--data-root",)),
    "A --frames 3": (1, ("--frames", "only for event data")),
    "A --device tpu": (1, ("--device tpu",)),
    "": (2, ("CKPT",)),
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_is_refused_in_a_line(
    command: str, nets: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, path in zip("AB", nets, strict=True):
        (tmp_path / name).write_bytes(path.read_bytes())
    (tmp_path / "TEXT.toml").write_text("name = ")
    (tmp_path / "SHORT.toml").write_text(COST.replace("weight_bits = 16\n", ""))
    before = sorted(tmp_path.iterdir())
    code, words = REFUSED[command]
    result = tetviz("energy", *command.split(), code=code)
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Error: ") and result.stdout == ""
    assert all(word in line for word in words), line
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_replaced_without_force(nets: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, path in zip("AB", nets, strict=True):
        (tmp_path / f"{name}.pt").write_bytes(path.read_bytes())
    for existing in ("A.energy.h5", "B.energy.png", "A-B.energy.png"):
        (tmp_path / existing).write_text("precious")
        error = tetviz("energy", "A.pt", "B.pt", "--samples", 4, code=1).stderr
        assert existing in error and "--force" in error
        assert (tmp_path / existing).read_text() == "precious" and len(list(tmp_path.iterdir())) == 3
        (tmp_path / existing).unlink()
    for existing in ("A.energy.h5", "A.energy.png"):
        (tmp_path / existing).write_text("precious")
    tetviz("energy", "A.pt", "--samples", 4, "--tmax", 1, "--force")
    assert all((tmp_path / existing).read_bytes() != b"precious" for existing in ("A.energy.h5", "A.energy.png"))
