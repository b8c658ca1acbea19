"""Flatness in numbers: closed forms on planted lines, paired differences, and what may not be compared."""

import dataclasses
import re

import numpy as np
import pytest
from analytic_models import Quadratic, batches, spd
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_results import planted_interpolation, planted_lines, planted_sharpness, planted_surface
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.landscape import Evaluator, RandomPlanes, Store, compute_lines, surface_on
from tetviz.results import Provenance
from tetviz.summaries import axis_lines, compare_sharpness, plane_values, sharpness_table
from tetviz.summaries.flatness import RADII, mean_rises, table_radii, worst_rises
from tetviz.summaries.intervals import mean_interval


def bends(planes=5, curvature=2.0, spread=0.2):
    return curvature * (1 + spread * np.sin(1 + np.arange(2 * planes)))


def replaced(lines, **values):
    return dataclasses.replace(lines, **values)


def by_quantity(differences):
    return {each.quantity: each for each in differences}


def test_rise_curvature_and_worst_of_parabolas():
    table = plane_values(planted_lines(), "sdt", 4)
    c = bends().reshape(-1, 2)
    assert table.index.tolist() == [1, 2, 3, 4, 5]
    for r in RADII:
        np.testing.assert_allclose(table[f"rise at r = {r:g}"], c.mean(1) * r**2 / 2, rtol=1e-9)
        np.testing.assert_allclose(table[f"curvature at r = {r:g}"], c.mean(1), rtol=1e-9)
        np.testing.assert_allclose(table[f"worst within r = {r:g}"], c.max(1) * r**2 / 2, rtol=1e-9)


def test_a_slope_leaves_rise_and_curvature_alone_but_not_the_worst():
    lines = planted_lines(planes=1, spread=0.0)
    tilted = replaced(lines, sdt_loss=lines.sdt_loss + 0.7 * lines.x[None, :, None])
    flat, steep = (plane_values(each, "sdt", 4).iloc[0] for each in (lines, tilted))
    for r in RADII:
        for name in ("rise at", "curvature at"):
            assert steep[f"{name} r = {r:g}"] == pytest.approx(flat[f"{name} r = {r:g}"], rel=1e-9)
        assert steep[f"worst within r = {r:g}"] == pytest.approx(r**2 + 0.7 * r, rel=1e-9)


def test_the_worst_is_looked_for_inside_the_radius_too():
    lines = planted_lines(planes=1)
    values = lines.sdt_loss.copy()
    values[1, np.isclose(lines.x, -0.15)] += 9
    table = plane_values(replaced(lines, sdt_loss=values), "sdt", 4).iloc[0]
    assert table["worst within r = 0.25"] == pytest.approx(9 + bends(1)[1] * 0.15**2 / 2)
    assert table["worst within r = 0.1"] < 1


@pytest.mark.parametrize("timestep", [1, 2, 4])
def test_the_loss_and_the_timestep_are_those_asked_for(timestep):
    lines = planted_lines(planes=2)
    factor = (1 + 1 / timestep) / (1 + 1 / 4)
    expected = bends(2).reshape(-1, 2).mean(1) * 0.5**2 / 2 * factor
    np.testing.assert_allclose(plane_values(lines, "sdt", timestep)["rise at r = 0.5"], expected, rtol=1e-9)
    np.testing.assert_allclose(plane_values(lines, "tet", timestep)["rise at r = 0.5"], 1.1 * expected, rtol=1e-9)


@pytest.mark.parametrize("size", [21, 41, 201])
def test_the_width_of_a_parabola_up_to_the_interpolation_error_of_the_grid(size):
    """Between nodes a, b the chord is at most c (b - a)^2 / 8 above the parabola and has the slope c (a + b) / 2."""
    lines = planted_lines(size=size)
    widths = plane_values(lines, "sdt", 4)["width at +0.1 nat"].to_numpy()
    exact = np.sqrt(2 * 0.1 / bends())
    step = lines.x[1] - lines.x[0]
    below = np.floor(exact / step) * step
    bound = 2 * step**2 / (4 * (2 * below + step))
    short = 2 * exact.reshape(-1, 2).mean(1) - widths
    assert (short >= -1e-12).all()
    assert (short <= bound.reshape(-1, 2).mean(1) + 1e-12).all()


