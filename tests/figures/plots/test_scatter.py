from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from planted_results import planted_curve
from scipy import stats
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import draw_scatter
from tetviz.figures.plots.classes import draw_classes
from tetviz.figures.plots.scatter import overall_and_steps
from tetviz.figures.plots.style import METHOD_STYLES


def curve(label="tet", top=0.9, gap=0.05, **changes):
    accuracy = top * (1 - 0.5 ** np.arange(1, 9))
    return planted_curve(**{"tmax": 8, "top": top, "label": label, "step_accuracy": accuracy - gap, **changes})


MANY = [curve(f"sdt_{n}", 0.8 + n / 100, 0.1) for n in range(4)] + [curve(f"tet_{n}", 0.9, 0.02) for n in range(2)]
GROUPS = {"SDT": "sdt*", "TET": "tet*"}


def points(figure):
    lines = [line for line in figure.axes[0].lines if line.get_gid() == "group"]
    return [(to_hex(line.get_color()), line.get_xydata()) for line in lines]


def legend_labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("t", [None, 1, 3, 8])
def test_a_point_is_the_overall_against_the_mean_step_accuracy(t):
    trained = curve(t_train=4)
    steps, overall = t or 4, trained.accuracy[(t or 4) - 1]
    mean = sum(trained.step_accuracy[k] for k in range(steps)) / steps
    assert overall_and_steps(trained, t) == (steps, pytest.approx(overall), pytest.approx(mean))
    ((_, xy),) = points(draw_scatter([trained], t))
    np.testing.assert_allclose(xy, [[100 * mean, 100 * overall]])


def test_each_network_is_taken_at_its_own_training_t():
    figure = draw_scatter([curve(t_train=2), curve(t_train=5)])
    assert figure.get_suptitle().startswith("each at its training T")
    heard(figure.caption, "2 tet #1 5 #2")
    ((_, xy),) = points(figure)
    np.testing.assert_allclose(xy[:, 1], 90 * (1 - 0.5 ** np.array([2, 5])))


def test_a_single_step_lies_on_the_diagonal():
    accuracy = planted_curve(tmax=4, t_train=1).accuracy
    ((_, xy),) = points(draw_scatter([planted_curve(tmax=4, t_train=1, step_accuracy=accuracy)]))
    assert xy[0, 0] == pytest.approx(xy[0, 1])


def test_groups_have_a_colour_each_and_are_counted():
    figure = draw_scatter([*MANY, curve("other")], None, GROUPS)
    (sdt, sdt_xy), (tet, tet_xy), (rest, rest_xy) = points(figure)
    assert [len(xy) for xy in (sdt_xy, tet_xy, rest_xy)] == [4, 2, 1]
    assert (sdt, tet) == tuple(to_hex(METHOD_STYLES[name]["color"]) for name in ("sdt", "tet"))
    assert len({sdt, tet, rest}) == 3
    assert legend_labels(figure) == [
        "no gain over single steps",
        "95 % Wilson interval",
        "SDT, 4 networks",
        "TET, 2 networks",
        "in no group, 1 network",
    ]


def test_without_groups_there_is_one_colour_and_nobody_is_named():
    figure = draw_scatter(MANY)
    ((_, xy),) = points(figure)
    assert len(xy) == 6 and legend_labels(figure)[2:] == ["6 networks"]


def test_the_first_group_that_fits_counts():
    figure = draw_scatter(MANY, None, {"first": "sdt_0", "all": "*"})
    assert [len(xy) for _, xy in points(figure)] == [1, 5]


def test_bars_are_wilson_intervals_of_the_overall_accuracy():
    trained = curve(t_train=4)
    (bars,) = (each for each in draw_scatter([trained]).axes[0].collections if each.get_gid() == "interval")
    (x0, low), (x1, high) = bars.get_segments()[0]
    n, p = len(trained.sample), trained.accuracy[3]
    expected = stats.binomtest(round(p * n), n).proportion_ci(method="wilson")
    assert x0 == x1 == pytest.approx(points(draw_scatter([trained]))[0][1][0, 0])
    assert (low, high) == (pytest.approx(100 * expected.low, abs=0.05), pytest.approx(100 * expected.high, abs=0.05))


def test_both_axes_have_one_scale_that_holds_all():
    figure = draw_scatter(MANY, None, GROUPS)
    (axes,) = figure.axes
    assert axes.get_xlim() == axes.get_ylim() and axes.get_aspect() == 1
    low, high = axes.get_xlim()
    assert all(low < value < high for _, xy in points(figure) for value in xy.ravel())
    (diagonal,) = (line for line in axes.lines if line.get_gid() == "diagonal")
    assert diagonal.get_slope() == 1
    figure.draw_without_rendering()
    assert not figure.legends[0].get_window_extent().overlaps(axes.get_tightbbox())


@pytest.mark.parametrize(
    ("curves", "timestep", "groups", "message"),
    [
        ([], None, {}, "scaling curve"),
        ([curve()], 9, {}, "timestep 9 1 8"),
        ([curve(t_train=0)], None, {}, "no training"),
        ([curve(t_train=4, tmax=8), replace(curve(label="b"), t_train=9)], None, {}, "curve b"),
        ([curve()], None, {"SDT": "sdt*"}, "SDT 'sdt*'"),
        ([replace(curve(), step_accuracy=np.full(8, np.nan))], None, {}, "lacks accuracy"),
    ],
)
def test_what_does_not_fit_is_refused(curves, timestep, groups, message):
    with refuses(ResultError, message):
        draw_scatter(curves, timestep, groups)


@pytest.mark.parametrize("draw_it", [draw_scatter, draw_classes])
def test_networks_measured_on_different_samples_are_told(draw_it):
    one = planted_curve()
    other = planted_curve(label="other", sample=one.sample + 1)
    assert "different samples" in draw_it([one, other]).caption
    assert "different samples" not in draw_it([one, planted_curve(label="other")]).caption
