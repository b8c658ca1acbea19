"""The figure of training energies shows what the counts say."""

import dataclasses

import numpy as np
import pytest
from planted_training import planted_training
from wording import refuses

from tetviz import results
from tetviz.errors import ResultError
from tetviz.figures import draw, draw_training_cost
from tetviz.figures.formatting import energy_unit
from tetviz.figures.plots.text import loss_symbol
from tetviz.summaries.training import densities, phase_energy, training_table


def bars(axes, gid):
    return [bar for container in axes.containers for bar in container if bar.get_gid() == gid]


def widths(axes, gid):
    """Phase x layer."""
    return np.array([bar.get_width() for bar in bars(axes, gid)]).reshape(3, -1)


def test_bars_are_the_phases_of_each_layer_stacked():
    result = planted_training()
    axes = draw_training_cost([result]).axes[0]
    np.testing.assert_allclose(widths(axes, "effective"), phase_energy(result).sum(2) / 1e3)
    np.testing.assert_allclose(widths(axes, "dense"), phase_energy(result, "dense").sum(2) / 1e3)
    assert axes.get_xlabel() == "energy of a sample (nJ)"
    lefts = np.array([bar.get_x() for bar in bars(axes, "effective")]).reshape(3, -1)
    np.testing.assert_allclose(lefts[1:], np.cumsum(widths(axes, "effective"), 0)[:-1])


def test_dense_and_effective_stand_beside_each_other():
    axes = draw_training_cost([planted_training()]).axes[0]
    for dense, effective in zip(bars(axes, "dense"), bars(axes, "effective"), strict=True):
        assert dense.get_y() + dense.get_height() == pytest.approx(effective.get_y())
    assert [label.get_text() for label in axes.get_yticklabels()][-2:] == ["neurons, backward", "optimiser"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first layer on top


def test_shares_are_written_beside_the_bars():
    result = planted_training()
    table = training_table(result).drop(index="total")
    axes = draw_training_cost([result]).axes[0]
    shown = [text.get_text().strip() for text in axes.texts if text.get_gid() == "share"]
    assert shown == [f"{share:.1%}" for share in table["effective"] / table["dense"]]


def test_the_heatmap_holds_the_densities():
    result = planted_training()
    axes = draw_training_cost([result]).axes[1]
    (image,) = axes.images
    np.testing.assert_allclose(image.get_array().filled(np.nan), densities(result).to_numpy())
    texts = [text.get_text() for text in axes.texts]
    assert texts[6:12] == ["25%", "50%", "50%", "30%", "30%", "10%"]
    assert texts[2:5] == ["-", "-", "-"]


def test_networks_are_named_and_what_they_share_is_said_once():
    other = planted_training(label="SDT", loss="sdt")
    figure = draw_training_cost([planted_training(), other])
    assert len(figure.axes) == 4
    titles = [axes.get_title().splitlines()[0] for axes in figure.axes[::2]]
    assert titles == [f"VGGSNN TET; {loss_symbol('tet')}", f"SDT; {loss_symbol('sdt')}"]
    assert figure.get_suptitle().startswith("T = 2; cifar10 train, 10 samples; BN as a constant map; 45nm-fp32 (4.6 pJ")
    alone = draw_training_cost([other])
    assert alone.get_suptitle().startswith(f"SDT; {loss_symbol('sdt')}; T = 2;")


def test_a_run_that_is_not_recorded_is_said():
    axes = draw_training_cost([planted_training(optimizer="", optimizer_mac=0, train_batch_size=0)]).axes[0]
    assert axes.texts[-1].get_text().strip() == "not recorded"


def test_the_legend_covers_no_axes():
    long = planted_training(label="a name that does not fit into a single line " * 4, bn="batch", loss="sdt")
    for drawn in ([planted_training()], [planted_training(), long, planted_training()]):
        figure = draw_training_cost(drawn)
        figure.draw_without_rendering()
        legend = figure.legends[0].get_window_extent()
        assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        assert not any(legend.overlaps(box) for box in boxes)
        assert all(figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)


def test_a_file_gives_the_figure_that_memory_gives(tmp_path):
    result = planted_training()
    results.save(tmp_path / "a.h5", result)
    loaded = results.load(tmp_path / "a.h5")
    assert loaded.stages == ((2, 300), (6, 50)) and loaded.mac_pj == 4.6
    np.testing.assert_array_equal(
        widths(draw([result]).axes[0], "effective"), widths(draw([loaded]).axes[0], "effective")
    )


def test_what_cannot_be_drawn_is_refused():
    with refuses(ResultError, "training energy"):
        draw_training_cost([])
    with refuses(ResultError, "tetviz training-energy"):
        draw([planted_training()], loss="sdt")


@pytest.mark.parametrize(
    ("pj", "unit"), [(0.5, "pJ"), (999, "pJ"), (1e3, "nJ"), (4.6e6, "\N{MICRO SIGN}J"), (1e9, "mJ"), (3e12, "J")]
)
def test_energies_have_units_in_which_they_are_at_least_1(pj, unit):
    factor, name = energy_unit(pj)
    assert name == unit and (pj < 1 or 1 <= pj / factor < 1e3)


def test_a_layer_without_energy_is_drawn_too():
    silent = dataclasses.replace(planted_training(), forward=np.zeros((3, 2), int), weight=np.zeros((3, 2), int))
    assert widths(draw_training_cost([silent]).axes[0], "effective")[0].sum() == 0
