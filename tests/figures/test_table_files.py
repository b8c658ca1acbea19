"""Tables as LaTeX, CSV and Markdown, and the columns of results that name layers."""

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest
from every_kind import KINDS, NAMED
from hypothesis import given
from hypothesis import strategies as st
from planted_isometry import planted_isometry
from planted_results import planted_counts, planted_curve, planted_history
from planted_training import planted_training

from tetviz.errors import OutputError
from tetviz.figures.named import FIGURES, draw_named
from tetviz.figures.tables import Table, save_table, to_latex
from tetviz.results import TrainingOperations
from tetviz.summaries import wilson
from tetviz.summaries.training import training_table

TABLES = [name for name in NAMED if FIGURES[name].table]


def unescaped(text):
    """LaTeX back to what it prints, by the rules of LaTeX and not those of the writer."""
    for command, character in (
        (r"\textbackslash{}", "\\"),
        (r"\textasciitilde{}", "~"),
        (r"\textasciicircum{}", "^"),
        (r"\textless{}", "<"),
        (r"\textgreater{}", ">"),
    ):
        text = text.replace(command, f"\0{ord(character)}\0")
    text = re.sub(r"\\([&%$#_{}])", r"\1", text)
    return re.sub("\0([0-9]+)\0", lambda match: chr(int(match[1])), text)


@pytest.mark.parametrize("name", TABLES)
def test_latex_has_a_row_for_each_and_as_many_cells_as_heads(name):
    table = draw_named(name, NAMED[name]())
    text = to_latex(table)
    columns = re.search(r"begin\{tabular\}\{([lr]+)\}", text)[1]
    body = re.search(r"\\toprule\n(.*)\\bottomrule", text, re.DOTALL)[1].replace("    \\midrule\n", "")
    rows = [re.split(r"(?<!\\)&", row) for row in body.strip().splitlines()]
    assert len(rows) == 1 + len(table.for_people())
    assert {len(row) for row in rows} == {len(columns)}
    assert all(row[-1].endswith(r"\\") for row in rows)
    assert text.count(r"\begin{") == text.count(r"\end{") == 2 and r"\caption{" in text


# Without what becomes a formula: squares, and the names of losses.
PLAIN = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=20)


@given(PLAIN.filter(lambda text: not re.search(r"\^[0-9]|L_", text)))
def test_latex_escapes_any_name(name):
    frame = pd.DataFrame({"x": [1.0]}, index=pd.Index([name], name="network"))
    row = to_latex(Table(frame, "c")).splitlines()[8].removeprefix("    ")
    assert unescaped(row.removesuffix(r" & 1.00 \\")) == name


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
    assert len({len(row) for row in rows}) == 1 and len(rows) == 2 + len(table.for_people())


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"\.tex, \.csv, \.md"):
        save_table(draw_named("table4", KINDS["scaling"]()), tmp_path / "a.xlsx")


def test_the_scale_table_has_wilson_intervals_at_every_t():
    curve = planted_curve(tmax=8)
    frame = draw_named("scale-table", [curve]).frame.set_index("T")
    low, high = wilson(curve.accuracy, len(curve.sample))
    np.testing.assert_allclose(frame["accuracy low (%)"], 100 * low)
    np.testing.assert_allclose(frame["accuracy high (%)"], 100 * high)
    assert frame.index.tolist() == list(range(1, 9)) and set(frame["samples"]) == {len(curve.sample)}


def test_the_training_table_adds_up_to_its_total():
    result = planted_training()
    frame = draw_named("training-table", [result]).frame.set_index("layer")
    np.testing.assert_allclose(frame.loc["total", "FP (nJ)"], training_table(result).loc["total", "FP"] / 1e3)
    assert frame.index.tolist() == [*result.listed("names"), "total"]


def test_the_history_table_shows_the_switch_and_the_chosen_epoch():
    table = draw_named("history-table", [planted_history(switch="tet@20")])
    assert len(table.frame) == 30 and table.frame["trained on"].tolist() == ["sdt"] * 20 + ["tet"] * 10
    assert {"20", "21", "30 (chosen)", "1"} <= set(table.shown["epoch"])


@pytest.mark.parametrize("make", [planted_counts, planted_training, planted_isometry])
def test_results_as_tables_name_their_layers_and_samples(make):
    result = make()
    frame = result.to_frame().reset_index()
    level = "block" if "block" in frame else "layer"
    names = result.listed("names")
    assert frame["name"].tolist() == [names[place] for place in frame[level]]
    assert set(frame["samples"]) == {len(result.sample)}
    if isinstance(result, TrainingOperations):
        assert frame["module"].tolist() == [result.listed("modules")[place] for place in frame["layer"]]


def test_a_history_as_a_table_names_its_loss():
    assert planted_history(switch="tet@20").to_frame()["loss"].tolist() == ["sdt"] * 20 + ["tet"] * 10
