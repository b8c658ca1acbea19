"""Files of checkpoint format 1 and result format 1, see tests/data/format-1: they open, are shown, and gone on with."""

import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_runs import refused, tetviz

from tetviz.results import KINDS, load, open_result, save
from tetviz.results.contents import MARK
from tetviz.training import Checkpoint, load_data, measure

FOLDER = Path(__file__).parent / "data" / "format-1"
RESULTS = sorted(FOLDER.glob("*.h5"))
INSTALLED = version("torch")  # as results record it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in FOLDER.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_they_are_small_and_all_there() -> None:
    names = {"README.md", "tiny.landscape.h5", "tiny.last.pt", "tiny.pt", "tiny.scale.h5"}
    assert {path.name for path in FOLDER.iterdir()} == names
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 200_000


def test_the_checkpoint_gives_the_numbers_that_were_measured_then() -> None:
    checkpoint = Checkpoint.load(FOLDER / "tiny.pt")
    curve = load(FOLDER / "tiny.scale.h5", KINDS["scaling"])
    model, data = checkpoint.model(), load_data("digits", split="test")
    found = measure(model, torch.utils.data.Subset(data, curve.sample.tolist()), 2)
    np.testing.assert_allclose(found.sdt_loss, curve.sdt_loss, rtol=1e-4)
    np.testing.assert_allclose(found.tet_loss, curve.tet_loss, rtol=1e-4)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_is_read_by_its_own_description(path: Path, tmp_path: Path) -> None:
    assert path.read_bytes().endswith(MARK)
    assert load(path).kind == ("scaling" if "scale" in path.name else "surface")
    tetviz("info", path)
    tetviz("plot", path, "-o", tmp_path / "figure.png")


def test_they_make_a_page(folder: Path) -> None:
    tetviz("report", *sorted(folder.glob("*.h5")), "-o", folder / "page.html")
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "Fewer and more timesteps" in page and "9 of 9" in page


def test_a_half_written_result_is_gone_on_with(folder: Path) -> None:
    path = folder / "tiny.landscape.h5"
    before = load(path, KINDS["surface"])
    with open_result(path) as growing:
        growing.done[0, 2] = 0
        growing.tet_loss[0, 2] = np.nan
    assert load(path).progress() == (6, 9)
    asked = ("--loss", "tet", "--grid", 3, "--samples", 20)
    if "bias=" not in repr(torch.nn.BatchNorm2d(1)):  # older ones print less of a network's settings
        words = (f"version of torch ({before.provenance.torch_version}, here {INSTALLED})",)
        refused(folder, "landscape", folder / "tiny.pt", *asked, "-o", path, words=words)
        return
    assert "6 of 9 are done" in tetviz("landscape", folder / "tiny.pt", *asked, "-o", path).stderr
    after = load(path, KINDS["surface"])
    assert after.progress() == (9, 9)
    np.testing.assert_allclose(after.tet_loss, before.tet_loss, rtol=1e-4)


def test_another_torch_that_tells_settings_otherwise_is_named(folder: Path) -> None:
    path = folder / "tiny.landscape.h5"
    found = load(path, KINDS["surface"])
    begun = replace(found.provenance, request="0" * 64, torch_version="2.5.0")
    save(path, replace(found, provenance=begun))
    asked = ("--loss", "tet", "--grid", 3, "--samples", 20)
    refused(folder, "landscape", folder / "tiny.pt", *asked, "-o", path, words=(f"(2.5.0, here {INSTALLED})",))


def test_a_training_is_gone_on_with(folder: Path) -> None:
    before = Checkpoint.load(folder / "tiny.last.pt")
    network = ("--model", "snn5", "--width", 0.05, "--timesteps", 2)
    tetviz(
        "train",
        "--data",
        "digits",
        *network,
        "--epochs",
        2,
        "--batch-size",
        8,
        "--lr",
        0.01,
        "-o",
        folder / "tiny.pt",
        "--resume",
    )
    after = Checkpoint.load(folder / "tiny.last.pt")
    assert (before.epoch, after.epoch) == (1, 2) and after.history[:1] == before.history


def test_a_newer_checkpoint_is_refused_in_a_line(folder: Path) -> None:
    content = torch.load(folder / "tiny.pt", weights_only=True)
    torch.save({**content, "format_version": 2}, folder / "newer.pt")
    refused(folder, "scale", folder / "newer.pt", words=("checkpoint format 2", "reads up to 1", "update tetviz"))
