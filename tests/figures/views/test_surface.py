"""A surface in numbers: those of its arrays, at the T asked for, and as JSON."""

from dataclasses import replace

import numpy as np
import pytest
from planted_results import planted_surface

from tetviz.figures import Choices, draw_named, printed, records
from tetviz.figures.view import Words
from tetviz.figures.views.surface import VIEW, surface_table
from tetviz.summaries import axis_lines


def table_of(surface, timestep=None):
    return surface_table([surface], Choices(timestep=timestep))


def frame_of(table):
    return table.frame.set_index("quantity")


@pytest.mark.parametrize("timestep", [None, 1, 3])
def test_the_extremes_are_those_of_the_arrays(timestep):
    surface = planted_surface(size=(7, 9), planes=2, timesteps=3, t_train=2)
    step = timestep or 2
    frame = frame_of(table_of(surface, timestep))
    for row, name, factor in (
        ("L_SDT (nat)", "sdt_loss", 1),
        ("L_TET (nat)", "tet_loss", 1),
        ("accuracy (%)", "accuracy", 100),
    ):
        values = factor * getattr(surface, name)[..., step - 1]
        assert frame.loc[row, "centre"] == pytest.approx(values[0, 3, 4])
        for statistic in ("min", "mean", "max"):
            head = {"min": "lowest", "max": "highest"}.get(statistic, statistic)
            assert frame.loc[row, head] == pytest.approx(getattr(values, statistic)())
        plane, y, x = np.unravel_index(values.argmin(), values.shape)
        found = frame.loc[row, ["lowest_plane", "lowest_y", "lowest_x"]].tolist()
        assert found == [plane + 1, surface.y[y], surface.x[x]]
    assert frame.loc["L_SDT (nat)", "se"] == surface.sdt_loss_se[0, 3, 4, step - 1] and np.isnan(frame["se"].iloc[2])
    assert f"At T = {step}" in printed([surface], Choices(timestep=timestep))


def test_only_measured_and_finite_points_count():
    surface = planted_surface(size=5)
    loss, done = surface.sdt_loss.copy(), surface.done.copy()
    loss[0, 0, :2], loss[0, 1, 0], loss[0, 4, 4], done[0, 4, 4] = np.inf, np.nan, -9, 0
    table = table_of(replace(surface, sdt_loss=loss, done=done))
    known = np.where((done == 1) & np.isfinite(loss[..., 3]), loss[..., 3], np.nan)
    frame = frame_of(table)
    row = frame.loc["L_SDT (nat)"]
    assert row["not_finite"] == 3 and frame.loc["L_TET (nat)", "not_finite"] == 0
    assert (row["lowest"], row["highest"]) == (np.nanmin(known), np.nanmax(known)) and row["mean"] == np.nanmean(known)
    assert table.feet == ("3 measured points have no finite loss",)


def test_what_is_not_known_is_a_dash():
    nothing = table_of(planted_surface(done=np.zeros((1, 13, 13)))).cells()
    assert set(nothing.drop(columns="not finite").to_numpy().ravel()) == {"-"} and set(nothing["not finite"]) == {"0"}
    aside = table_of(planted_surface(x_range=(0.5, 1.5)))
    assert aside.cells()["at (0, 0) (1 s.e.)"].tolist() == ["-"] * 3 and aside.frame["lowest"].notna().all()


def test_planes_are_told_where_there_are_several():
    one, two = planted_surface(label="a"), planted_surface(label="b", planes=2)
    assert "on plane" not in table_of(one).cells() and table_of(two).cells()["on plane"].tolist() == ["1"] * 3
    assert draw_named("surface-table", [one, one]).cells().index.tolist() == ["a #1"] * 3 + ["a #2"] * 3


def test_several_planes_say_how_flat_the_loss_is_along_their_axes():
    surface = planted_surface(planes=5, size=21)
    expected = draw_named("sharpness-table", [axis_lines(surface)]).cells()
    assert draw_named("axes-table", [surface]).cells().equals(expected)
    text = printed([surface])
    assert "Means over 5 planes at T = 4\n" in text and "rise at r = 0.5 (nat)" in text
    for other in (planted_surface(planes=1), planted_surface(planes=5, size=(5, 7))):
        assert "rise at r" not in printed([other])


def test_json_has_both_losses_at_the_longest_t():
    surface = planted_surface(size=5, planes=2, timesteps=4, t_train=2)
    sdt, tet = records([surface])
    assert list(sdt) == [
        *("checkpoint", "loss", "timesteps", "planes", "centre", "lowest", "lowest_plane", "lowest_x", "lowest_y"),
        *("mean", "highest", "not_finite"),
    ]
    assert (sdt["loss"], tet["loss"], sdt["timesteps"], sdt["planes"]) == ("L_SDT", "L_TET", 4, 2)
    assert (sdt["centre"], sdt["highest"]) == (surface.sdt_loss[0, 2, 2, 3], surface.sdt_loss[..., 3].max())
    assert (tet["lowest"], tet["lowest_x"], tet["lowest_plane"]) == (surface.tet_loss[..., 3].min(), 0.0, 1)


def test_surfaces_say_what_they_do_not_allow_to_conclude():
    def said(*surfaces) -> Words:
        return VIEW.words(surfaces, Choices())

    one, other = planted_surface(), planted_surface(bn="batch")
    assert any("one sample of directions" in line for line in said(one).said) and said(one).warned == ()
    assert said(one, planted_surface(planes=2)).said == ()
    assert said(planted_surface(planes=2)).said == ("2 planes are too few for an interval to trust; take 10",)
    assert any("batch-norm statistics" in line for line in said(one, other).warned)
    unlike = replace(one, provenance=replace(one.provenance, network={"name": "snn5"}))
    assert any("not the same noise" in line for line in said(one, unlike).warned)


def test_a_lowest_point_off_the_checkpoint_is_told():
    surface = planted_surface(loss="sdt")
    assert not [each for each in VIEW.words([surface], Choices()).warned if "no minimum" in each]
    for drop, told in ((0.0009, False), (0.02, True)):  # the standard error is 0.0005
        values = surface.sdt_loss.copy()
        values[0, 3, 8] = values[0, 6, 6] - drop
        moved = replace(surface, sdt_loss=values)
        found = [each for each in VIEW.words([moved], Choices()).warned if "no minimum" in each]
        assert len(found) == told
    assert "VGGSNN TET is no minimum on its plane: L_SDT is 0.05 at (0, 0) and 0.03 at (0.333, -0.5)" in found[0]
    assert "--bn recalibrate" in found[0]
    (said,) = (s for s in VIEW.words([replace(moved, bn="batch")], Choices()).warned if "no minimum" in s)
    assert "recalibrate" not in said
