from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.colors import LogNorm
from matplotlib.contour import QuadContourSet
from matplotlib.path import Path
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from planted_results import planted_surface
from wording import heard, refuses

from tetviz import results
from tetviz.errors import ResultError
from tetviz.figures import compare_surfaces, draw_surface, save_figure
from tetviz.figures.plots.levels import choose_scale
from tetviz.figures.plots.relief import compare_reliefs, without_cell
from tetviz.figures.plots.venues import use_style


def maps(figure):
    return [axes for axes in figure.axes if axes.get_gid() is None and filled_of(axes)]


def filled_of(axes):
    return [c for c in axes.collections if isinstance(c, QuadContourSet) and c.filled]


def painted(axes, x, y):
    """Whether a filled contour covers a point; a point inside a hole's outline too is not covered."""
    return any(
        sum(Path(polygon).contains_point((x, y)) for polygon in path.to_polygons()) % 2
        for path in filled_of(axes)[0].get_paths()
    )


def relief_cells(figure):
    (relief,) = [axes for axes in figure.axes if axes.name == "3d"]
    (cells,) = [c for c in relief.collections if isinstance(c, Poly3DCollection)]
    if hasattr(cells, "_faces"):
        return np.asarray(cells._faces)
    return np.stack([cells._vec[:3, part].T for part in cells._segslices])  # matplotlib 3.10


def colour_label(figure):
    labels = [child.get_ylabel() for axes in figure.axes for child in (axes, *axes.child_axes)]
    return [label for label in labels if "(nat)" in label]


def with_holes(surface, *cells):
    values = surface.tet_loss.copy()
    for row, column in cells:
        values[0, row, column] = np.nan
    return replace(surface, tet_loss=values)


def test_levels_cover_the_values_and_are_logarithmic_only_over_a_wide_span():
    wide = choose_scale([np.array([[0.03, 8.0]])])
    assert wide.is_log and wide.levels[0] <= 0.03 and wide.levels[-1] >= 8
    assert {0.05, 0.1, 1.0, 5.0} <= set(wide.levels)
    narrow = choose_scale([np.array([[1.9, np.nan]]), np.array([[np.nan, 2.3]])])
    assert not narrow.is_log and narrow.levels[0] <= 1.9 and narrow.levels[-1] >= 2.3
    assert np.allclose(np.diff(narrow.levels), np.diff(narrow.levels)[0])
    for low, high in [(1e-9, 1e3), (1e-4, 1), (0.05, 1.2), (1, 20.1), (0, 5), (2, 2), (0, 0), (2, 2 + 1e-14)]:
        scale = choose_scale([np.array([[low, high]])])
        assert scale.levels[0] <= low and scale.levels[-1] >= high
        assert 4 <= len(scale.levels) <= 16 and (np.diff(scale.levels) > 0).all()


def test_the_colour_bar_says_how_levels_are_spaced():
    assert "log levels" in colour_label(draw_surface(planted_surface(low=0.05, high=5)))[0]
    assert "log" not in colour_label(draw_surface(planted_surface(low=1.9, high=2.3)))[0]
    pair = compare_surfaces([planted_surface(low=0.05, high=1), planted_surface(low=2, high=5)])
    assert "log levels" in colour_label(pair)[0]


def test_map_and_relief_show_the_same_values_in_the_same_colours():
    surface = planted_surface(low=0.05, high=5, size=(5, 9), y_range=(-0.5, 0.5))
    figure = draw_surface(surface, "sdt", 2)
    axes = maps(figure)[0]
    values = surface.sdt_loss[0, :, :, 1]
    cells = relief_cells(figure)
    assert len(cells) == 4 * 8
    for x, y, z in cells.reshape(-1, 3):
        row, column = np.flatnonzero(surface.y == y)[0], np.flatnonzero(surface.x == x)[0]
        assert z == values[row, column]
    (relief,) = [a for a in figure.axes if a.name == "3d"]
    (collection,) = relief.collections
    filled = filled_of(axes)[0]
    expected = filled.cmap(filled.norm(cells[..., 2].mean(axis=1)))
    np.testing.assert_allclose(collection._facecolor3d, expected)
    assert isinstance(filled.norm, LogNorm)
    assert axes.get_xlim() == (-1, 1) and axes.get_ylim() == (-0.5, 0.5) and axes.get_aspect() == 1
    assert axes.get_xlabel() == "x (filter norms)"


def test_the_title_says_what_is_drawn():
    surface = planted_surface(label="Net $1$", planes=3)
    title = draw_surface(surface, plane=1).get_suptitle()
    for part in (r"Net \$1\$", r"$L_{\mathrm{TET}}$", "T = 4", "cifar10 test", "1,024 samples"):
        assert part in title
    assert "BN statistics frozen" in title and "plane 2 of 3" in title and "points" not in title
    assert r"\mathrm{SDT}" in draw_surface(surface, loss="sdt", timestep=1).get_suptitle()
    unnamed = replace(surface, provenance=replace(surface.provenance, label=""))
    assert "tet_t4" in draw_surface(unnamed).get_suptitle()


