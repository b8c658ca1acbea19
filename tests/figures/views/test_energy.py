"""What operation counts show: tables, charts and words agree with the summaries and with each other."""

import numpy as np
import pytest
from planted_results import planted_counts
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import Choices, draw_named, printed, records
from tetviz.figures.formatting import energy_unit, short
from tetviz.figures.registry import default_table, view_named
from tetviz.figures.views.energy import accuracy_curves, convention_curves, energy_column
from tetviz.summaries import (
    baselines,
    convention_table,
    energy_table,
    estimate_energy,
    layer_table,
    wilson,
)

VIEW = view_named("energy")


def table_of(name, *counts, **choices):
    return draw_named(name, counts, Choices(**choices))


def numbers(cells):
    return [float(cell.replace(",", "")) for cell in cells]


def test_the_convention_table_has_the_anns_of_the_summaries_in_the_unit_of_the_commands():
    counts = planted_counts()
    report = estimate_energy(counts)
    table = table_of("convention-table", counts)
    frame = table.frame.set_index("convention, first layer")
    dense = baselines(report).loc[["ANN, padded", "ANN, in-bounds"]]
    assert frame.index[-2:].tolist() == dense.index.tolist() and (frame.loc[dense.index, "AC"] == 0).all()
    for column in ("MAC", "energy (nJ)"):
        np.testing.assert_array_equal(frame.loc[dense.index, column], dense[column])
    share = 100 * frame["energy (nJ)"] / dense.loc["ANN, in-bounds", "energy (nJ)"]
    np.testing.assert_allclose(frame["of the ANN (%)"], share)
    factor, unit = energy_unit(float(report.total_pj[-1]))
    shown = numbers(table.cells()[f"energy ({unit})"])
    np.testing.assert_allclose(shown, frame["energy (nJ)"] * 1e3 / factor, rtol=1e-3)


@pytest.mark.parametrize(
    ("attributes", "marked", "rows"),
    [
        ({}, "tet, per-step", 6),
        ({"norm": "charge"}, "tet, per-step", 6),
        ({"pool": "mac"}, "tet, per-step, pool mac", 7),
        ({"convention": "strict", "first_layer": "once", "pool": "mac"}, "strict, once", 6),
    ],
)
def test_the_headline_is_marked_and_has_the_energy_of_the_other_tables(attributes, marked, rows):
    counts = planted_counts(**attributes)
    table = table_of("convention-table", counts)
    assert [label for label in table.cells().index if "headline" in label] == [f"{marked} (headline)"]
    headline = table.frame[table.frame["headline"]]["energy (nJ)"].tolist()
    assert headline == [estimate_energy(counts).total_pj[3] / 1e3] and len(table.frame) == rows
    assert headline == pytest.approx([layer_table(estimate_energy(counts)).loc["total", "energy (nJ)"]])


@pytest.mark.parametrize("factor", [1.0, 1e3, 1e6, 1e9, 1e12])
def test_right_answers_per_energy_are_the_same_in_any_unit(factor):
    sizes = {"pJ": 1.0, "nJ": 1e3, "\N{MICRO SIGN}J": 1e6, "mJ": 1e9, "J": 1e12}
    unit = factor, next(name for name, size in sizes.items() if size == factor)
    energy, right = (energy_column(name, unit) for name in ("energy (nJ)", "right per uJ"))
    first, second = energy.head.removeprefix("energy (").removesuffix(")"), right.head.removeprefix("right per ")
    assert sizes[first] == factor and sizes[second] == min(1e3 * factor, 1e12)
    spent, answers = (
        float(column.form(value).replace(",", "")) for column, value in ((energy, 2.0e6), (right, 0.5e-3))
    )
    assert spent * sizes[first] == pytest.approx(2e9) and answers / sizes[second] == pytest.approx(0.5e-3 / 1e6)


def test_the_energy_table_has_every_t_and_wilson_intervals():
    counts = planted_counts(timesteps=12)
    table = table_of("energy-table", counts)
    frame, whole = table.frame.set_index("T"), energy_table(estimate_energy(counts))
    for column in whole:
        np.testing.assert_array_equal(frame[column], whole[column])
    low, high = wilson(counts.accuracy, 100)
    np.testing.assert_array_equal(frame["accuracy low (%)"], 100 * low)
    np.testing.assert_array_equal(frame["accuracy high (%)"], 100 * high)
    assert table.cells().index.tolist() == ["1", "2", "4 (trained)", "8", "12"]
    few = table_of("energy-table", planted_counts(timesteps=10)).cells()
    assert few.index.tolist() == ["1", "2", "3", "4 (trained)", *"56789", "10"]
    assert few["accuracy (%)"].iloc[0] == "45.00 [35.61, 54.76]"


