from dataclasses import replace

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet
from planted_results import planted_surface, planted_trajectory
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import compare_surfaces, draw_trajectory


def of(axes, gid):
    return [artist for artist in (*axes.lines, *axes.collections, *axes.texts) if artist.get_gid() == gid]


def panels(figure):
    return {axes.get_label(): axes for axes in figure.axes}


def test_the_path_lies_on_the_map():
    trajectory = planted_trajectory()
    axes = panels(draw_trajectory(trajectory))["map"]
    assert any(isinstance(c, QuadContourSet) and c.filled for c in axes.collections)
    (path,) = of(axes, "path")
    np.testing.assert_array_equal(path.get_xydata(), np.stack([trajectory.point_x, trajectory.point_y], axis=1))
    (points,) = of(axes, "points")
    assert len({tuple(color) for color in points.get_facecolors()}) == 6
    assert [text.get_text() for text in of(axes, "name")] == ["epoch 0", "epoch 5"]
    (reference,) = of(axes, "reference")
    assert (list(reference.get_xdata()), list(reference.get_ydata())) == ([0], [0])
    assert axes.get_xlabel() == "x (L2 distance)" and axes.get_aspect() == 1


def test_losses_stand_beside_those_at_the_projections():
    trajectory = planted_trajectory()
    found = panels(draw_trajectory(trajectory, "sdt", 2))
    (true,), (projected,) = of(found["loss"], "true"), of(found["loss"], "projected")
    np.testing.assert_allclose(true.get_ydata(), trajectory.true_sdt_loss[:, 1])
    np.testing.assert_allclose(projected.get_ydata(), trajectory.projected_sdt_loss[:, 1])
    assert true.get_linestyle() == "-" and projected.get_linestyle() == "--"
    assert list(true.get_xdata()) == list(range(6)) and found["loss"].get_xlabel() == "epoch"
    (residual,) = of(found["residual"], "residual")
    np.testing.assert_array_equal(residual.get_ydata(), trajectory.residual)


def test_the_caption_says_what_the_plane_holds():
    figure = draw_trajectory(planted_trajectory())
    title, caption = figure.get_suptitle().replace("\n", " "), figure.caption
    assert "x 90 %, y 6 % of the squared displacements" in caption and "x 93 %, y 5 % of the variance" in caption
    heard(caption, "Believe checkpoint")
    assert "plane fitted to 6 checkpoints" in title and "plane seed" not in title


def test_checkpoints_of_several_networks_are_named():
    names = ["a", "b $1$", "a name that is rather long", "d"]
    found = panels(draw_trajectory(planted_trajectory(points=4, path="checkpoints", names=tuple(names))))
    shown = [text.get_text() for text in of(found["map"], "name")]
    assert shown[:2] == ["a", r"b \$1\$"] and shown[3] == "d" and shown[2].startswith("a name that is")
    ticks = [label.get_text() for label in found["loss"].get_xticklabels()]
    assert ticks[0] == "a" and len(ticks) == 4


@pytest.mark.parametrize(("y_range", "wide"), [((-3, 3), True), ((-9, 9), False)])
def test_a_flat_map_takes_the_whole_width(y_range, wide):
    surface = planted_surface(size=(9, 15), x_range=(-2, 12), y_range=y_range)
    figure = draw_trajectory(replace(planted_trajectory(), y=surface.y))
    figure.draw_without_rendering()
    found = panels(figure)
    beside = found["loss"].get_position().x0 > found["map"].get_position().x1
    assert beside is not wide


def test_a_half_done_trajectory_is_drawn_with_its_holes():
    trajectory = planted_trajectory()
    trajectory.done[0, 5:] = 0
    trajectory.projected_tet_loss[2:] = np.nan
    trajectory.true_tet_loss[3:] = np.nan
    trajectory.residual[4] = np.nan
    figure = draw_trajectory(trajectory)
    assert panels(figure)["map"].patch.get_hatch()
    assert "75 of 135 points" in figure.get_suptitle()
    trajectory.projected_tet_loss[:] = np.nan
    trajectory.true_tet_loss[:] = np.nan
    assert len(draw_trajectory(trajectory).axes) == 3
    with refuses(ResultError, "finite value"):
        draw_trajectory(planted_trajectory(done=np.zeros((1, 9, 15))))


def test_a_single_point_and_trajectories_compared():
    assert len(draw_trajectory(planted_trajectory(points=1)).axes) == 3
    with refuses(ResultError, "cannot compared"):
        compare_surfaces([planted_trajectory(), planted_trajectory()])


def test_the_axis_of_the_residuals_says_what_they_are():
    figure = draw_trajectory(planted_trajectory())
    heard("\n".join(axes.get_ylabel() for axes in figure.axes), "residual distance")
    heard(figure.caption, "residual checkpoint")