def test_without_a_timestep_the_training_t_is_drawn_or_else_the_last():
    assert "T = 2" in draw_surface(planted_surface(t_train=2)).get_suptitle()
    assert "T = 4" in draw_surface(planted_surface(t_train=10)).get_suptitle()


def test_the_centre_is_marked_with_its_value():
    figure = draw_surface(planted_surface(low=0.05))
    (mark,) = [line for line in maps(figure)[0].lines if line.get_gid() == "center"]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([0], [0])
    assert maps(figure)[0].get_title() == "0.055 at (0, 0)"
    beside = draw_surface(planted_surface(x_range=(0.5, 1.5)))
    assert maps(beside)[0].get_title() == "" and not maps(beside)[0].lines
    between = draw_surface(planted_surface(size=12))
    assert maps(between)[0].get_title() == "" and maps(between)[0].lines


def test_holes_stay_holes():
    surface = with_holes(planted_surface(size=13), (3, 4), (6, 6))
    surface.tet_loss[0, 9, 9] = np.inf
    figure = draw_surface(surface)
    axes = maps(figure)[0]
    for row, column in [(3, 4), (6, 6), (9, 9)]:
        step = surface.y[1] - surface.y[0]
        assert not painted(axes, surface.x[column], surface.y[row])
        assert not painted(axes, surface.x[column], surface.y[row] + 0.4 * step)
        assert painted(axes, surface.x[column] + 0.01, surface.y[row] + 1.1 * step)
    cells = relief_cells(figure)
    assert len(cells) == 144 - 3 * 4 and np.isfinite(cells).all()
    assert axes.patch.get_hatch() and figure.legends[0].get_texts()[0].get_text() == "not finite"
    assert axes.get_title() == "no value at (0, 0)"
    assert maps(draw_surface(planted_surface()))[0].patch.get_hatch() is None


def test_a_half_done_surface_says_so_and_hides_what_is_not_done():
    done = np.zeros((1, 13, 13))
    done[0, :5] = 1
    figure = draw_surface(planted_surface(done=done))
    assert "65 of 169 points" in figure.get_suptitle()
    assert figure.legends[0].get_texts()[0].get_text() == "not evaluated yet"
    assert relief_cells(figure)[..., 1].max() <= planted_surface().y[4]
    assert (
        max(path.vertices[:, 1].max() for path in filled_of(maps(figure)[0])[0].get_paths()) <= (planted_surface().y[4])
    )


def test_lonely_points_are_not_lost():
    done = np.zeros((1, 13, 13))
    done[0, ::2, ::2] = 1
    surface = planted_surface(done=done)
    axes = maps(draw_surface(surface))[0]
    (dots,) = [c for c in axes.collections if not isinstance(c, QuadContourSet)]
    assert len(dots.get_offsets()) == 49
    np.testing.assert_array_equal(dots.get_array(), surface.tet_loss[0, ::2, ::2, 3].ravel())


def test_a_surface_without_values_is_refused():
    with refuses(ResultError, "finite value"):
        draw_surface(planted_surface(done=np.zeros((1, 13, 13))))
    with refuses(ResultError, "2 x"):
        draw_surface(planted_surface(size=(1, 5)))
    with refuses(ResultError, "no surface"):
        compare_surfaces([])


def test_compared_surfaces_share_levels_colours_and_axes():
    low = planted_surface(low=0.05, high=1)
    high = planted_surface(low=2, high=5, label="VGGSNN SDT", x_range=(-2, 2))
    figure = compare_surfaces([high, low])
    panels = maps(figure)
    assert len(panels) == 4
    first = filled_of(panels[0])[0]
    for axes in panels:
        np.testing.assert_array_equal(filled_of(axes)[0].levels, first.levels)
        assert filled_of(axes)[0].norm is first.norm and filled_of(axes)[0].cmap == first.cmap
        assert axes.get_xlim() == (-2, 2) and axes.get_ylim() == (-1, 1)
    assert first.levels[0] <= 0.05 and first.levels[-1] >= 5.5
    titles = [axes.get_title().splitlines()[-1] for axes in panels]
    assert [title[:3] for title in titles] == ["(a)", "(b)", "(c)", "(d)"]
    assert [r"\mathrm{SDT}" in title for title in titles] == [True, True, False, False]
    assert [title.split(", ")[1].split()[0] for title in titles] == ["2", "0.05", "2.2", "0.055"]
    assert "VGGSNN SDT" in panels[0].get_title() and "VGGSNN TET" in panels[1].get_title()
    assert panels[1].patch.get_hatch() and not panels[0].patch.get_hatch()
    assert figure.legends[0].get_texts()[0].get_text() == "outside the grid"
    assert "cifar10 test" in figure.get_suptitle()


