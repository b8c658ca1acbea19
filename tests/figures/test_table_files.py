"""Tables as LaTeX, CSV and Markdown, and the columns of results that name layers."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from every_kind import KINDS, NAMED
from hypothesis import given
from hypothesis import strategies as st
from planted_isometry import planted_isometry
from planted_results import planted_counts, planted_history, planted_sharpness
from planted_training import planted_training
from wording import heard, refuses

from tetviz.errors import OutputError
from tetviz.figures import draw_named, named_figures
from tetviz.figures.table import Column, Table, save_table, stacked, to_latex
from tetviz.figures.view import TableOf
from tetviz.results import BlockIsometry, OperationCounts, TrainingOperations

TABLES = [name for name in NAMED if isinstance(named_figures()[name][1], TableOf)]


def unescaped(text):
    """LaTeX back to what it prints, by the rules of LaTeX and not those of the writer."""
    for command, character in (
        (r"\textbackslash{}", "\\"),
        (r"\textasciitilde{}", "~"),
        (r"\textasciicircum{}", "^"),
        (r"\textless{}", "<"),
        (r"\textgreater{}", ">"),
        (r"\textbar{}", "|"),
        ("-{}", "-"),
    ):
        text = text.replace(command, f"\0{ord(character)}\0")
    text = re.sub(r"^\{([\[*])\}", r"\1", text)
    text = re.sub(r"\\([&%$#_{}])", r"\1", text)
    return re.sub("\0([0-9]+)\0", lambda match: chr(int(match[1])), text)


def rows_of(latex):
    """The cells of each line of all parts of a table, without the names of heads and lines between groups."""
    bodies = re.findall(r"\\midrule\n(.*?) *\\bottomrule", latex, re.DOTALL)
    lines = [line.strip() for body in bodies for line in body.strip().splitlines()]
    return [re.split(r"(?<!\\)&", line) for line in lines if line != r"\addlinespace"]


@pytest.mark.parametrize("name", TABLES)
def test_latex_has_a_row_for_each_and_as_many_cells_as_columns(name):
    table = draw_named(name, NAMED[name]())
    text = to_latex(table)
    columns = re.search(r"begin\{tabular\}\{([lr]+)\}", text)[1]
    rows = rows_of(text)
    assert len(rows) == len(table.cells())
    assert {len(row) for row in rows} == {len(columns)}
    assert all(row[-1].endswith(r"\\") for row in rows)
    assert text.count(r"\begin{") == text.count(r"\end{") and r"\caption{" in text
    digests = {result.provenance.checkpoint_sha256[:12] for result in NAMED[name]()} - {""}
    told, shown = text.partition(r"\begin{table")[::2]
    assert all(digest in told and digest not in shown for digest in digests)
    assert all(line.startswith("%") for line in told.splitlines())


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=20))
def test_latex_escapes_any_name(name):
    frame = pd.DataFrame({"x": [1.0]}, index=pd.Index([name], name="network"))
    ((cell, _),) = rows_of(to_latex(Table(frame, caption="c")))
    assert unescaped(cell.strip()) == name


@given(st.text("&%$#_{}~\\<>| ab5", min_size=1, max_size=20), st.sampled_from(["", "-", "1.5 ", "3 ± "]))
def test_latex_escapes_cells_that_begin_as_numbers(name, start):
    cell = " ".join(f"{start}0{name}b".split())
    frame = pd.DataFrame({"layer": [cell]}, index=pd.Index(["net"], name="network"))
    ((_, shown),) = rows_of(to_latex(Table(frame, caption="c")))
    back = shown.strip().removesuffix(r" \\").replace("$-$", "-").replace(r"$\pm$", "±")
    assert unescaped(back) == cell


def test_latex_prints_the_names_of_networks_in_heads_as_they_are():
    results = [planted_sharpness(label="rho 1..4"), planted_sharpness(label="phi x^2")]
    head = to_latex(draw_named("sharpness-table", results)).partition(r"\toprule")[2].partition(r"\midrule")[0]
    assert "rho 1..4" in head and r"phi x\textasciicircum{}2" in head and "$" not in head


@pytest.mark.parametrize("letter", "ĄħŉÞ«漢")
def test_latex_tells_what_pdflatex_cannot_print(letter):
    frame = pd.DataFrame({"x": [1.0]}, index=[f"a{letter}b"])
    assert f"that has them: {letter}\n" in to_latex(Table(frame, caption="c"))
    assert "XeLaTeX" not in to_latex(Table(frame.set_axis(["éüß"]), caption="c"))


def test_latex_sets_signs_powers_ranges_and_units():
    values = ["-0.5 [-1e-05, +2.5]", "3 ± 1", "-"]
    frame = pd.DataFrame({"d_in (\N{MICRO SIGN}J)": values}, index=["lambda 0.05", "rise at 1..4", "nat/r^2"])
    text = to_latex(Table(frame, caption="From -0.25 to 1..8, seed-2, L_TET"))
    assert [row[1].strip() for row in rows_of(text)] == [
        r"$-$0.5 [$-$1$\times 10^{-5}$, $+$2.5] \\",
        r"3 $\pm$ 1 \\",
        r"-- \\",
    ]
    assert [row[0].strip() for row in rows_of(text)] == [r"$\lambda$ 0.05", "rise at 1--4", "nat/r$^{2}$"]
    heard(text, "$-$0.25 1--8 seed-2")
    assert r"$d_{\mathrm{in}}$" in text and r"($\mu$J)" in text


def test_a_table_longer_than_a_page_goes_on_under_its_number():
    frame = pd.DataFrame({"x": range(100)}, index=pd.Index(["a"] * 60 + ["b"] * 40, name="network"))
    text = to_latex(Table(frame, caption="c"))
    assert len(rows_of(text)) == 100 and text.count(r"\begin{table}") == 3
    assert text.count(r"\addtocounter{table}{-1}") == 2 and text.count(r"\label{") == 1
    names = [row[0].strip() for row in rows_of(text) if row[0].strip()]
    assert names == ["a", "a", "b", "b"]  # again at the head of each part


def odd_names(result):
    """Names of layers and blocks that begin with a digit, as those of a Sequential do, and end in signs."""
    if not isinstance(result, BlockIsometry | OperationCounts | TrainingOperations):
        return {}
    return {
        listed: tuple(f"{place}.{name}_&50% #$" for place, name in enumerate(getattr(result, listed)))
        for listed in ("names", "modules")
    }


ODD = ("a_b 50% & #1 $x$ ~ ^2 \\ {z} -- | <é ü ñ> αΩ±", "[best] *net* 1..4 L_SDT")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed: no table is compiled")
def test_every_table_compiles_and_fits_its_page(tmp_path):
    parts = []
    for name in TABLES:
        results = NAMED[name]()
        labels = [ODD[index % 2] + str(index // 2) for index in range(len(results))]
        odd = [
            replace(result, provenance=replace(result.provenance, label=label, dataset="d_1 & 2"), **odd_names(result))
            for result, label in zip(results, labels, strict=True)
        ]
        save_table(draw_named(name, odd), tmp_path / f"{name}.tex")
        parts.append(f"\\input{{{name}}}\\clearpage")
    for options in ("", "[twocolumn]"):
        text = "\n".join(
            [rf"\documentclass{options}{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}", *parts]
        )
        (tmp_path / "all.tex").write_text(f"{text}\n\\end{{document}}\n")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        log = (tmp_path / "all.log").read_text(errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Overfull" not in log and "too large" not in log and "Missing character" not in log


@pytest.mark.parametrize("name", TABLES)
def test_csv_holds_all_digits_and_the_names(name, tmp_path):
    table = draw_named(name, NAMED[name]())
    path = save_table(table, tmp_path / "t.csv")
    head, *rows = csv.reader(io.StringIO(path.read_text()))
    assert head[1:] == [str(column) for column in table.frame.columns] and len(rows) == len(table.frame)
    for at in range(table.frame.shape[1]):
        column = table.frame.iloc[:, at]
        if column.dtype.kind == "f":
            np.testing.assert_array_equal([float(row[at + 1]) for row in rows], column.to_numpy())
    text = path.read_text()
    assert any(result.provenance.label in text for result in NAMED[name]())


@pytest.mark.parametrize("name", TABLES)
def test_markdown_is_rectangular(name, tmp_path):
    table = draw_named(name, NAMED[name]())
    lines = save_table(table, tmp_path / "t.md").read_text().splitlines()
    rows = [re.split(r"(?<!\\)\|", line) for line in lines if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1 and len(rows) == 2 + len(table.cells())


def test_another_suffix_is_refused(tmp_path):
    with refuses(OutputError, "tex csv"):
        save_table(draw_named("table4", KINDS["scaling"]()), tmp_path / "a.xlsx")


def test_a_table_of_no_rows_is_shown_as_such():
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="network"))
    assert len(Table(frame, rows=()).cells()) == 0 and len(Table(frame).cells()) == 2
    assert Table(frame, rows=[1]).cells().index.tolist() == ["b"]


def test_cells_are_numbers_in_their_format_with_what_belongs_to_them():
    frame = pd.DataFrame(
        {
            "T": [1, 2, 3],
            "trained": [False, True, False],
            "accuracy": [0.5, 97.25, np.nan],
            "low": [0.25, np.nan, np.nan],
            "high": [0.75, np.nan, np.nan],
            "deviation": [np.nan, 1.5, np.nan],
            "networks": [1, 3, 1],
        },
        index=pd.Index(["a", "a", "b"], name="network"),
    )
    accuracy = Column("accuracy (%)", of="accuracy", low="low", high="high", deviation="deviation", count="networks")
    cells = Table(frame, (Column("T", marked="trained"), accuracy)).cells()
    assert cells["T"].tolist() == ["1", "2 (trained)", "3"]
    assert cells["accuracy (%)"].tolist() == ["0.50 [0.25, 0.75]", "97.25 ± 1.50 (n = 3)", "-"]


def test_a_table_may_stand_across():
    frame = pd.DataFrame({"method": ["SDT", "TET", "TET"], "share": [1.0, 2.0, 3.0]}, index=pd.Index(["a", "a", "b"]))
    table = Table(frame.rename_axis("row"), (Column("row"), Column("share")), across=Column("method"))
    assert table.cells().to_dict("index") == {
        "a": {"SDT": "1.00", "TET": "2.00"},
        "b": {"SDT": "-", "TET": "3.00"},
    }


def test_tables_are_stacked_with_the_names_of_networks_and_their_own_feet():
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["p", "q"], name="layer"))
    one, other = (Table(frame, rows=[0], note="n", feet=(foot, "shared")) for foot in ("1", "2"))
    both, alone = stacked(["a", "b"], [one, other]), stacked(["a"], [one])
    assert both.feet == ("a: 1", "b: 2", "shared") and both.note == alone.note == "n"
    assert both.cells().reset_index().to_numpy().tolist() == [["a", "p", "1.00"], ["b", "p", "1.00"]]
    assert alone.cells().reset_index().to_numpy().tolist() == [["p", "1.00"]]
    assert list(both.frame.index) == ["a", "a", "b", "b"] and list(alone.frame.index) == ["a", "a"]


def test_errors_of_no_number_are_left_out():
    result = planted_isometry()
    phi, error = result.step_phi.copy(), result.step_phi_se.copy()
    phi[0], error[1] = np.nan, np.nan
    cells = draw_named("isometry-table", [replace(result, step_phi=phi, step_phi_se=error)]).cells()["phi (1 s.e.)"]
    assert cells.iloc[0] == "-" and "(" not in cells.iloc[1] and cells.iloc[2].endswith(")")


@pytest.mark.parametrize("make", [planted_counts, planted_training, planted_isometry])
def test_results_as_tables_name_their_layers_and_samples(make):
    result = make()
    frame = result.to_frame().reset_index()
    level = "block" if "block" in frame else "layer"
    names = list(result.names)
    assert frame["name"].tolist() == [names[place] for place in frame[level]]
    assert set(frame["samples"]) == {len(result.sample)}
    if isinstance(result, TrainingOperations):
        assert frame["module"].tolist() == [list(result.modules)[place] for place in frame["layer"]]


def test_a_history_as_a_table_names_its_loss():
    assert planted_history(switch="tet@20").to_frame()["loss"].tolist() == ["sdt"] * 20 + ["tet"] * 10
