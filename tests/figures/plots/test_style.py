import re
import subprocess
import sys
import time

import matplotlib
import pytest
from every_kind import KINDS
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from planted_results import (
    planted_curvature,
    planted_curve,
    planted_interpolation,
    planted_lines,
    planted_sharpness,
    planted_surface,
    planted_trajectory,
)
from wording import heard, refuses

from tetviz.errors import OutputError, ResultError
from tetviz.figures import compare_surfaces, draw, draw_scaling, draw_surface, paper_style, save_figure
from tetviz.figures.plots.style import METHOD_STYLES, MOST_DOTS, method_of, series_styles
from tetviz.figures.plots.text import loss_symbol, wrap


def test_importing_figures_needs_no_torch():
    code = "import sys, tetviz.figures; print(sorted(m for m in sys.modules if m.split('.')[0] == 'torch'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drawing_leaves_no_global_state(tmp_path):
    settings = dict(matplotlib.rcParams)
    save_figure(draw_surface(planted_surface()), tmp_path / "surface.png")
    save_figure(draw_scaling([planted_curve()]), tmp_path / "scaling.pdf")
    assert dict(matplotlib.rcParams) == settings
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def test_a_picture_that_is_very_long_has_fewer_dots_an_inch(tmp_path):
    written = save_figure(Figure(figsize=(0.1, 500)), tmp_path / "long.png").read_bytes()
    width, height = (int.from_bytes(written[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (13, MOST_DOTS)


def test_style_is_undone_after_an_exception():
    settings = dict(matplotlib.rcParams)
    with pytest.raises(RuntimeError), paper_style():
        assert matplotlib.rcParams["svg.fonttype"] == "none"
        raise RuntimeError
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg", "PNG"])
def test_saving_is_deterministic_and_leaves_one_file(tmp_path, suffix):
    first = save_figure(draw_scaling([planted_curve()]), tmp_path / f"a.{suffix}")
    time.sleep(1.1)  # a date in seconds would differ
    second = save_figure(draw_scaling([planted_curve()]), tmp_path / f"b.{suffix}")
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{suffix}", f"b.{suffix}"]


def test_vector_text_stays_text(tmp_path):
    svg = save_figure(draw_surface(planted_surface(label="Net 7")), tmp_path / "a.svg").read_text()
    assert "Net 7" in svg and "x (filter norms)" in svg and "<dc:date>" not in svg
    pdf = save_figure(draw_scaling([planted_curve()]), tmp_path / "a.pdf").read_bytes()
    assert b"/Type42" in pdf or b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf and b"CreationDate" not in pdf


def test_png_has_200_dots_an_inch(tmp_path):
    figure = Figure(figsize=(3, 2))
    pixels = matplotlib.image.imread(save_figure(figure, tmp_path / "a.png"))
    assert pixels.shape[:2] == (400, 600)


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.gz"])
def test_other_suffixes_are_refused(tmp_path, name):
    with refuses(OutputError, "png pdf"):
        save_figure(Figure(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_targets_are_refused(tmp_path):
    with refuses(OutputError, "does exist"):
        save_figure(Figure(), tmp_path / "missing" / "a.png")
    (tmp_path / "folder.png").mkdir()
    with refuses(OutputError, "folder"):
        save_figure(Figure(), tmp_path / "folder.png")


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = Figure()

    def fill_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fill_disk)
    with refuses(OutputError, "space left"):
        save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("VGGSNN TET", "tet"),
        ("sdt_t4", "sdt"),
        ("tet4", "tet"),
        ("tetviz demo", None),
        ("SDT then TET", None),
        ("", None),
    ],
)
def test_the_method_is_read_from_whole_words(name, method):
    assert method_of(name) == method


def test_methods_keep_their_colour_in_any_order_and_can_be_told_apart():
    for names in (["SDT", "TET"], ["TET", "SDT"], ["other", "TET", "SDT", "TET b"]):
        for name, style in zip(names, series_styles(names), strict=True):
            if method_of(name):
                assert style["color"] == METHOD_STYLES[method_of(name)]["color"]
    styles = series_styles([*"abcd", "SDT 1", "SDT 2", "TET 1", "TET 2"])
    assert len({tuple(map(str, style.items())) for style in styles}) == len(styles)
    sdt, tet = METHOD_STYLES["sdt"], METHOD_STYLES["tet"]
    grey = [
        sum(w * c for w, c in zip((0.299, 0.587, 0.114), matplotlib.colors.to_rgb(s["color"]), strict=True))
        for s in (sdt, tet)
    ]
    assert abs(grey[0] - grey[1]) > 0.15
    assert sdt["marker"] != tet["marker"] and sdt["linestyle"] != tet["linestyle"]


@given(st.lists(st.sampled_from(["a", "SDT", "TET", "TET seed", "sdt then tet"]), max_size=8))
def test_up_to_eight_networks_differ_in_marker_and_dashes_whatever_they_are_called(names):
    styles = series_styles(names)
    for key in ("marker", "linestyle"):
        assert len({str(style[key]) for style in styles}) == len(names)
    for method, own in METHOD_STYLES.items():
        looks = [style for name, style in zip(names, styles, strict=True) if method_of(name) == method]
        assert {style["color"] for style in looks} <= {own["color"]} and looks[:1] in ([], [own])


def test_many_networks_of_one_method_are_told_apart():
    styles = series_styles([f"tet seed {seed}" for seed in range(24)])
    assert len({str(sorted(style.items())) for style in styles}) == 24 and len({s["color"] for s in styles}) == 1


def test_draw_picks_the_figure():
    surface, curve = planted_surface(), planted_curve()
    assert any(axes.name == "3d" for axes in draw([surface]).axes)
    assert len(draw([surface, surface]).axes) == len(compare_surfaces([surface, surface]).axes) == 5
    assert len(draw([curve]).axes) == len(draw([curve, curve]).axes) == 2
    lines, sharp = planted_lines(), planted_sharpness()
    assert len(draw([lines]).axes) == 2 and len(draw([lines, lines]).axes) == len(draw([lines, sharp]).axes) == 3
    assert len(draw([sharp]).axes) == 3 and len(draw([sharp, sharp]).axes) == 8
    assert "barrier" in draw([planted_interpolation()]).legends[0].get_texts()[0].get_text()
    heard(draw([planted_trajectory()]).get_suptitle(), "6 checkpoints")
    assert "surrogate Hessian" in draw([planted_curvature()]).axes[0].get_ylabel()


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        ([], {}, "none"),
        ([planted_surface(), planted_curve()], {}, "scaling surface"),
        ([planted_curve()], {"loss": "sdt"}, "tetviz scale"),
        ([planted_curve()], {"timestep": 2}, "tetviz timestep"),
        ([planted_surface()], {"timestep": 5}, "timestep 5 1 4"),
        ([planted_surface()] * 2, {"timestep": 0}, "timestep 0 1 4"),
        ([planted_surface()], {"loss": "mse"}, "'mse' sdt"),
        ([planted_surface()] * 2, {"loss": "mse"}, "'mse' sdt"),
        ([planted_lines(), planted_surface()], {}, "lines surface"),
        ([planted_lines()], {"plane": 0}, "it timestep"),
        ([planted_lines()], {"timestep": 5}, "5 the 1 4"),
        ([planted_lines()], {"loss": "mse"}, "'mse' sdt"),
        ([planted_lines(), planted_interpolation()], {}, "figure results"),
        ([planted_trajectory()] * 2, {}, "2 trajectory"),
        ([planted_trajectory(), planted_surface()], {}, "cannot compared"),
        ([planted_curvature()], {"timestep": 2}, "curvature timestep"),
        ([planted_curvature()], {"loss": "tet"}, "'sdt'"),
        ([planted_surface()], {"plane": 1}, "plane 2 1"),
    ],
)
def test_draw_refuses_what_the_results_do_not_hold(results, options, message):
    with refuses(ResultError, message):
        draw(results, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_set_as_symbols_in_every_figure(kind):
    drawn = draw(KINDS[kind]())
    assert not [t.get_text() for t in drawn.findobj(Text) if re.search(r"\bL_[A-Z]", t.get_text())]
    assert "$" not in getattr(drawn, "caption", "")


def test_titles_break_at_semicolons_and_not_within_words():
    assert wrap("digits test, 100 samples; plane seed 0; BN frozen", 34) == (
        "digits test, 100 samples;\nplane seed 0; BN frozen"
    )
    assert wrap("the 45nm-fp32 model", 12) == "the\n45nm-fp32\nmodel"
    assert wrap("L_TET of $x$, L_SDT_x", 60) == rf"{loss_symbol('tet')} of \$x\$, L_SDT_x"
