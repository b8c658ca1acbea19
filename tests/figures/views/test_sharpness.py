"""Flatness as a table and in words: for one network by loss, for several side by side."""

from dataclasses import replace

import numpy as np
from planted_results import planted_lines, planted_sharpness
from wording import refuses

from tetviz.errors import ResultError
from tetviz.figures import Choices, draw_named, records
from tetviz.figures.views.sharpness import VIEW, flatness_table
from tetviz.summaries import compare_sharpness, sharpness_table
from tetviz.summaries.intervals import holm


def test_networks_stand_side_by_side():
    one, two = planted_sharpness(label="quantity"), planted_sharpness(label="b")
    cells = draw_named("sharpness-table", [one, two]).cells()
    assert cells.columns.tolist() == ["quantity", "quantity", "b"]
    assert set(cells.index) == {"L_SDT", "L_TET"}
    alone = draw_named("sharpness-table", [two]).cells()
    assert alone.columns.tolist() == ["L_SDT", "L_TET"]
    for loss in ("L_SDT", "L_TET"):
        assert cells.loc[loss, "b"].tolist() == [cell for cell in alone[loss] if cell != "-"]


def test_what_is_known_on_no_plane_is_no_table():
    done = np.ones((10, 41))
    done[5:] = 0
    half = planted_lines(label="half", done=done)
    with refuses(ResultError, "number 4 5 2"):
        draw_named("sharpness-table", [half])
    cells = draw_named("sharpness-table", [half, planted_lines(label="whole")]).cells()
    assert set(cells["half"]) == {"-"} and "[" in cells["whole"].iloc[1]


def test_the_frame_has_every_number_with_its_loss_planes_and_t():
    one, two = planted_sharpness(label="a"), planted_sharpness(label="b", planes=3)
    frame = flatness_table([one, two], Choices(timestep=2)).frame
    assert list(frame.columns) == ["loss", "quantity", "mean", "low", "high", "planes", "T", "unit"]
    for name, lines, planes in (("a", one, 5), ("b", two, 3)):
        for loss in ("sdt", "tet"):
            rows = frame.loc[name].query("loss == @loss")
            expected = sharpness_table([lines], loss, 2).droplevel(0, axis=1)
            np.testing.assert_array_equal(rows[["mean", "low", "high"]], expected)
            assert rows["quantity"].tolist() == expected.index.tolist()
            assert set(rows["planes"]) == {planes} and set(rows["T"]) == {2}


def test_units_stand_behind_the_quantities():
    table = draw_named("sharpness-table", [planted_lines()])
    shown = table.cells().index.tolist()
    for row in ("rise at r = 0.5 (nat)", "curvature at r = 1 (nat/r^2)", "width at +0.1 nat (unit of r)", "roughness"):
        assert row in shown


def test_radii_that_one_network_alone_has_stand_below_the_others_of_their_loss():
    near = planted_lines(label="near", size=9)  # a grid without 0.1
    cells = draw_named("sharpness-table", [near, planted_lines(label="fine")]).cells()
    assert cells.index.tolist() == sorted(cells.index)
    sdt = cells.loc["L_SDT"].set_index("quantity")
    assert sdt.loc["rise at r = 0.1 (nat)", "near"] == "-" != sdt.loc["rise at r = 0.1 (nat)", "fine"]


def test_each_network_has_its_own_t():
    four, eight = (planted_lines(label=label, timesteps=8, t_train=t) for label, t in (("a", 4), ("b", 8)))
    table = flatness_table([four, eight], Choices())
    assert table.note.startswith("Means over 5 planes at T = 4 (a), T = 8 (b), in brackets 95 %")
    assert table.frame.loc["a", "T"].unique().tolist() == [4] and table.frame.loc["b", "T"].unique().tolist() == [8]


def test_one_plane_has_no_interval():
    table = draw_named("sharpness-table", [planted_lines(planes=1)])
    assert table.note == "One plane at T = 4" and not any("[" in cell for cell in table.cells().to_numpy().ravel())


def test_words_have_the_chief_difference_and_count_the_others():
    flat, steep = planted_sharpness(label="flat", planes=6), planted_sharpness(label="steep", planes=6)
    steep = replace(steep, sdt_loss=1.5 * steep.sdt_loss, tet_loss=1.5 * steep.tet_loss)
    chief, others = VIEW.words([flat, steep], Choices()).said
    found = {each.quantity: each for each in compare_sharpness(flat, steep, "sdt")}
    assert chief == found["rise at r = 0.5"].sentence() and "flat is flatter than steep" in chief
    assert others.startswith(
        "exploration: of 33 other differences 31 have an interval without 0, of noise alone about 1.7"
    )
    assert "(Holm) remain: L_TET, rise at r = 0.5; L_SDT, rise at r = 0.1; " in others
    assert VIEW.words([flat], Choices()).said == ()
    asked = [replace(each, loss="tet") for each in (flat, steep)]
    assert VIEW.words(asked, Choices()).said[0].startswith("L_TET, rise at r = 0.5: flat is flatter")


def test_of_networks_that_noise_alone_tells_apart_nothing_remains():
    generator = np.random.default_rng(0)
    one, two = (
        replace(lines, sdt_loss=lines.sdt_loss * generator.normal(1, 0.1, (12, 1, 1)))
        for lines in (planted_lines(planes=6, label=label) for label in "ab")
    )
    chief, others = VIEW.words([one, two], Choices()).said
    assert "within the noise of the directions" in chief and "adjusted for their number (Holm) none remains" in others


def test_what_does_not_compare_is_said_and_the_rest_stays():
    one, other = planted_lines(label="a"), planted_lines(label="b", plane_seed=9)
    (why,) = VIEW.words([one, other], Choices()).warned
    assert why.startswith("no difference is given: the checkpoints were measured with a different plane_seed")
    assert not [row for row in records([one, other]) if "sentence" in row]
    few = planted_lines(planes=3)
    assert VIEW.words([few], Choices()).said == ("3 planes are too few for an interval to trust; take 10",)


def test_json_has_every_number_and_every_difference():
    one, two = planted_sharpness(label="a"), planted_sharpness(label="b")
    rows = records([one, two], Choices(timestep=2))
    numbers, differences = rows[:-1], [row for row in rows if "sentence" in row]
    assert list(numbers[0]) == ["checkpoint", "loss", "timesteps", "quantity", "mean", "low", "high"]
    table = sharpness_table([one], "sdt", 2).droplevel(0, axis=1)
    assert [row["quantity"] for row in rows[: len(table)]] == table.index.tolist()
    assert [row["mean"] for row in rows[: len(table)]] == table["mean"].tolist() and rows[0]["timesteps"] == 2
    assert len(differences) == sum(len(compare_sharpness(one, two, loss, 2)) for loss in ("sdt", "tet"))
    assert (differences[0]["first"], differences[0]["second"], differences[0]["second_timesteps"]) == ("a", "b", 2)
    (headline,) = (row for row in differences if row["headline"])
    assert (headline["loss"], headline["quantity"], headline["p_holm"]) == ("sdt", "rise at r = 0.5", None)
    others = [row for row in differences if not row["headline"] and np.isfinite(row["p"])]
    np.testing.assert_allclose([row["p_holm"] for row in others], holm(np.array([row["p"] for row in others])))
