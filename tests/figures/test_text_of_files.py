"""Text of a file is data in every printer: no terminal, spreadsheet, page or LaTeX obeys it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from planted_results import planted_counts, planted_curve, planted_history, planted_surface

from tetviz.errors import printable
from tetviz.figures import draw, printed
from tetviz.figures.output import save_with_caption
from tetviz.figures.registry import default_table, draw_named
from tetviz.figures.report.blocks import Source
from tetviz.figures.report.page import render_report
from tetviz.results import export_result

LABELS = [
    "\x1b]0;owned\x07\x1b[31mred",
    "a\nb\r\nc\u2028d\x85e",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(1)",
    "<script>alert(1)</script>",
    "![x](javascript:alert(1)) [x](http://a)",
    "a|b\\|c`d",
    "\u202egnp.exe",
    r"\input{/etc/passwd} $\frac{ % & # _ ^",
    "$x^{",
    "%s {0} {name}",
]
CONTROLS = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029, 0x202E)}


def labelled(result: Any, label: str) -> Any:
    return dataclasses.replace(result, provenance=dataclasses.replace(result.provenance, label=label))


def test_a_line_that_a_terminal_shows() -> None:
    assert printable("L\N{MIDDLE DOT}é 漢 \U0001f600 a\tb") == "L\N{MIDDLE DOT}é 漢 \U0001f600 a\tb"
    assert printable("\x1b[31m\n\u202e\ud800") == r"\x1b[31m\n\u202e\ud800"


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("make", [planted_curve, planted_counts, planted_history], ids=lambda make: make.__name__)
def test_a_label_is_text_everywhere(label: str, make: Any, tmp_path: Path) -> None:
    result = labelled(make(), label)
    assert not CONTROLS & set(printed([result]))
    table = draw_named(default_table([result, labelled(make(), "other")]), [result, labelled(make(), "other")])
    for suffix in (".md", ".tex", ".csv"):
        for path in save_with_caption(table, tmp_path / f"t{suffix}", force=True):
            text = path.read_text(encoding="utf-8")
            assert not CONTROLS & set(text)
            if path.suffix == ".csv":
                cells = [cell.strip('"') for line in text.splitlines() for cell in line.split(",")]
                assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
            if path.suffix == ".md":
                assert not any(sign in text for sign in ("<script", "](javascript", "](http"))
    page = render_report([Source(tmp_path / "a.h5", result, "0" * 64)])
    assert "<script>alert" not in page and "\x1b]0;owned" not in page


@pytest.mark.parametrize("label", LABELS)
def test_a_figure_is_drawn_with_any_label(label: str, tmp_path: Path) -> None:
    surface = labelled(planted_surface(size=5), label)
    for path in save_with_caption(draw([surface]), tmp_path / "a.png"):
        assert path.suffix == ".png" or not CONTROLS & set(path.read_text(encoding="utf-8"))
    text = export_result(tmp_path / "a.vts", surface, "vtk").read_text(encoding="utf-8")
    assert not CONTROLS & set(text)


def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    counts = planted_counts()
    bad = dataclasses.replace(counts, names=("=cmd|' /C calc'!A0", *counts.names[1:]))
    text = export_result(tmp_path / "a.csv", bad, "csv").read_text(encoding="utf-8")
    assert "'=cmd|" in text and ",=cmd" not in text and ',"=cmd' not in text
