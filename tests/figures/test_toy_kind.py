"""A kind of result is a class, a view and two lines of registry: every printer shows it then, and names none."""

import csv
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from toy_kind import Latency, planted_latency

from tetviz.cli import main
from tetviz.figures import draw, draw_named, printed, records
from tetviz.figures.registry import VIEWS
from tetviz.results import KINDS, load, save


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "latency", Latency)
    monkeypatch.setitem(VIEWS, "latency", "toy_kind:VIEW")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [save(tmp_path / f"{name}.h5", planted_latency(name)) for name in ("one", "two")]


def tetviz(*args: object) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return result


def test_its_picture_has_a_caption(files: list[Path], tmp_path: Path) -> None:
    tetviz("plot", *files, "-o", tmp_path / "a.svg")
    assert "decided samples (%)" in (tmp_path / "a.svg").read_text()
    caption = (tmp_path / "a.txt").read_text()
    assert caption.startswith(
        "Decided samples against T. Networks: one; two. Data and choices: cifar10 test, 50 samples."
    )
    assert "Rings: training T." in caption
    lines = [line for line in draw([load(file) for file in files]).axes[0].lines if line.get_gid() == "curve"]
    assert [line.get_ydata()[2] for line in lines] == [87.5, 87.5]


@pytest.mark.parametrize("suffix", ["csv", "tex", "md"])
def test_its_table_is_written(files: list[Path], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    tetviz("plot", *files, "-o", path)
    if suffix == "csv":
        head, *rows = csv.reader(path.read_text().splitlines())
        assert head == ["network", "T", "decided (%)"] and len(rows) == 16 and rows[0] == ["one", "1", "50.0"]
    else:
        assert "50.00" in path.read_text() and "93.75" in path.read_text() and "87.50" not in path.read_text()
    assert draw_named("latency-table", [load(files[0])]).cells().index.tolist() == ["1", "4"]  # type: ignore[union-attr]


def test_its_table_is_listed() -> None:
    line = "latency-table +samples that are decided at every T; takes files of a program that tetviz does not have"
    assert re.search(f"^{line}$", tetviz("plot", "--list").output, re.MULTILINE)


def test_a_page_has_a_section_of_it(files: list[Path], tmp_path: Path) -> None:
    tetviz("report", *files, "-o", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    for text in ("When a network has decided", "Decided samples against T", "93.75", "A decision may be wrong."):
        assert text in page


def test_a_notebook_and_info_show_it(files: list[Path]) -> None:
    card = load(files[0])._repr_html_()
    assert all(text in card for text in ("Decisions up to T = 8", "93.75", "A decision may be wrong.", "<img"))
    assert "(timestep 8) share of samples whose class" in tetviz("info", files[0]).output


def test_a_terminal_and_programs_read_it(files: list[Path]) -> None:
    results = [load(file) for file in files]
    assert [record["decided"][2] for record in records(results)] == [0.875, 0.875]
    assert printed(results).splitlines() == [
        "one: cifar10 test, 50 samples",
        "T  decided (%)",
        "1        50.00",
        "4        93.75",
        "",
        "two: cifar10 test, 50 samples",
        "T  decided (%)",
        "1        50.00",
        "4        93.75",
        "",
        "A decision may be wrong.",
    ]