def test_layers_show_their_dense_pairs_and_add_up():
    counts = planted_counts()
    table = table_of("layer-table", counts, timestep=2)
    frame = table.frame.set_index("layer")
    dense = {name: column[:2].sum() / 100 for name, column in zip(counts.names, counts.dense_mac, strict=True)}
    assert frame["dense MAC"].drop("total").to_dict() == {name: dense[name] for name in frame.index[:-1]}
    assert frame.loc["total", "dense MAC"] == sum(dense.values())
    assert "T = 2" in table.note and "T = 4" in table_of("layer-table", counts).note


def test_what_is_off_the_headline_adds_up_and_has_both_bounds_of_memory():
    counts = planted_counts(norm="charge")
    frame = table_of("beside-table", counts, pricing={"memory": "sram"}).frame.set_index("not in the headline")
    report = estimate_energy(counts, memory="sram")
    assert frame.loc["total", "energy (nJ)"] == pytest.approx(report.total_side_pj[3] / 1e3)
    parts = frame[frame["operations"].notna()]
    np.testing.assert_allclose(parts["energy (nJ)"], parts["operations"] * parts["pJ each"] / 1e3)
    assert parts["energy (nJ)"].sum() == pytest.approx(frame.loc["total", "energy (nJ)"]) and "norm mac" in parts.index
    low, high = frame.loc[["memory sram, low", "memory sram, high"], "energy (nJ)"]
    assert (low, high) == (report.total_memory_low_pj[3] / 1e3, report.total_memory_high_pj[3] / 1e3)
    assert not any("memory" in row for row in table_of("beside-table", counts).cells().index)


def test_networks_stand_side_by_side_and_what_one_lacks_is_a_dash():
    long, short_run = planted_counts(label="SDT", timesteps=6), planted_counts()
    table = table_of("networks-table", long, short_run)
    cells = table.cells()
    assert cells.columns.tolist() == ["SDT (%)", "SDT (nJ)", "VGGSNN TET (%)", "VGGSNN TET (nJ)"]
    assert cells["VGGSNN TET (nJ)"].tolist()[4:] == ["-", "-"]
    assert cells["SDT (nJ)"].tolist() == [short(pj / 1e3) for pj in estimate_energy(long).total_pj]
    with refuses(ResultError, "least 2 1"):
        table_of("networks-table", long)


def test_all_is_priced_by_what_is_asked_for():
    counts, pricing = planted_counts(), {"convention": "strict", "first_layer": "once", "cost": "45nm-int8"}
    report = estimate_energy(counts, **pricing)
    asked = Choices(pricing=pricing)
    for name in ("convention-table", "energy-table", "layer-table"):
        heard(draw_named(name, [counts], asked).caption, "45nm-int8 0.23 MAC")
    frame = draw_named("energy-table", [counts], asked).frame
    np.testing.assert_array_equal(frame["energy (nJ)"], report.total_pj / 1e3)
    assert records([counts], asked)[0]["energy_pj"] == report.total_pj.tolist()
    assert records([counts])[0]["energy_pj"] == estimate_energy(counts).total_pj.tolist()
    assert "strict, once (headline)" in printed([counts], asked)


def test_networks_that_are_priced_unlike_are_warned_of():
    one, other = planted_counts(label="a"), planted_counts(label="b", cost="45nm-int8")
    assert VIEW.words([one, one], Choices()).warned == ()
    warned = VIEW.words([one, other], Choices()).warned
    assert "do not compare" in warned[0] and [text.partition(":")[0] for text in warned[1:]] == ["a", "b"]
    assert "warning: These networks are priced by other cost models" in printed([one, other])
    alike = Choices(pricing={"cost": "45nm-int8"})
    assert VIEW.words([one, other], alike).warned == ()


def test_charts_hold_the_numbers_of_the_tables():
    counts = [planted_counts(label="SDT", timesteps=8), planted_counts(pool="mac")]
    reports = list(map(estimate_energy, counts))
    factor = energy_unit(max(float(report.total_pj[-1]) for report in reports))[0]
    chart = accuracy_curves(reports)
    for series, report in zip(chart.series, reports, strict=True):
        table = energy_table(report)
        np.testing.assert_allclose(series.x * factor, 1e3 * table["energy (nJ)"])
        np.testing.assert_array_equal(series.y, table["accuracy (%)"])
        assert series.ringed == (3,) and series.texts[3].startswith("T = 4\n")
    rows = convention_curves(reports, [4, 4], anns=True)
    for network, (series, each) in enumerate(zip(rows.series, counts, strict=True)):
        expected = 1e3 * convention_table(each)["energy (nJ)"]
        np.testing.assert_allclose(series.x[:4] * factor, expected)
        assert np.round(series.y).astype(int).tolist() == [0, 1, 2, 3, *([6] if network else []), 4, 5]
    assert rows.y.ticks[4:] == ("ANN, padded", "ANN, in-bounds", "tet, per-step, pool mac") and rows.y.bold == ""
    alone = convention_curves(reports[:1], [4], anns=False)
    assert alone.y.bold == "tet, per-step" and len(alone.y.ticks) == 4


def test_a_table_without_a_name_is_that_of_every_t():
    assert default_table([planted_counts()]) == "energy-table"
