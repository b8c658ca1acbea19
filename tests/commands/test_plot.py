"""``tetviz plot``: names, styles, tables, prices and captions, and that it loads no torch."""

import subprocess
import sys

import pytest
from cli_runs import run, strict_json
from planted_results import planted_counts, planted_curve, planted_surface

from tetviz.figures import named_figures
from tetviz.results import save


def plot(*args):
    return run("plot", *args)


@pytest.fixture
def files(tmp_path):
    made = {"surface": planted_surface(), "scaling": planted_curve(tmax=8), "energy": planted_counts()}
    return {kind: save(tmp_path / f"{kind}.h5", result) for kind, result in made.items()}


def test_list_has_a_line_for_each_name_and_needs_no_file(files):
    result = plot("--list")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines] == list(named_figures())
    assert all("; takes " in line for line in lines)
    records = strict_json(plot("--list", "--json").stdout)
    assert [f"{each['about']}; takes {each['takes']}" for each in records] == [line.split(None, 1)[1] for line in lines]
    assert plot("--json", files["scaling"], "-o", "x.pdf").exit_code == 2
    for words in ((), (files["scaling"],)):
        assert "Missing" in plot(*words).stderr


def test_a_named_figure_its_caption_and_the_rules_of_overwriting(files, tmp_path):
    out = tmp_path / "figure4b.pdf"
    assert plot(files["energy"], "--figure", "fig4b", "--style", "icml", "-o", out).exit_code == 0
    caption = out.with_suffix(".txt").read_text()
    assert "convention tet" in caption and "100 samples" in caption
    again = plot(files["energy"], "--figure", "fig4b", "-o", out)
    assert again.exit_code == 1 and "exists already" in again.output
    changed = plot(files["energy"], "--figure", "fig4b", "--convention", "strict", "-o", out.with_suffix(".png"))
    assert changed.exit_code == 1 and "figure4b.txt: exists already" in changed.output
    assert not out.with_suffix(".png").exists() and out.with_suffix(".txt").read_text() == caption
    assert plot(files["energy"], "--convention", "strict", "-o", out, "--force").exit_code == 0
    assert "convention strict" in out.with_suffix(".txt").read_text()


def test_a_flag_is_a_name(files, tmp_path):
    for flag, name in (("--exits", "exits"), ("--per-class", "classes"), ("--scatter", "fig7")):
        one, two = tmp_path / f"{name}.svg", tmp_path / f"{name}2.svg"
        assert plot(files["scaling"], flag, "-o", one).exit_code == 0
        assert plot(files["scaling"], "--figure", name, "-o", two).exit_code == 0
        assert one.read_bytes() == two.read_bytes()


def test_a_suffix_of_tables_gives_the_table_that_fits(files, tmp_path):
    assert plot(files["scaling"], "-o", tmp_path / "a.csv").exit_code == 0
    assert plot(files["scaling"], "--figure", "scale-table", "-o", tmp_path / "b.csv").exit_code == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.csv.txt").read_text().startswith("Accuracy at T timesteps")
    assert plot(files["scaling"], "-o", tmp_path / "a.pdf").exit_code == 0
    assert plot(files["scaling"], "-o", tmp_path / "a.tex").exit_code == 0
    assert (tmp_path / "a.txt").read_text().startswith("Accuracy")


def test_an_animation_has_a_caption_too(files, tmp_path):
    assert plot(files["surface"], "-o", tmp_path / "t.gif").exit_code == 0
    assert "a frame for each T from 1 to 4" in (tmp_path / "t.txt").read_text()


@pytest.mark.parametrize(
    ("kinds", "options", "output", "words", "code"),
    [
        (["scaling"], ["--figure", "fig2"], "a.pdf", "fig2 takes surfaces of tetviz landscape", 1),
        (["scaling"], ["--figure", "fig9"], "a.pdf", "'fig9'", 2),
        (["scaling"], ["--figure", "table4"], "a.pdf", "table4 is a table, written as .tex, .csv, .md", 1),
        (["scaling"], ["--figure", "fig8"], "a.tex", "fig8 is a figure, written as .png, .pdf, .svg", 1),
        (["scaling"], ["--figure", "fig8", "--t", 2], "a.pdf", "leave out --t", 2),
        (["scaling"], ["--figure", "table1"], "a.tex", "does not say how the network was trained", 1),
        (["scaling"], ["--figure", "fig8", "--exits"], "a.pdf", "--exits and --figure exclude each other", 2),
        (["scaling"], ["--cost", "45nm-int8"], "a.pdf", "takes no pricing: there is nothing to choose", 1),
        (["energy"], ["--cost", "45nm-fp33"], "a.pdf", "45nm-fp33", 1),
        (["energy"], ["--figure", "networks-table"], "a.tex", "at least 2, got 1", 1),
        (["surface"], ["--style", "nips"], "a.pdf", "'nips'", 2),
        (
            ["energy", "scaling"],
            [],
            "a.csv",
            "results of kind energy, scaling: one figure takes results of one kind",
            1,
        ),
        (["energy"], [], "a.doc", "a figure is written as .png, .pdf, .svg, a table as .tex, .csv, .md", 1),
        (["surface", "scaling"], ["--figure", "fig2"], "a.pdf", "got results of kind scaling", 1),
        (["scaling", "scaling"], [], "a.pdf", "is given twice", 2),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(kinds, options, output, words, code, files, tmp_path):
    result = plot(*(files[kind] for kind in kinds), *options, "-o", tmp_path / output)
    assert result.exit_code == code, result.output
    (error,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert words in error
    assert not (tmp_path / output).exists() and not (tmp_path / output).with_suffix(".txt").exists()


def test_plot_loads_no_torch(files, tmp_path):
    code = (
        "import sys; from tetviz.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('torch', 'torchvision')))"
    )
    for kind, output in (("surface", "a.svg"), ("scaling", "b.csv"), ("energy", "c.png")):
        arguments = ["plot", files[kind], "--style", "neurips", "-o", tmp_path / output]
        done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "[]"