def test_the_width_of_a_wedge_is_exact_and_ends_at_the_first_crossing():
    lines = planted_lines(planes=1)
    wedge = np.abs(lines.x) * np.array([[0.27], [0.5]])
    wedge[:, np.abs(lines.x) > 0.9] = 0
    values = np.repeat(wedge[:, :, None], 4, axis=2)
    width = plane_values(replaced(lines, sdt_loss=values), "sdt", 4)["width at +0.1 nat"]
    assert width.item() == pytest.approx(0.1 / 0.27 + 0.1 / 0.5, rel=1e-9)


def test_a_line_that_never_rises_so_far_is_as_wide_as_the_line():
    width = plane_values(planted_lines(curvature=0.1), "sdt", 4)["width at +0.1 nat"]
    np.testing.assert_allclose(width, 2.0)


@pytest.mark.parametrize("size", [11, 41])
def test_the_roughness_of_a_parabola(size):
    """Steps are c h^2 (k + 1/2) for k = 0 .. m - 1, each twice: the largest over the median is 2 - 1 / m."""
    roughness = plane_values(planted_lines(size=size), "sdt", 4)["roughness"]
    np.testing.assert_allclose(roughness, 2 - 1 / (size // 2), rtol=1e-6)


def test_the_roughness_of_a_jump():
    lines = planted_lines(planes=2, jump=0.8)
    h, k = 0.05, np.flatnonzero(lines.x > 0.3)[0] - 21
    largest = bends(2) * h**2 * (k + 0.5) + 0.8
    # One of the small steps has become the largest: the 20th and the 21st of 40 are now both the old 21st and 22nd.
    expected = largest / (bends(2) * h**2 * 10.5)
    found = plane_values(lines, "sdt", 4)["roughness"]
    np.testing.assert_allclose(found, expected.reshape(-1, 2).mean(1), rtol=1e-6)
    assert (found > 10).all()


def test_steps_of_an_uneven_grid_are_not_compared():
    lines = planted_lines()
    x = lines.x.copy()
    x[-1] = 1.2
    assert plane_values(replaced(lines, x=x), "sdt", 4)["roughness"].isna().all()


def test_radii_that_are_no_coordinates_give_nan():
    table = plane_values(planted_lines(), "sdt", 4, (0.33, 0.5, 2.0))
    for name in ("rise at", "worst within", "curvature at"):
        assert table[f"{name} r = 0.33"].isna().all()
        assert table[f"{name} r = 2"].isna().all()
        assert table[f"{name} r = 0.5"].notna().all()


def test_a_radius_on_one_side_alone_gives_nan():
    lines = planted_lines(planes=1)
    keep = lines.x > -0.75
    arrays = {name: getattr(lines, name)[:, keep] for name in ("sdt_loss", "tet_loss", "done", "arc", "accuracy")}
    arrays |= {name: getattr(lines, name)[:, keep] for name in ("step_accuracy", "sdt_loss_se", "tet_loss_se")}
    shorter = replaced(lines, x=lines.x[keep], **arrays)
    table = plane_values(shorter, "sdt", 4, RADII)
    assert [r for r in RADII if f"rise at r = {r:g}" in plane_values(shorter, "sdt", 4)] == [0.1, 0.25, 0.5]
    assert table["rise at r = 1"].isna().all()
    assert table["worst within r = 1"].isna().all()
    assert table["rise at r = 0.5"].notna().all()


@pytest.mark.parametrize("fault", ["not done", "nan", "inf"])
def test_a_point_that_is_missing_or_not_finite_is_nan_and_never_a_number(fault):
    """Landscaper puts the mean of the finite values in place of NaN: a diverged region looks like mid-level."""
    lines = planted_lines()
    i = int(np.flatnonzero(np.isclose(lines.x, 0.35))[0])
    values, done = lines.sdt_loss.copy(), lines.done.copy()
    if fault == "not done":
        done[3, i] = 0
    else:
        values[3, i] = float(fault)
    table = plane_values(replaced(lines, sdt_loss=values, done=done), "sdt", 4)
    whole = plane_values(lines, "sdt", 4)
    hit = {"worst within r = 0.5", "worst within r = 1", "width at +0.1 nat", "roughness"}
    for name in table:
        others = table[name].drop(2)
        np.testing.assert_array_equal(others, whole[name].drop(2))
        assert np.isnan(table[name][2]) == (name in hit), name
    summary = sharpness_table([replaced(lines, sdt_loss=values, done=done)], "sdt", 4)["VGGSNN TET"]
    assert summary.loc[sorted(hit)].isna().all().all()
    assert summary.loc["rise at r = 0.5"].notna().all()


def test_a_missing_centre_leaves_no_number_of_that_line():
    lines = planted_lines()
    done = lines.done.copy()
    done[0, 20] = 0
    table = plane_values(replaced(lines, done=done), "sdt", 4)
    assert table.loc[1].isna().all()
    assert table.drop(1).notna().all().all()


@pytest.mark.parametrize("fault", ["not done", "nan", "inf"])
def test_a_step_that_is_missing_or_not_finite_is_nan_and_never_a_number(fault):
    result = planted_sharpness()
    sam, average = result.sam_sdt_loss.copy(), result.average_sdt_loss.copy()
    sam_done, average_done = result.sam_done.copy(), result.average_done.copy()
    if fault == "not done":
        sam_done[2], average_done[3, 1] = 0, 0
    else:
        sam[2], average[3, 1] = float(fault), float(fault)
    result = replaced(result, sam_sdt_loss=sam, average_sdt_loss=average, sam_done=sam_done, average_done=average_done)
    table = plane_values(result, "sdt", 4)
    assert table["SAM at rho = 0.1"].isna().all()
    assert table["average at rho = 0.03"].isna().tolist() == [False, False, False, True, False]
    assert table[["SAM at rho = 0.01", "average at rho = 0.1"]].notna().all().all()


@pytest.mark.parametrize("norm", ["none", "filter", "layer"])
def test_the_axes_of_a_surface_give_the_same_table_as_lines_of_its_planes_and_the_closed_form(norm):
    """Planes are built one by one, from the checkpoint, not from where the evaluator was moved to meanwhile."""
    hessian, start = spd(6, 1), np.linspace(-0.5, 0.7, 6)
    model = Quadratic(hessian, start, minimum=0.1 * np.ones(6))
    evaluator = Evaluator(model, batches(2), 2)
    planes = RandomPlanes(evaluator.model, 5, 3, norm=norm)
    x = np.linspace(-1, 1, 9)
    lines = compute_lines(evaluator, planes, x)
    through = axis_lines(surface_on(evaluator, planes, x, x, "sdt", Store()))
    draws = np.array([np.random.default_rng(seed).standard_normal(6) for seed in lines.direction_seed])
    lengths = 1 if norm == "none" else np.linalg.norm(start) / np.linalg.norm(draws, axis=1, keepdims=True)
    directions = lengths * draws
    exact = model.loss(start + x[None, :, None] * directions[:, None])
    np.testing.assert_allclose(lines.sdt_loss[:, :, 1], exact, rtol=1e-9)
    np.testing.assert_allclose(lines.arc, np.linalg.norm(directions, axis=1)[:, None] * x, rtol=1e-9)
    for name in ("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "done", "direction_seed", "x"):
        np.testing.assert_array_equal(getattr(through, name), getattr(lines, name))
    table = plane_values(through, "sdt", 2)
    curvature = np.einsum("li,ij,lj->l", directions, hessian, directions).reshape(-1, 2).mean(1)
    for r in (0.25, 0.5, 1.0):
        np.testing.assert_allclose(table[f"curvature at r = {r:g}"], curvature, rtol=1e-9)
        np.testing.assert_allclose(table[f"rise at r = {r:g}"], curvature * r**2 / 2, rtol=1e-9)
    assert {each.mean for each in compare_sharpness(lines, through, "sdt", 2) if "0.1" not in each.quantity} == {0.0}


def test_axis_lines_of_a_surface_are_along_its_axes_and_not_swapped():
    surface = planted_surface(size=5, planes=2)
    values = np.arange(50.0).reshape(2, 5, 5)[..., None] * np.ones(4)
    lines = axis_lines(replaced(surface, sdt_loss=values))
    for plane in (0, 1):
        np.testing.assert_array_equal(lines.sdt_loss[2 * plane, :, 0], values[plane, 2, :, 0])
        np.testing.assert_array_equal(lines.sdt_loss[2 * plane + 1, :, 0], values[plane, :, 2, 0])
    assert (lines.norm, lines.plane_seed, lines.bn, lines.path) == ("filter", 3, "frozen", "random")


@pytest.mark.parametrize("fields", [{"y_range": (-2.0, 2.0)}, {"size": (5, 7)}, {"size": 4}])
def test_surfaces_without_common_axes_through_the_checkpoint_are_refused(fields):
    with refuses(ResultError, "0 among"):
        axis_lines(planted_surface(**fields))


def test_a_checkpoint_compared_with_itself_is_within_the_noise_in_every_quantity():
    differences = compare_sharpness(planted_sharpness(), planted_sharpness(), "sdt", 4)
    assert len(differences) == 3 * len(RADII) + 2 + 3
    for each in differences:
        assert not each.is_resolved
        heard(each.sentence(), "within directions")


def test_a_sharpened_copy_is_resolved_and_the_right_network_is_named():
    """A single random direction cannot separate two networks; five shared planes separate these."""
    first = planted_lines(label="flat net", jump=0.1)
    second = planted_lines(label="sharp net", curvature=3.0, jump=0.9)
    differences = by_quantity(compare_sharpness(first, second, "sdt", 4))
    c = bends()
    assert differences["curvature at r = 0.25"].mean == pytest.approx(0.5 * c.mean())
    for quantity, each in differences.items():
        assert each.is_resolved, quantity
        assert each.low <= each.mean <= each.high
        what = "smoother" if quantity == "roughness" else "flatter"
        assert f"flat net is {what} than sharp net by " in each.sentence()
        assert each.mean < 0 if quantity.startswith("width") else each.mean > 0
    sentence = differences["width at +0.1 nat"].sentence()
    shown = [float(number) for number in re.search(r"by (\S+) \[(\S+), (\S+)\]", sentence).groups()]
    assert 0 < shown[1] < shown[0] < shown[2]
    back = by_quantity(compare_sharpness(second, first, "sdt", 4))
    assert all("flat net is " in each.sentence() for each in back.values())


def test_shared_noise_gives_a_smaller_interval_than_two_tables_side_by_side():
    first, second = (planted_lines(curvature=c, spread=0.6, planes=8, label=str(c)) for c in (2.0, 2.1))
    each = by_quantity(compare_sharpness(first, second, "sdt", 4))["curvature at r = 0.5"]
    rows = sharpness_table([first, second], "sdt", 4).loc["curvature at r = 0.5"]
    apart = [rows[name, "high"] - rows[name, "low"] for name in ("2.0", "2.1")]
    assert each.high - each.low < 0.1 * np.hypot(*apart)
    assert rows["2.0", "high"] > rows["2.1", "low"]
    assert each.is_resolved


@given(st.floats(0.5, 5), st.floats(0, 0.9), st.floats(0.5, 5), st.integers(5, 9))
@settings(max_examples=15)
def test_swapping_the_networks_flips_the_sign_and_keeps_the_verdict(curvature, spread, other, planes):
    first = planted_lines(planes=planes, size=9, curvature=curvature, spread=spread, label="a")
    second = planted_lines(planes=planes, size=9, curvature=other, spread=0.3, jump=0.2, label="b")
    there = compare_sharpness(first, second, "sdt", 4, (0.25, 1.0))
    for one, two in zip(there, compare_sharpness(second, first, "sdt", 4, (0.25, 1.0)), strict=True):
        assert (one.first, one.second) == (two.second, two.first)
        np.testing.assert_allclose([two.mean, two.low, two.high], [-one.mean, -one.high, -one.low], atol=1e-9)
        if min(abs(one.low), abs(one.high)) > 1e-9:
            assert one.is_resolved == two.is_resolved
            words = [re.sub(r"difference .*? -?\d.*", "same", each.sentence()) for each in (one, two)]
            assert words[0] == words[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plane_seed", 4),
        ("direction_seed", np.arange(10) + 1),
        ("norm", "layer"),
        ("policy", "scale norm"),
        ("orthogonal", 1),
        ("bn", "recalibrate"),
        ("x", np.linspace(-1, 1, 41) * 1.5),
        ("sample", np.arange(1024)[::-1]),
        ("calibration", np.arange(3)),
    ],
)
def test_what_was_not_measured_alike_is_not_compared(name, value):
    with refuses(ResultError, name):
        compare_sharpness(planted_lines(), replaced(planted_lines(), **{name: value}), "sdt", 4)


@pytest.mark.parametrize("name", ["dataset", "split", "data_settings"])
def test_checkpoints_on_other_data_are_not_compared(name):
    value = {"frames": 3} if name == "data_settings" else "other"
    origin = dataclasses.replace(planted_lines().provenance, **{name: value})
    with refuses(ResultError, name):
        compare_sharpness(planted_lines(), planted_lines(provenance=origin), "sdt", 4)


def test_the_same_data_in_another_folder_are_compared():
    origins = [
        dataclasses.replace(planted_lines().provenance, data_settings={"root": root, "frames": 4})
        for root in ("here", "there")
    ]
    first, second = (planted_lines(provenance=origin) for origin in origins)
    assert not any(each.is_resolved for each in compare_sharpness(first, second, "sdt", 4))


def test_fewer_planes_of_the_same_seed_are_not_compared():
    with refuses(ResultError, "direction_seed"):
        compare_sharpness(planted_lines(planes=5), planted_lines(planes=4), "sdt", 4)


def test_a_single_plane_makes_no_claim():
    (each, *_) = compare_sharpness(planted_lines(planes=1), planted_lines(planes=1, curvature=9.0), "sdt", 4)
    assert np.isnan([each.low, each.high]).all()
    assert not each.is_resolved
    heard(each.sentence(), "nothing noise")
    assert "over 1 plane;" in each.sentence()
    for claim in ("flatter", "within"):
        assert claim not in each.sentence()
    row = sharpness_table([planted_lines(planes=1)], "sdt", 4).loc["rise at r = 0.5"]
    assert row.isna().tolist() == [False, True, True]


def test_a_quantity_that_is_unknown_makes_no_claim():
    each = by_quantity(compare_sharpness(planted_lines(), planted_lines(curvature=9.0), "sdt", 4, (0.33,)))
    sentence = each["rise at r = 0.33"].sentence()
    heard(sentence, "nothing said")
    assert "flatter" not in sentence


def test_the_step_of_sam_is_one_number_without_an_interval():
    rises = np.arange(1.0, 6.0)[:, None, None] * np.ones((5, 3, 4))
    result = planted_sharpness()
    result = replaced(result, average_sdt_loss=0.05 + rises)
    table = sharpness_table([result], "sdt", 4)["VGGSNN TET"]
    for i, rho in enumerate((0.01, 0.03, 0.1)):
        row = table.loc[f"SAM at rho = {rho:g}"]
        assert row["mean"] == pytest.approx(0.3 * rho)
        assert row[["low", "high"]].isna().all(), i
        row = table.loc[f"average at rho = {rho:g}"]
        assert row["mean"] == pytest.approx(3.0)
        assert 1 <= row["low"] < 3 < row["high"] <= 5
    names = [each.quantity for each in compare_sharpness(result, result, "sdt", 4)]
    assert not [name for name in names if name.startswith("SAM")]
    assert "average at rho = 0.1" in names


def test_the_table_holds_the_mean_over_planes_and_an_interval_around_it():
    table = sharpness_table([planted_lines(label="a"), planted_lines(curvature=4.0, label="b")], "sdt", 4)
    assert table.columns.tolist() == [(name, column) for name in "ab" for column in ("mean", "low", "high")]
    assert table.loc["curvature at r = 1", ("a", "mean")] == pytest.approx(bends().mean())
    expected = mean_interval(bends().reshape(-1, 2).mean(1))
    found = table.loc["curvature at r = 1", [("a", "low"), ("a", "high")]]
    np.testing.assert_allclose(found, [expected.low, expected.high])


def test_of_noise_alone_as_many_intervals_leave_out_0_as_is_said():
    """One of 20, of all the differences between networks whose lines bend by chance alone."""
    generator, planes = np.random.default_rng(0), 5
    lines = planted_lines(planes=planes, timesteps=1, t_train=1)

    def drawn():
        bends, slopes = (generator.normal(mean, 0.3, (2 * planes, 1, 1)) for mean in (2, 0))
        x = lines.x[:, None]
        return replaced(lines, sdt_loss=bends * x**2 + slopes * x + generator.normal(0, 0.01, (2 * planes, 41, 1)))

    rows = [each for _ in range(500) for each in compare_sharpness(drawn(), drawn(), "sdt", 1, (0.5, 1.0))]
    assert len(rows) == 500 * 8
    # Rows hang together: a standard error of 0.006. A percentile bootstrap is at 0.076.
    assert np.mean([each.leaves_out_zero for each in rows]) == pytest.approx(0.05, abs=0.018)
    assert all(each.leaves_out_zero == (each.p < 0.05) for each in rows)


@pytest.mark.parametrize(
    ("labels", "paths", "expected"),
    [
        (("a", "b"), ("1.pt", "1.pt"), ["a", "b"]),
        (("a", "a"), ("1.pt", "2.pt"), ["a #1", "a #2"]),
        (("a", "a"), ("1.pt", "1.pt"), ["a #1", "a #2"]),
        (("", "a"), ("runs/1.pt", "1.pt"), ["1", "a"]),
        (("", ""), ("", ""), ["unnamed network #1", "unnamed network #2"]),
    ],
)
def test_every_checkpoint_has_a_name_of_its_own(labels, paths, expected):
    results = [
        planted_lines(provenance=Provenance(label=label, checkpoint=path))
        for label, path in zip(labels, paths, strict=True)
    ]
    assert sharpness_table(results, "sdt", 4).columns.get_level_values(0).unique().tolist() == expected


def test_lines_that_are_no_random_lines_are_refused():
    with refuses(ResultError, "linear path"):
        plane_values(planted_interpolation(), "sdt", 4)
    with refuses(ResultError, "timestep 5 1 4"):
        plane_values(planted_lines(), "sdt", 5)
    with refuses(ResultError, "point 0"):
        plane_values(planted_lines(size=40), "sdt", 4)


def test_a_grid_without_the_usual_radii_has_the_same_shares_of_its_range():
    lines = planted_lines(planes=2)
    assert table_radii(lines.x) == RADII
    shrunk = replaced(lines, x=0.37 * lines.x)
    assert table_radii(shrunk.x) == pytest.approx([0.037, 0.0925, 0.185, 0.37])
    table, usual = plane_values(shrunk, "sdt", 4), plane_values(lines, "sdt", 4)
    np.testing.assert_allclose(table["rise at r = 0.185"], usual["rise at r = 0.5"])
    assert table.notna().all(axis=None)


def test_other_networks_and_for_batch_statistics_other_batches_are_not_compared():
    for field, policy in (("network", "frozen"), ("batch_size", "batch")):
        first, second = (
            planted_lines(bn=policy, provenance=dataclasses.replace(planted_lines().provenance, **{field: value}))
            for value in ("64", "128")
        )
        with refuses(ResultError, field):
            compare_sharpness(first, second, "sdt", 4)
        if field == "batch_size":
            frozen = [replaced(each, bn="frozen") for each in (first, second)]
            assert len(compare_sharpness(*frozen, "sdt", 4)) > 0


def test_few_planes_never_say_which_is_flatter():
    """Of noise alone an interval over two planes leaves out 0 half of the time."""
    first, second = (planted_lines(planes=4, curvature=c, label=label) for c, label in ((2.0, "a"), (3.0, "b")))
    difference = next(d for d in compare_sharpness(first, second, "sdt", 4) if d.quantity == "rise at r = 0.5")
    assert difference.leaves_out_zero and not difference.is_resolved
    assert "too few to tell" in difference.sentence() and "flatter" not in difference.sentence()
    same = compare_sharpness(first, first, "sdt", 4)
    assert all("within the noise" in d.sentence() for d in same)


def test_directions_of_unknown_seed_are_not_paired():
    unknown = planted_lines(direction_seed=np.full(10, -1))
    with refuses(ResultError, "seeds"):
        compare_sharpness(unknown, unknown, "sdt", 4)


def test_the_rises_by_distance_are_those_of_the_planted_parabolas_and_of_the_table():
    result = planted_sharpness(planes=4)
    r, rises = mean_rises(result, "sdt", 4)
    planted = 2 * (1 + 0.2 * np.sin(1 + np.arange(8)))
    np.testing.assert_allclose(r, np.linspace(0, 1, 21), atol=1e-12)
    np.testing.assert_allclose(rises, planted.reshape(4, 2).mean(1)[:, None] * r**2 / 2, atol=1e-12)
    worst_r, worst = worst_rises(result, "sdt", 4)
    np.testing.assert_allclose(worst_r, r, atol=1e-8)
    np.testing.assert_allclose(worst, planted.reshape(4, 2).max(1)[:, None] * r**2 / 2, atol=1e-12)
    table = plane_values(result, "sdt", 4)
    np.testing.assert_allclose(table["rise at r = 0.5"], rises[:, np.isclose(r, 0.5)][:, 0])
    np.testing.assert_allclose(table["worst within r = 0.5"], worst[:, np.isclose(r, 0.5)][:, 0])


def test_the_worst_rise_is_on_either_side_and_stays():
    result = planted_sharpness(planes=1)
    result.sdt_loss[0, 10, -1] = 50.0
    r, worst = worst_rises(result, "sdt", 4)
    assert worst[0, r < 0.49].max() < 1 and np.allclose(worst[0, r > 0.49], 50 - 0.05)


def test_losses_that_are_not_finite_end_the_worst_rise():
    result = planted_sharpness(planes=1)
    result.sdt_loss[0, 5, -1] = np.nan
    r, worst = worst_rises(result, "sdt", 4)
    assert np.isfinite(worst[0, r < 0.74]).all() and np.isnan(worst[0, r > 0.74]).all()
