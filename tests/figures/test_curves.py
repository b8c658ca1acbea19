"""Charts as data, and that both backends draw all of it."""

import base64
import dataclasses

import numpy as np
import pytest

from tetviz.figures.curves import ACCURACY, GAP, Axis, Curves, Mark, Series, gaps_of, marked, scale_of
from tetviz.figures.plots.curves import draw_charts
from tetviz.figures.report.plotly import chart

NOTHING = np.nan
X = np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def curves(*series, x=None, y=None, **changes):
    return Curves("Title", "alt", ("one", "two"), x or Axis("x"), y or Axis("y"), series, **changes)


def drawn(made):
    return draw_charts([made], list(made.networks)).axes[0]


def coordinates(trace, name):
    """Coordinates of a trace, which plotly writes as base64 where they are an array."""
    found = trace[name]
    return np.frombuffer(base64.b64decode(found["bdata"]), found["dtype"]).tolist() if "bdata" in found else found


@pytest.mark.parametrize(
    ("values", "how", "expected"),
    [
        ([1.0, 50.0], {}, ("linear", 0.0)),
        ([1.0, 200.0, NOTHING], {}, ("log", 0.0)),
        ([-1.0, 0.001, 200.0], {}, ("linear", 0.0)),
        ([-1.0, 2.0, 3.0, 900.0], {"from_median": True}, ("symlog", 1.0)),
        ([0.0, NOTHING], {}, ("linear", 0.0)),
        ([1.0, 50.0], {"wide": 8}, ("log", 0.0)),
    ],
)
def test_a_wide_range_has_another_scale(values, how, expected):
    assert scale_of([np.array(values)], **how) == expected


def test_gaps_are_between_the_middles_of_neighbours():
    one, other = np.array([1, NOTHING, NOTHING, 1, NOTHING]), np.array([NOTHING, 1, NOTHING, 1, NOTHING])
    assert gaps_of(X, [one, other]) == ((2.5, 3.5), (4.5, 5.0)) and gaps_of(X, [X]) == ()


def test_markers_of_lines_that_lie_on_one_another_are_apart():
    x = np.arange(40.0)
    found = [marked(curves(), Series(network, x, x)) for network in (0, 1)]
    assert not set(found[0]) & set(found[1]) and all(len(each) == 8 for each in found)


def test_an_axis_stays_within_its_bounds_in_both():
    made = curves(Series(0, X, np.array([90, 95, 99, 100, 100.0])), y=ACCURACY)
    assert 100 < drawn(made).get_ylim()[1] <= 101
    low, high = chart(made).figure["layout"]["yaxis"]["range"]
    assert low < 90 and 100 < high <= 101
    flat = curves(Series(0, X, np.full(5, 50.0)), y=Axis("y", least=2.0))
    assert chart(flat).figure["layout"]["yaxis"]["range"] == [49, 51] and np.ptp(drawn(flat).get_ylim()) >= 2


@pytest.mark.parametrize("values", [[100.0] * 5, [0.0] * 5, [0, 25, 50, 75, 100.0], [99.7, 100, 100, 100, 100]])
def test_no_tick_is_beyond_what_an_accuracy_can_be(values):
    made = curves(Series(0, X, np.array(values)), y=ACCURACY)
    axes = drawn(made)
    low, high = axes.get_ylim()
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert len(ticks) > 1 and min(ticks) > -1e-6 and max(ticks) < 100 + 1e-6
    assert low < min(values) and max(values) < high


def test_a_marked_value_is_on_the_axis_in_both():
    made = curves(Series(0, X, X / 50), y=Axis("phi", lines=(1.0,)))
    assert drawn(made).get_ylim()[1] >= 1
    layout = chart(made).figure["layout"]
    assert layout["yaxis"]["range"][1] >= 1
    assert [(shape["y0"], shape["xref"]) for shape in layout["shapes"]] == [(1.0, "paper")]


def test_an_interval_alone_is_a_bar_and_a_band_ends_at_a_gap():
    low, high = np.array([0, 0, NOTHING, 0, NOTHING]), np.array([1, 1, NOTHING, 1, NOTHING])
    made = curves(Series(0, X, low, low, high), band="interval")
    assert made.series[0].alone.tolist() == [False, False, False, True, False]
    (bars,) = [each for each in drawn(made).collections if each.get_gid() == "bar"]
    assert [segment.tolist() for segment in bars.get_segments()] == [[[4, 0], [4, 1]]]
    band, bar, *_ = chart(made).figure["data"]
    assert coordinates(band, "x") == [1, 2, 2, 1] and band["fill"] == "toself"
    assert coordinates(bar, "x")[:2] == [4, 4] and len(coordinates(bar, "x")) == 3
    split = curves(Series(0, X, X, np.array([0, 0, NOTHING, 0, 0]), np.array([1, 1, NOTHING, 1, 1])))
    assert [coordinates(trace, "x") for trace in chart(split).figure["data"][:2]] == [[1, 2, 2, 1], [4, 5, 5, 4]]


