"""The scripts of the gallery run as they are, on tiny networks, and the page shows them as they are."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tetviz
from tetviz.analysis import compute_scaling
from tetviz.landscape import compute_surface, random_plane
from tetviz.models import ModelSpec, build
from tetviz.results import Provenance, save
from tetviz.training import Checkpoint, load_data

ROOT = Path(tetviz.__file__).resolve().parent
GALLERY = ROOT / "docs" / "gallery"
SCRIPTS = sorted(path.stem for path in GALLERY.glob("*.py"))
NEEDED_BESIDE = {"spikingjelly_network": "spikingjelly", "snntorch_network": "snntorch"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the scripts need of the folder that `tetviz demo` leaves, with untrained networks of a few filters."""
    folder = tmp_path_factory.mktemp("demo")
    digits, few = load_data("digits", split="test"), np.arange(8)
    for seed, label in enumerate(("sdt", "tet")):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            spec = ModelSpec("snn5", 10, digits.in_channels, digits.image_size, 0.05)
            checkpoint = Checkpoint(spec, build(spec).state_dict(), 4, data=digits.spec.to_dict())
        checkpoint.save(folder / f"{label}.pt")
        model, origin = checkpoint.model(), Provenance(label=label)
        surface = compute_surface(model, digits, random_plane(model, 0), 3, 2, indices=few, provenance=origin)
        save(folder / f"{label}.landscape.h5", surface)
        save(folder / f"{label}.scale.h5", compute_scaling(model, digits, 4, indices=few, provenance=origin))
    return folder


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_run(
    name: str, demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in NEEDED_BESIDE:
        pytest.importorskip(NEEDED_BESIDE[name])
    monkeypatch.chdir(demo)
    before = set(demo.iterdir())
    with torch.random.fork_rng(devices=[]):
        runpy.run_path(str(GALLERY / f"{name}.py"), run_name="__main__")
    assert bool(capsys.readouterr().out) == (GALLERY / f"{name}.txt").exists(), "printed lines are shown on the page"
    written = {path.name for path in set(demo.iterdir()) - before}
    assert f"{name}.png" in written or written <= {"report.html"}
    if f"{name}.png" in written:
        with Image.open(demo / f"{name}.png") as drawn, Image.open(GALLERY / f"{name}.png") as shown:
            assert len(drawn.convert("RGB").getcolors(maxcolors=drawn.width * drawn.height) or ()) > 50
            # Legends and headings grow with names, not the kind of picture.
            assert drawn.width / drawn.height == pytest.approx(shown.width / shown.height, rel=0.25)


def test_the_page_shows_the_scripts() -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate_gallery.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    page = (GALLERY / "index.md").read_text(encoding="utf-8")
    assert [name for name in SCRIPTS if f'title="{name}.py"' not in page] == []
    assert [path.name for path in GALLERY.glob("*.png") if f"]({path.name})" not in page] == []


def test_every_script_is_short_and_shows_something() -> None:
    for name in SCRIPTS:
        lines = (GALLERY / f"{name}.py").read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 40, f"{name}.py has {len(lines)} lines"
        assert (GALLERY / f"{name}.png").exists() or (GALLERY / f"{name}.txt").exists()
    assert sum(path.stat().st_size for path in GALLERY.glob("*.png")) < 2_000_000
