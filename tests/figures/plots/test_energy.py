import dataclasses
import itertools
from itertools import combinations, pairwise

import numpy as np
import pytest
from planted_results import planted_counts, planted_curve
from wording import heard, refuses

from tetviz import results
from tetviz.errors import ResultError
from tetviz.figures import draw, draw_energy
from tetviz.figures.formatting import energy_unit
from tetviz.figures.plots.energy import draw_accuracy_per_energy
from tetviz.figures.plots.energy_layers import MOST_LAYERS
from tetviz.figures.plots.style import METHOD_STYLES
from tetviz.summaries import (
    COSTS,
    MEMORIES,
    CostModel,
    baselines,
    convention_table,
    energy_table,
    estimate_energy,
    layer_table,
)
from tetviz.summaries.costs import cost_of, cost_text

OWN = CostModel("own", "a data sheet", 2.0, 0.5, 1.5, 0.5, 0.25, 16, 16, MEMORIES["sram"])


def drawn(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def texts(axes, gid):
    return [text.get_text() for text in axes.texts if text.get_gid() == gid]


def legend_labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def pj(x, counts):
    return np.asarray(x) * energy_unit(float(estimate_energy(counts).total_pj[-1]))[0]


@pytest.mark.parametrize("attributes", [{}, {"convention": "strict", "pool": "mac", "first_layer": "once"}])
def test_figure_table_and_file_agree(tmp_path, attributes):
    made = planted_counts(timesteps=8, **attributes)
    results.save(tmp_path / "a.energy.h5", made)
    counts = results.load(tmp_path / "a.energy.h5", results.OperationCounts)
    report = estimate_energy(made)
    curves, choices, bars, synapses = draw([counts]).axes
    (curve,) = drawn(curves, "energy")
    table = energy_table(report)
    np.testing.assert_allclose(pj(curve.get_xdata(), counts), 1e3 * table["energy (nJ)"], rtol=1e-14)
    np.testing.assert_array_equal(curve.get_ydata(), table["accuracy (%)"])
    (points,) = drawn(choices, "conventions")
    np.testing.assert_allclose(pj(points.get_xdata(), counts), 1e3 * convention_table(made)["energy (nJ)"], rtol=1e-14)
    layers = layer_table(report).drop(index="total")
    assert [label.get_text() for label in bars.get_yticklabels()] == list(layers.index)
    assert [bar.get_gid() for bar in bars.patches] == ["AC"] * len(layers) + ["MAC"] * len(layers)
    widths = np.array([bar.get_width() for bar in bars.patches]).reshape(2, -1)
    unit = energy_unit(1e3 * float(layers["energy (nJ)"].max()))[0]
    np.testing.assert_allclose(widths * unit, [layers["AC"] * 0.9, layers["MAC"] * 4.6], rtol=1e-12)
    np.testing.assert_allclose(widths.sum() * unit, report.total_pj[3], rtol=1e-12)
    (markers,) = drawn(synapses, "spikes per synapse")
    np.testing.assert_array_equal(markers.get_xdata(), layers["spikes/synapse"])
    assert texts(synapses, "none").count(" MAC") == int(layers["spikes/synapse"].isna().sum()) > 0
    (line,) = drawn(synapses, "break-even")
    np.testing.assert_allclose(line.get_xdata(), 4.6 / 0.9)


def test_the_anns_are_lines_through_both_panels():
    counts = planted_counts()
    curves, choices, *_ = draw_energy([counts]).axes
    table = baselines(estimate_energy(counts))
    for kind in ("ANN, padded", "ANN, in-bounds"):
        for axes in (curves, choices):
            (line,) = drawn(axes, kind)
            np.testing.assert_allclose(pj(line.get_xdata(), counts), 1e3 * table.loc[kind, "energy (nJ)"])
    # The same shapes share their lines; other constants do not.
    same = draw_energy([counts, planted_counts(label="SDT")])
    assert len(drawn(same.axes[0], "ANN, padded")) == 1
    other = draw_energy([counts, planted_counts(label="SDT", cost="45nm-fp16")])
    colours = [line.get_color() for line in drawn(other.axes[0], "ANN, padded")]
    assert colours == [METHOD_STYLES["tet"]["color"], METHOD_STYLES["sdt"]["color"]]


def test_each_t_is_named_and_the_training_t_marked():
    for timesteps, named in ((8, "12345678"), (10, [*"123456789", "10"]), (20, ["1", "2", "4", "8", "16", "20"])):
        counts = planted_counts(timesteps=timesteps)
        curves = draw_energy([counts]).axes[0]
        assert texts(curves, "T") == list(named)
        (ring,) = drawn(curves, "training T")
        assert ring.get_ydata() == [100 * counts.accuracy[3]]
        np.testing.assert_allclose(pj(ring.get_xdata(), counts), estimate_energy(counts).total_pj[3])
    assert not drawn(draw_energy([planted_counts(timesteps=2)]).axes[0], "training T")


def test_better_networks_are_named_above_and_worse_below():
    better = planted_counts()
    worse = planted_counts(label="SDT", accuracy=better.accuracy / 2)
    for pair in ([better, worse], [worse, better]):
        named = [text for text in draw_energy(pair).axes[0].texts if text.get_gid() == "T"]
        heights = {text.get_color(): text.get_va() for text in named}
        assert heights == {METHOD_STYLES["tet"]["color"]: "bottom", METHOD_STYLES["sdt"]["color"]: "top"}


def test_the_caption_says_what_the_numbers_rest_on():
    figure = draw_energy([planted_counts(timesteps=8, not_counted=("fold: unknown operation",))])
    caption = figure.get_suptitle().replace("\n", " ")
    for part in ("tet, per-step", "45nm-fp32 (4.6 pJ a MAC, 0.9 pJ an AC)", "T = 4", "cifar10 test, 100 samples"):
        assert part in caption
    heard(caption, "incomplete operation")
    assert "T = 2" in draw_energy([planted_counts()], 2).get_suptitle()
    both = draw_energy([planted_counts(), planted_counts(label="SDT", first_layer="once")])
    assert both.get_suptitle() == ""
    first, second = (label.replace("\n", " ") for label in legend_labels(both)[:2])
    assert "tet, per-step" in first and "tet, once" in second


def test_the_headline_has_its_row():
    for attributes, bold in (({}, "tet, per-step"), ({"pool": "mac"}, "tet, per-step, pool mac")):
        counts = planted_counts(**attributes)
        choices = draw_energy([counts]).axes[1]
        rows = {label.get_text(): label.get_fontweight() for label in choices.get_yticklabels()}
        assert [label for label, weight in rows.items() if weight == "bold"] == [bold]
        assert len(rows) == (5 if attributes else 4)
        at = list(rows).index(bold)
        (points,) = drawn(choices, "conventions")
        np.testing.assert_allclose(pj(points.get_xdata()[at], counts), estimate_energy(counts).total_pj[-1])


def deep(layers):
    """As many layers with weights as a ResNet-19 has, and more, with the names that it has."""
    counts = planted_counts()
    rows = np.arange(layers) % 2 * 3  # conv1 and conv2, in turn
    picked = {
        name: getattr(counts, name)[rows]
        for name, schema in counts.held().items()
        if schema["dims"][0] == "layer" and name != "layer"
    }
    names = [f"blocks.{row}.shortcut.conv" for row in range(layers)]
    listed = {name: tuple(getattr(counts, name)[row] for row in rows) for name in ("modules", "inputs")}
    return dataclasses.replace(counts, layer=np.arange(layers), **picked, **listed, names=tuple(names))


@pytest.mark.parametrize("networks", [1, 3])
def test_many_layers_stay_readable_and_nothing_overlaps(networks):
    figure = draw_energy([deep(23)] * networks)
    figure.draw_without_rendering()
    for axes in figure.axes[2::2]:
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert len(boxes) == 23
        assert not any(one.overlaps(other) for one, other in pairwise(boxes))
        assert all(box.x0 >= figure.bbox.x0 for box in boxes)
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1
    assert not any(legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)


def test_of_very_many_layers_those_that_take_most_are_drawn():
    many = deep(130)
    figure, table = draw_energy([many]), layer_table(estimate_energy(many)).drop(index="total")
    bars, _ = figure.axes[2:4]
    shown = [text.get_text() for text in bars.get_yticklabels()]
    most = table["energy (nJ)"].nlargest(MOST_LAYERS).tolist()
    assert sorted(table.loc[shown, "energy (nJ)"], reverse=True) == most
    assert [name for name in table.index if name in shown] == shown
    assert bars.get_title().endswith(", 100 of 130 layers")
    assert "Of 130 layers the 100 that take most are drawn." in figure.caption
    assert "layers the 100" not in draw_energy([deep(100)]).caption


def test_what_is_silent_or_unknown_is_drawn_too():
    silent = planted_counts()
    nothing = np.zeros_like(silent.ac)
    silent = dataclasses.replace(silent, ac=nothing, unit_ac=nothing, accuracy=np.full(4, np.nan))
    figure = draw_energy([silent])
    figure.draw_without_rendering()
    assert " 0: silent" in texts(figure.axes[3], "none")
    assert texts(figure.axes[0], "T") == []
    idle = dataclasses.replace(silent, mac=nothing)
    figure = draw_energy([idle])
    figure.draw_without_rendering()
    assert np.isnan(drawn(figure.axes[0], "energy")[0].get_xdata()).all()


def test_a_cost_model_of_ones_own_is_in_the_file(tmp_path):
    assert [cost_text(model) for model in COSTS.values()] == list(COSTS)
    counts = planted_counts(cost=cost_text(OWN))
    results.save(tmp_path / "a.h5", counts)
    assert cost_of(results.load(tmp_path / "a.h5", results.OperationCounts)) == OWN
    same_name = dataclasses.replace(COSTS["45nm-fp32"], mac=5.0)
    assert cost_of(planted_counts(cost=cost_text(same_name))) == same_name
    (line,) = drawn(draw_energy([counts]).axes[3], "break-even")
    np.testing.assert_array_equal(line.get_xdata(), [4.0, 4.0])
    heard(draw_energy([counts]).get_suptitle().replace("\n", " "), "2 MAC 0.5 AC")


@pytest.mark.parametrize(
    "text", ["{", '{"name": "x"}', '{"memory": 3}', cost_text(OWN).replace("2.0", '"2"')], ids=itertools.count()
)
def test_a_damaged_cost_model_is_refused(text):
    with refuses(ResultError, "cannot read"):
        draw_energy([planted_counts(cost=text)])


@pytest.mark.parametrize(
    ("drawing", "options", "message"),
    [
        ([planted_counts()], {"loss": "sdt"}, "loss timestep"),
        ([planted_counts()], {"plane": 0}, "plane timestep"),
        ([planted_counts()], {"timestep": 5}, "5 1 to 4"),
        ([planted_counts()], {"timestep": 0}, "0 1 to 4"),
        ([planted_counts(), planted_curve()], {}, "energy scaling"),
    ],
)
def test_what_the_counts_do_not_hold_is_refused(drawing, options, message):
    with refuses(ResultError, message):
        draw(drawing, **options)


def test_nothing_to_draw_is_refused():
    with refuses(ResultError, "operation counts"):
        draw_energy([])


def test_no_name_of_a_point_lies_on_another():
    counts = planted_counts(timesteps=8)
    figure = draw_accuracy_per_energy([counts, planted_counts(timesteps=8, label="SDT"), planted_counts(timesteps=8)])
    named = [text for text in figure.axes[0].texts if text.get_gid() == "T"]
    boxes = [text.get_window_extent() for text in named]
    assert len(named) >= 8 and not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert {text.get_va() for text in named} == {"bottom", "top"}  # equals too are told apart


def test_microjoules_are_written_with_a_micro_sign():
    counts = planted_counts()
    larger = {name: 1000 * getattr(counts, name) for name in ("dense_mac", "inbounds_mac", "mac", "ac")}
    assert (
        1e3
        <= estimate_energy(counts).total_pj[-1]
        < 1e6
        <= estimate_energy(dataclasses.replace(counts, **larger)).total_pj[-1]
    )
    label = draw_accuracy_per_energy([dataclasses.replace(counts, **larger)]).axes[0].get_xlabel()
    assert "(\N{MICRO SIGN}J)" in label