def test_gaps_and_notes_are_in_both():
    made = curves(Series(0, X, X), gaps=((2.0, 3.0),), note="nothing yet")
    axes = drawn(made)
    assert [patch.get_x() for patch in axes.patches if patch.get_gid() == "gap"] == [2]
    assert "nothing yet" in [text.get_text() for text in axes.texts]
    page = chart(made).figure
    assert [(shape["x0"], shape["x1"]) for shape in page["layout"]["shapes"]] == [(2, 3)]
    assert page["layout"]["annotations"][0]["text"] == "nothing yet"
    assert page["data"][-1]["name"] == GAP


def test_a_chart_without_series_shows_its_note_alone():
    made = curves(note="no density")
    _, empty = draw_charts([curves(Series(0, X, X)), made], ["one", "two"]).axes
    assert not empty.get_xticks().size and chart(made).figure["layout"]["annotations"][0]["text"] == "no density"


@pytest.mark.parametrize("value", [-300.0, -0.5, 0.0, 0.05, 1.0, 20.0])
def test_a_symlog_axis_of_a_page_is_that_of_print(value):
    made = curves(Series(0, X, np.array([value, -1000, 1000, 1, 0])), y=Axis("y", "symlog", linear=0.1))
    transform = drawn(made).yaxis.get_transform()
    placed = coordinates(chart(made).figure["data"][0], "y")
    # Both count decades, matplotlib in units of the linear part.
    assert placed[0] == pytest.approx(float(transform.transform(np.array([value]))[0]) / 0.1)
    axis = chart(made).figure["layout"]["yaxis"]
    assert dict(zip(axis["ticktext"], axis["tickvals"], strict=True))["0"] == 0


def test_what_is_predicted_is_dotted_and_the_rest_solid():
    made = curves(Series(1, X, X), Series(1, X, X + 1, predicted=True), predicted="the closed form")
    solid, dotted, *_ = drawn(made).lines
    assert (solid.get_linestyle(), dotted.get_linestyle()) == ("-", ":") and dotted.get_gid() == "predicted"
    first, second, key = chart(made).figure["data"]
    assert (first["line"]["dash"], second["line"]["dash"], key["name"]) == ("solid", "dot", "the closed form")
    assert first["showlegend"] and not second["showlegend"]


def test_points_of_no_network_are_in_no_legend():
    made = curves(Series(0, X, X), Series(None, X[:2], X[:2], ringed=(0, 1), joined=False), ring="the ends")
    figure = draw_charts([made], ["one", "two"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "the ends"]
    shown = [trace["name"] for trace in chart(made).figure["data"] if trace.get("showlegend", True)]
    assert shown == ["one", "the ends"]


def test_few_numbers_have_their_own_ticks_in_both():
    made = curves(Series(0, np.array([0.01, 0.03]), X[:2]), x=Axis("rho", "log", at=(0.01, 0.03)))
    assert drawn(made).get_xticks().tolist() == [0.01, 0.03]
    assert chart(made).figure["layout"]["xaxis"]["ticktext"] == ["0.01", "0.03"]


@pytest.mark.parametrize(("lowest", "label"), [(1e-2, "0.01"), (1e-5, "$\\mathdefault{10^{-5}}$")])
def test_ticks_of_many_decades_are_written_as_powers(lowest, label):
    made = curves(Series(0, X, np.geomspace(lowest, 1, 5)), y=Axis("density", "log"))
    axes = drawn(made)
    axes.figure.draw_without_rendering()
    labels = dict(zip(axes.get_yticks().tolist(), (each.get_text() for each in axes.get_yticklabels()), strict=True))
    assert {f"{at:g}": text for at, text in labels.items()}[f"{lowest:g}"] == label


def test_the_key_of_lines_with_markers_has_one_in_both():
    made = curves(Series(0, X, X), Series(0, X, X + 1, thin=True), strong="the mean", thin="a direction")
    handles = draw_charts([made], ["one", "two"]).legends[0].legend_handles
    assert [handle.get_marker() for handle in handles] == ["o", "o", "None"]
    keys = {trace["name"]: trace["mode"] for trace in chart(made).figure["data"]}
    assert (keys["the mean"], keys["a direction"]) == ("lines+markers", "lines")


def test_charts_stand_in_the_rows_that_they_name():
    plain = curves(Series(0, X, X))
    rows = {"a": 0, "b": 1, "c": 1}
    top, left, right = (dataclasses.replace(plain, row=row, y=Axis(name)) for name, row in rows.items())
    figure = draw_charts([top, left, right], ["one", "two"])
    figure.draw_without_rendering()
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].width > 1.8 * boxes[1].width and boxes[0].y0 > boxes[1].y1
    assert boxes[1].y0 == pytest.approx(boxes[2].y0)


def test_marks_of_no_network_are_drawn():
    made = curves(Series(0, X, X), marks=(Mark(2.0, None, text="2"),), dotted="an eigenvalue")
    assert [line.get_xdata()[0] for line in drawn(made).lines if line.get_gid() == "an eigenvalue"] == [2]
    assert chart(made).figure["layout"]["shapes"][0]["x0"] == 2
