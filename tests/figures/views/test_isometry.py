"""The charts of block isometries show what the results say."""

import numpy as np
import pytest
from planted_isometry import planted_isometry
from scipy import stats

from tetviz.errors import ResultError
from tetviz.figures import Choices, draw
from tetviz.figures.views.isometry import VIEW
from tetviz.summaries.isometry import gradient_norm, running_product


def charts(*results, depth=None):
    return VIEW.curves(results, Choices(depth=depth))


def measured(chart):
    return [series for series in chart.series if not (series.thin or series.predicted)]


def predicted(chart):
    return [series for series in chart.series if series.predicted]


def test_every_number_is_where_it_belongs():
    result = planted_isometry(blocks=9)
    phi, gradient, rate = charts(result)
    (line,), (closed,) = measured(phi), predicted(phi)
    np.testing.assert_allclose([line.x, line.y], [np.arange(1, 10), result.step_phi])
    np.testing.assert_allclose(closed.y, result.closed_form.mean(1))
    np.testing.assert_allclose(measured(gradient)[0].y, gradient_norm(result.input_gradient))
    np.testing.assert_allclose(predicted(gradient)[0].y, 0.1 * np.sqrt(running_product(result)))
    np.testing.assert_allclose(measured(rate)[0].y, 100 * result.rate.mean(1))
    assert len([each for each in gradient.series if each.thin]) == 2 and gradient.y.scale == "log"
    assert phi.y.lines == (1.0,) and not measured(rate)[0].joined
    assert draw([result]).get_suptitle() == (
        r"$L_{\mathrm{TET}}$; T = 2; cifar10 test, 16 samples; BN statistics of each batch; 4 probes"
    )


def test_the_band_is_a_95_percent_interval():
    result = planted_isometry(step_phi_se=np.full(9, 0.1))
    (line,) = measured(charts(result)[0])
    reach = 0.1 * stats.t.ppf(0.975, len(result.sample) - 1)
    np.testing.assert_allclose([line.low, line.high], [np.full(9, 1.2 - reach), np.full(9, 1.2 + reach)])


def test_networks_of_other_depths_share_a_relative_axis():
    results = [planted_isometry(), planted_isometry(label="ms-110", blocks=54, phi=1.0)]
    phi, gradient, rate = charts(*results)
    for line in measured(phi):
        assert line.x[0] == pytest.approx(0.5 / len(line.x)) and line.x[-1] == pytest.approx(1 - 0.5 / len(line.x))
    assert phi.networks == ("plain-20", "ms-110") and not any(each.thin for each in gradient.series)
    assert "share" in rate.x.title and "share" in charts(planted_isometry(), depth="relative")[0].x.title
    assert "share" not in charts(*results, depth="absolute")[0].x.title and "share" not in charts(results[1])[0].x.title


def test_contexts_that_differ_are_in_the_legend():
    figure = draw([planted_isometry(), planted_isometry(label="ms", bn="frozen")])
    assert figure.get_suptitle() == ""
    assert "BN statistics frozen" in figure.legends[0].get_texts()[1].get_text()


def test_a_wide_range_is_logarithmic():
    assert charts(planted_isometry(step_phi=np.geomspace(0.01, 10, 9)))[0].y.scale == "log"
    assert charts(planted_isometry())[0].y.scale == "linear"


def test_silent_networks_and_single_estimates_can_be_drawn():
    silent = planted_isometry(
        blocks=1,
        steps=1,
        step_phi=np.zeros(1),
        step_phi_se=np.full(1, np.nan),
        closed_form=np.full((1, 1), np.nan),
        input_gradient=np.zeros((1, 1)),
        output_gradient=np.zeros((1, 1)),
    )
    draw([silent]).draw_without_rendering()
    draw([silent, planted_isometry()]).draw_without_rendering()


@pytest.mark.parametrize("depth", ["absolute", "relative"])
def test_a_single_block_has_an_interval_and_predictions_to_be_seen(depth):
    result = planted_isometry(blocks=1, step_phi_se=np.full(1, 0.1))
    reach = 0.1 * stats.t.ppf(0.975, len(result.sample) - 1)
    figure = draw([result], depth=depth)
    figure.draw_without_rendering()
    phi, gradient, _ = figure.axes
    for axes in (phi, gradient):
        (line,) = [line for line in axes.lines if line.get_gid() == "predicted"]
        assert line.get_marker() == "_"  # a line through one point shows nothing
    (bar,) = [each for each in phi.collections if each.get_gid() == "bar"]
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [1.2 - reach, 1.2 + reach])


def test_draw_finds_the_figure():
    assert len(draw([planted_isometry()]).axes) == 3
    with pytest.raises(ResultError, match="takes no timestep"):
        draw([planted_isometry()], timestep=1)


def test_six_networks_differ_in_colour_and_marker_and_are_solid():
    figure = draw([planted_isometry(label=f"net {k}") for k in range(6)])
    looks = [line for line in figure.axes[0].lines if line.get_gid() == "curve"]
    assert len({line.get_color() for line in looks}) == len({line.get_marker() for line in looks}) == 6
    assert {line.get_linestyle() for line in looks} == {"-"}  # dotted is what is predicted


def test_of_many_networks_the_rate_is_the_mean_of_each_block():
    owners = [f"{block}.lif{k}" for block in list(planted_isometry(blocks=11).names) for k in (1, 2)]
    rate = np.random.default_rng(0).uniform(size=(len(owners) + 1, 2))
    changes = {"neuron": np.arange(len(rate)), "neuron_names": (*owners, "neck"), "rate": rate}
    changes |= {name: np.ones_like(rate) for name in ("potential_mean", "potential_std", "mass")}
    several = [planted_isometry(blocks=11, **changes)] * 3
    assert "outside of blocks are left out" in VIEW.caption(several, Choices())[1]
    np.testing.assert_allclose(charts(*several)[2].series[0].y, 100 * rate[:-1].reshape(11, -1).mean(1))
    # Neurons that are named after no block are shown one by one.
    alien = planted_isometry(blocks=11, **{**changes, "neuron_names": tuple([f"n{k}" for k in range(len(rate))])})
    np.testing.assert_allclose(charts(*[alien] * 3)[2].series[0].y, 100 * alien.rate.mean(1))
