"""What scaling curves show: tables of every T, early exit, classes and differences, and charts."""

from dataclasses import replace

import numpy as np
import pytest
from planted_results import planted_curve
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import Choices, draw_named, printed, records
from tetviz.figures.registry import view_named
from tetviz.summaries import class_accuracy, compare_scaling, exit_curve, wilson
from tetviz.summaries.exits import table_points

VIEW = view_named("scaling")


def another(curve, label="b", **changes):
    return replace(curve, provenance=replace(curve.provenance, label=label), **changes)


def test_the_scale_table_has_wilson_intervals_at_every_t():
    curve = planted_curve(tmax=8)
    frame = draw_named("scale-table", [curve]).frame.set_index("T")
    low, high = wilson(curve.accuracy, len(curve.sample))
    np.testing.assert_allclose(frame["accuracy low (%)"], 100 * low)
    np.testing.assert_allclose(frame["accuracy high (%)"], 100 * high)
    assert frame.index.tolist() == list(range(1, 9)) and set(frame["samples"]) == {len(curve.sample)}


def test_a_step_alone_is_over_the_samples_that_have_it():
    plain = planted_curve(tmax=8)
    count = len(plain.sample)
    length = np.where(np.arange(count) < count // 4, 7, 3)  # none has step 8
    having = np.repeat([count, count // 4, 0], [3, 4, 1])
    gone = np.where(having > 0, 1.0, np.nan)
    curve = replace(plain, length=length, step_accuracy=plain.step_accuracy * gone, step_loss=plain.step_loss * gone)
    table = draw_named("scale-table", [curve])
    frame, (low, high) = table.frame.set_index("T"), wilson(curve.step_accuracy, having)
    np.testing.assert_array_equal(frame["step samples"], having)
    np.testing.assert_allclose(frame["step accuracy low (%)"], 100 * low)
    np.testing.assert_allclose(frame["step accuracy high (%)"], 100 * high)
    assert table.cells().loc["4 (trained)", "samples with a step T"] == str(count // 4)
    heard("\n".join(table.feet), "3 to 7 of 8 steps")
    for pair in ([another(plain), curve], [curve, another(plain)]):
        assert {str(count), "0"} <= set(draw_named("scale-table", pair).cells()["samples with a step T"])
    (record,) = records([curve])
    assert record["step_samples"] == having.tolist() and "step_samples" not in records([plain])[0]
    assert not VIEW.doubts(curve)  # a step that no sample has is no loss that has diverged


def test_a_row_of_the_scale_table_is_what_the_curve_holds():
    curve = planted_curve(tmax=8)
    cells = draw_named("scale-table", [curve]).cells()
    assert cells.index.tolist() == ["1", "2", "4 (trained)", "8"]
    low, high = wilson(curve.accuracy, len(curve.sample))
    row = cells.loc["8"]
    assert row["accuracy (%)"] == f"{100 * curve.accuracy[7]:.2f} [{100 * low[7]:.2f}, {100 * high[7]:.2f}]"
    assert row["step T alone (%)"].startswith(f"{100 * curve.step_accuracy[7]:.2f} [")
    assert row["growth (%)"] == f"{100 * curve.relative_growth[7]:+.2f}"
    assert row[["L_SDT (nat)", "L_TET (nat)"]].tolist() == [f"{curve.sdt_loss[7]:.4f}", f"{curve.tet_loss[7]:.4f}"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"t_train": 0}, "variance of the step accuracy beyond the T of training: that T is not recorded"),
        ({"t_train": 7}, "variance of the step accuracy: needs two steps beyond the T of training, 7"),
        ({}, "variance of the step accuracy over t = 5..8: not recorded"),
        ({"temporal_variance": 0.00125}, "variance of the step accuracy over t = 5..8: 12.5000 %^2"),
    ],
)
def test_the_variance_beyond_training_stands_below(changes, words):
    assert VIEW.tables["scale-table"].make([planted_curve(tmax=8, **changes)], Choices()).feet == (words,)


def test_one_t_can_be_asked_for():
    curve = planted_curve(tmax=8)
    table = draw_named("scale-table", [curve], Choices(timestep=3))
    assert table.cells().index.tolist() == ["3"] and not table.feet and len(table.frame) == 8
    with refuses(ResultError, "9 VGGSNN TET 1 8"):
        draw_named("scale-table", [curve], Choices(timestep=9))


@pytest.mark.parametrize("rule", ["margin", "entropy"])
def test_rows_of_early_exit_are_points_of_its_curve(rule):
    curve = planted_curve(tmax=8)
    table, found = draw_named(f"{rule}-exit-table", [curve]), exit_curve(curve, rule)
    np.testing.assert_array_equal(table.frame["mean T"], found.mean_timesteps)
    np.testing.assert_array_equal(table.frame["accuracy low (%)"], 100 * found.low)
    cells, at = table.cells(), table_points(found)
    assert len(cells) == len(at) and cells.index.name == f"exit: {rule}" and cells.index[-1] == "never"
    sign = {"margin": ">=", "entropy": "<="}[rule]
    assert cells.index[0] == f"{sign} {abs(found.threshold[at[0]]):.4g}"
    assert cells["mean T"].tolist() == [f"{mean:.2f}" for mean in found.mean_timesteps[at]]
    assert cells["unsure at the last T (%)"].iloc[-1] == "100.00"


def test_classes_are_in_percent_at_the_powers_of_two():
    curve = planted_curve(tmax=8)
    table = draw_named("class-table", [curve])
    assert table.cells().columns.tolist() == ["samples", "T=1", "T=2", "T=4 (trained)", "T=8"]
    np.testing.assert_allclose(table.frame["T=3 (%)"], 100 * class_accuracy(curve)[3])
    assert table.cells()["samples"].tolist() == ["100"] * 10


def test_classes_of_networks_of_other_lengths_share_a_table():
    cells = draw_named("class-table", [planted_curve(tmax=8), another(planted_curve(tmax=2, t_train=2))]).cells()
    assert cells.columns.tolist() == ["class", "samples", "T=1", "T=2", "T=4", "T=8"]
    assert cells.loc["b", "T=8"].tolist() == ["-"] * 10


def test_differences_are_those_of_the_same_samples():
    one = planted_curve(tmax=8)
    two, three = another(planted_curve(tmax=4, top=0.8)), another(planted_curve(tmax=8, top=0.7), "c")
    table = draw_named("difference-table", [one, two, three])
    found = [compare_scaling(one, other) for other in (two, three)]
    expected = np.concatenate([100 * each.mean for each in found])
    np.testing.assert_array_equal(table.frame["difference (points)"], expected)
    cells = table.cells()
    assert cells.index.tolist() == ["b"] * 3 + ["c"] * 4 and cells["T"].tolist() == [*"124", *"1248"]
    last = found[1]
    assert cells["difference (points)"].iloc[-1] == (
        f"{100 * last.mean[7]:+.2f} [{100 * last.low[7]:+.2f}, {100 * last.high[7]:+.2f}]"
    )
    assert [each.sentence().split(" by ")[1] in foot for each, foot in zip(found, table.feet, strict=False)] == [
        True
    ] * 2
    heard(table.feet[-1], "another training")


def test_a_difference_of_a_single_sample_says_next_to_nothing():
    one = planted_curve(tmax=4, sample=np.arange(1), label="a")
    table = draw_named("difference-table", [one, another(one)])
    assert set(table.cells()["difference (points)"]) == {"+0.00 [-92.39, +92.39]"}
    assert "the same 1 sample]" in table.about
    assert any("within the noise of 1 sample" in foot for foot in table.feet)


def test_other_samples_have_no_difference():
    curves = [planted_curve(tmax=4), another(planted_curve(tmax=4, sample=np.arange(50)))]
    with refuses(ResultError, "different 1,000 50"):
        draw_named("difference-table", curves)
    assert "not given, accuracy minus that of the first network" in printed(curves, asked=["differences"])
    assert "baseline" not in records(curves, asked=["differences"])[1]


def test_what_is_asked_for_is_printed_and_recorded():
    curves = [planted_curve(tmax=4), another(planted_curve(tmax=4))]
    plain, whole = (printed(curves, asked=asked) for asked in ((), ("margin", "per-class", "steps", "differences")))
    for words in ("exit: margin", "class  samples", "trained at T", "b minus VGGSNN TET"):
        assert words in whole and words not in plain
    assert "exit: entropy" not in whole
    first, second = records(curves, asked=["entropy", "per-class", "differences"])
    assert list(first)[-7:] == [
        *(f"entropy_exit_{name}" for name in ("threshold", "mean_timesteps", "accuracy", "low", "high", "unsure")),
        "class_accuracy",
    ]
    assert list(second)[-6:-3] == ["baseline", "difference", "difference_low"]
    assert first["accuracy_low"] == wilson(curves[0].accuracy, 1000)[0].tolist()
    assert "baseline" not in records(curves)[1] and "class_accuracy" not in records(curves)[0]


def test_charts_hold_the_numbers_of_the_curve_and_of_its_exits():
    curve = planted_curve(tmax=8)
    accuracy, growth, margin, entropy = VIEW.curves([curve], Choices())
    thin, line = accuracy.series
    np.testing.assert_array_equal(line.y, 100 * curve.accuracy)
    np.testing.assert_array_equal(line.low, 100 * wilson(curve.accuracy, 1000)[0])
    np.testing.assert_array_equal(thin.y, 100 * curve.step_accuracy)
    np.testing.assert_array_equal(growth.series[0].y, 100 * curve.relative_growth)
    assert line.ringed == growth.series[0].ringed == (3,) and growth.y.lines == (0.0,)
    for chart, rule in ((margin, "margin"), (entropy, "entropy")):
        found = exit_curve(curve, rule)
        fixed, line = chart.series
        np.testing.assert_array_equal(line.x, found.mean_timesteps)
        np.testing.assert_array_equal(line.high, 100 * found.high)
        assert fixed.ringed == (3,) and fixed.thin and chart.fold.startswith("Early exit")
        assert f"mean T {found.mean_timesteps[0]:.2f}" in line.texts[0] and "never" in line.texts[-1]


def test_a_training_t_that_was_not_measured_has_no_ring():
    for chart in VIEW.curves([planted_curve(tmax=8, t_train=0)], Choices()):
        assert chart.ring == "" and not any(series.ringed for series in chart.series)
