"""Files of checkpoint format 1 and result format 1, see tests/data/format-1: they open, are shown, and gone on with."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_runs import refused, tetviz

from tetviz.results import KINDS, load
from tetviz.results.contents import MARK
from tetviz.training import Checkpoint, load_data, measure

FOLDER = Path(__file__).parent / "data" / "format-1"
RESULTS = sorted(FOLDER.glob("*.h5"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in FOLDER.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_they_are_small_and_all_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {
        "README.md",
        "half.landscape.h5",
        "tiny.landscape.h5",
        "tiny.pt",
        "tiny.scale.h5",
    }
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
    assert "Fewer and more timesteps" in page and "6 of 9 points" in page


def test_a_half_written_result_is_gone_on_with(folder: Path) -> None:
    tetviz(
        "landscape",
        folder / "tiny.pt",
        "--loss",
        "tet",
        "--grid",
        3,
        "--samples",
        20,
        "-o",
        folder / "half.landscape.h5",
    )
    half, whole = (load(folder / f"{name}.landscape.h5", KINDS["surface"]) for name in ("half", "tiny"))
    assert half.progress() == (9, 9)
    np.testing.assert_allclose(half.tet_loss, whole.tet_loss, rtol=1e-4)


def test_the_training_is_gone_on_with_from_nothing_newer(folder: Path) -> None:
    content = torch.load(folder / "tiny.pt", weights_only=True)
    torch.save({**content, "format_version": 2}, folder / "newer.pt")
    line = refused(folder, "scale", folder / "newer.pt", words=("format 2", "up to 1", "update tetviz"))
    assert "Traceback" not in line
