"""The pages on extending tetviz, followed to the letter in a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tetviz

ROOT = Path(tetviz.__file__).resolve().parent
BLOCK = re.compile(r"```(?:py|toml)(?: title=\"([^\"]+)\")?\n(.*?)```", re.DOTALL)

# What the numbered steps say: file, the text before which the line stands, and the line.
KIND = (
    ("results/kinds.py", "from tetviz.results.history", "from tetviz.results.confidence import Confidence\n"),
    ("results/kinds.py", "        BlockIsometry,\n    )", "        Confidence,\n"),
    ("results/__init__.py", "from tetviz.results.export", "from tetviz.results.confidence import Confidence\n"),
    ("results/__init__.py", '    "Curvature"', '    "Confidence",\n'),
    ("analysis/__init__.py", "\n__all__ = [", "from tetviz.analysis.confidence import compute_confidence\n"),
    ("analysis/__init__.py", '    "compute_isometry"', '    "compute_confidence",\n'),
    ("figures/registry.py", '    "isometry": ', '    "confidence": "tetviz.figures.views.confidence:VIEW",\n'),
    ("commands/choices.py", '    *("networks-table"', '    "confidence-table",\n'),
    (
        "commands/__init__.py",
        '    "plot": ',
        '    "confidence": ("confidence:confidence", "Measure how sure a network is."),\n',
    ),
)
PARTS = (
    ("models/spec.py", "from tetviz.models.convnets", "from tetviz.models.convnets import SNN3\n"),
    ("models/spec.py", '    "vggsnn": ', '    "snn3": SNN3,\n'),
    ("commands/choices.py", '    *("snn5"', '    "snn3",\n'),
    ("training/losses.py", '"sdt": sdt_loss', '"last": last_loss, '),
    ("commands/choices.py", '"sdt", "tet", "total", "mse", "trt")', '"last", '),
    (
        "training/data/registry.py",
        "from tetviz.training.data.arrays",
        "from tetviz.training.data.arrays import load_bars\n",
    ),
    ("training/data/registry.py", '    "digits": ', '    "bars": load_bars,\n'),
    ("commands/choices.py", '    *("digits"', '    "bars",\n'),
)


def blocks(page: str) -> list[tuple[str, str]]:
    """The code of a page: the file that it is, or nothing, and the text."""
    return BLOCK.findall((ROOT / "docs" / "extend" / page).read_text(encoding="utf-8"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for package in settings["packages"]:
        parts = package.split(".")
        target = tmp_path.joinpath(*parts)
        target.mkdir(parents=True)
        for file in ROOT.joinpath(*parts[1:]).glob("*.py"):
            shutil.copy(file, target)
    shutil.copytree(ROOT / "figures" / "report" / "assets", tmp_path / "tetviz" / "figures" / "report" / "assets")
    return tmp_path


def insert(copy: Path, edits: tuple[tuple[str, str, str], ...]) -> None:
    for name, before, line in edits:
        file = copy / "tetviz" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name}: {before!r}"
        file.write_text(text.replace(before, f"{line}{before}"), encoding="utf-8")


def run(copy: Path, *commands: str) -> list[str]:
    """What calls of tetviz print, in one process."""
    script = (
        "import sys, json, contextlib, io, tetviz.cli\n"
        "for line in sys.argv[1:]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as said:\n"
        "        tetviz.cli.main(line.split(), standalone_mode=False)\n"
        "    print(json.dumps(said.getvalue()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *commands],
        capture_output=True,
        text=True,
        check=False,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_kind_of_result(copy: Path) -> None:
    for name, text in blocks("result-kind.md"):
        (copy / "tetviz" / name).write_text(text, encoding="utf-8")
    insert(copy, KIND)
    _, told, _, table, *_ = run(
        copy,
        "train --data digits --width 0.05 --epochs 1 -o tet.pt",
        "confidence tet.pt --tmax 2 --samples 20",
        "plot tet.confidence.h5 -o again.pdf",
        "info tet.confidence.h5",
        "plot tet.confidence.h5 --figure confidence-table -o table.tex",
        "report tet.confidence.h5 -o report.html",
        "export tet.confidence.h5 --to csv",
    )
    assert "T  confidence  accuracy  overconfidence" in told
    assert "than right at the longest T" in told
    assert "confidence" in table
    assert all(
        (copy / name).exists() for name in ("tet.confidence.png", "again.pdf", "table.tex", "tet.confidence.csv")
    )
    assert "How sure it is" in (copy / "report.html").read_text(encoding="utf-8")


def test_a_network_a_loss_a_data_set_and_a_cost_model(copy: Path) -> None:
    network, loss, data, cost, preset = (text for _, text in blocks("parts.md"))
    package = copy / "tetviz"
    with (package / "models" / "convnets.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{network}")
    insert(copy, PARTS)
    insert(
        copy,
        (
            ("training/losses.py", "def make_loss", f"{loss}\n\n"),
            ("training/data/arrays.py", "def load_npz", f"{data}\n\n"),
            ("summaries/costs.py", '        _arithmetic("45nm-int8", ', f"        {preset.strip()},\n"),
        ),
    )
    (copy / "22nm.toml").write_text(cost, encoding="utf-8")
    _, _, mine, ours = run(
        copy,
        "train --model snn3 --loss last --data digits --epochs 1 -o snn3.pt",
        "train --data bars --width 0.05 --epochs 1 -o bars.pt",
        "energy snn3.pt --cost 22nm.toml --samples 2",
        "energy bars.pt --cost 45nm-int16 --samples 2",
    )
    assert "22nm" in mine
    assert "45nm-int16" in ours