def test_one_row_can_be_chosen_and_differing_choices_are_told_apart():
    pair = [planted_surface(), planted_surface(bn="recalibrate", t_train=2)]
    figure = compare_surfaces(pair, loss="tet")
    titles = [axes.get_title() for axes in maps(figure)]
    assert len(titles) == 2
    assert "BN statistics" in titles[0].replace("\n", " ") and "re-estimated" in titles[1] and not figure.get_suptitle()
    assert "T = 4" in titles[0] and "T = 2" in titles[1]
    assert "VGGSNN TET #1" in titles[0] and "VGGSNN TET #2" in titles[1]


@pytest.mark.parametrize(
    ("bn", "words"),
    [
        ("frozen", "BN statistics frozen"),
        ("recalibrate", "BN statistics re-estimated at every point on 2,000 training samples"),
        ("batch", "BN statistics of each batch"),
    ],
)
def test_the_caption_says_the_statistics_and_the_directions(bn, words):
    surface = planted_surface(bn=bn, calibration=np.arange(2000), policy="random weight", orthogonal=1)
    title = draw_surface(surface).get_suptitle().replace("\n", " ")
    assert f"{words}; plane seed 3, orthogonal directions; weights moved" in title
    assert "orthogonal" not in draw_surface(planted_surface(bn=bn)).get_suptitle()


@pytest.mark.parametrize(("norm", "label"), [("unit", "x (L2 distance)"), ("layer", "x (layer norms)"), ("none", "x")])
def test_the_axes_say_their_unit(norm, label):
    assert maps(draw_surface(planted_surface(norm=norm)))[0].get_xlabel() == label


@pytest.mark.parametrize(
    ("name", "other"), [("plane_seed", 4), ("norm", "layer"), ("policy", "weights only"), ("orthogonal", 1)]
)
def test_surfaces_along_other_directions_are_not_compared(name, other):
    with refuses(ResultError, f"{name} {other}"):
        compare_surfaces([planted_surface(), planted_surface(**{name: other})])


def test_a_file_gives_the_figure_that_memory_gives(tmp_path):
    surface = with_holes(planted_surface(low=0.05, high=5), (3, 4))
    results.save(tmp_path / "surface.h5", surface)
    loaded = results.load(tmp_path / "surface.h5")
    here, there = draw_surface(surface), draw_surface(loaded)
    np.testing.assert_array_equal(relief_cells(here), relief_cells(there))
    for mine, other in zip(
        filled_of(maps(here)[0])[0].get_paths(), filled_of(maps(there)[0])[0].get_paths(), strict=True
    ):
        np.testing.assert_array_equal(mine.vertices, other.vertices)
    assert here.get_suptitle() == there.get_suptitle()
    first = save_figure(here, tmp_path / "a.png").read_bytes()
    assert first == save_figure(there, tmp_path / "b.png").read_bytes()


def test_a_relief_says_what_is_open_and_draws_points_between_holes():
    done = np.zeros((1, 13, 13))
    done[0, ::2, ::2] = 1
    surface = planted_surface(done=done)
    figure = compare_reliefs([surface, planted_surface(label="whole")])
    (notes,) = [text.get_text() for text in figure.texts if text.get_gid() == "notes"]
    assert "not evaluated yet" in notes and "49 of 169 points of VGGSNN TET are measured" in " ".join(notes.split())
    (dots,) = [c for c in figure.axes[0].collections if c.get_gid() == "alone"]
    np.testing.assert_array_equal(np.sort(dots._offsets3d[2]), np.sort(surface.sdt_loss[0, ::2, ::2, 3].ravel()))
    assert not [text for text in compare_reliefs([planted_surface()]).texts if text.get_gid() == "notes"]


@given(arrays(bool, st.tuples(st.integers(2, 6), st.integers(2, 6))))
def test_a_point_is_alone_where_no_whole_cell_holds_it(known):
    cells = [
        (i, j)
        for i in range(known.shape[0] - 1)
        for j in range(known.shape[1] - 1)
        if known[i : i + 2, j : j + 2].all()
    ]
    held = {(i + a, j + b) for i, j in cells for a in (0, 1) for b in (0, 1)}
    alone = without_cell(np.where(known, 1.0, np.nan))
    assert {(int(i), int(j)) for i, j in np.argwhere(alone)} == {(int(i), int(j)) for i, j in np.argwhere(known)} - held


def test_the_cross_is_told_of_only_where_it_is():
    figure = draw_surface(planted_surface(x_range=(0.5, 2)))
    assert "the cross at (0, 0)" not in figure.caption and maps(figure)[0].get_title() == ""
    heard(draw_surface(planted_surface(x_range=(-0.2, 1))).caption, "cross 0")


def test_on_a_slide_figures_are_wider_than_high():
    pair = [planted_surface(), planted_surface(label="SDT")]
    with use_style("slides"):
        for figure in (compare_surfaces(pair), compare_reliefs(pair), draw_surface(pair[0])):
            width, height = figure.get_size_inches()
            assert width / height > 1.5
        assert [axes.get_title().split("\n")[0] for axes in maps(compare_surfaces(pair))] == ["VGGSNN TET", "SDT"] * 2
