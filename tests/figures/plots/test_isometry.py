"""The figure of block isometries shows what the results say."""

import numpy as np
import pytest
from planted_isometry import planted_isometry
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import draw, draw_isometry
from tetviz.summaries.isometry import gradient_norm, running_product


def lines(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def panel(figure, text):
    return next(axes for axes in figure.axes if text in axes.get_ylabel())


def test_every_number_is_where_it_belongs():
    result = planted_isometry(blocks=9)
    figure = draw_isometry([result])
    phi, gradient, rate = (panel(figure, text) for text in ("phi", "gradient", "rate"))
    np.testing.assert_allclose(lines(phi, "phi")[0].get_xydata(), np.stack([np.arange(1, 10), result.step_phi], 1))
    np.testing.assert_allclose(lines(phi, "closed form")[0].get_ydata(), result.closed_form.mean(1))
    np.testing.assert_allclose(lines(gradient, "gradient")[0].get_ydata(), gradient_norm(result.input_gradient))
    np.testing.assert_allclose(lines(gradient, "product")[0].get_ydata(), 0.1 * np.sqrt(running_product(result)))
    np.testing.assert_allclose(lines(rate, "rate")[0].get_ydata(), 100 * result.rate.mean(1))
    assert len(lines(gradient, "step")) == 2 and gradient.get_yscale() == "log"
    assert lines(phi, "isometry")[0].get_ydata() == [1, 1]
    assert figure.get_suptitle() == (
        r"plain-20; $L_{\mathrm{TET}}$; T = 2; cifar10 test, 16 samples; BN statistics of each batch; 4 probes"
    )


def test_the_band_is_a_95_percent_interval():
    result = planted_isometry(step_phi_se=np.full(9, 0.1))
    assert len(result.sample) == 16  # Student's t with 15 degrees of freedom
    (band,) = panel(draw_isometry([result]), "phi").collections
    low, high = band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()
    assert (low, high) == (pytest.approx(1.2 - 0.2131450), pytest.approx(1.2 + 0.2131450))


def test_networks_of_other_depths_share_a_relative_axis():
    results = [planted_isometry(), planted_isometry(label="ms-110", blocks=54, phi=1.0)]
    figure = draw_isometry(results, "relative")
    for line in lines(panel(figure, "phi"), "phi"):
        x = line.get_xdata()
        assert x[0] == pytest.approx(0.5 / len(x)) and x[-1] == pytest.approx(1 - 0.5 / len(x))
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["plain-20", "ms-110"] and not lines(panel(figure, "gradient"), "step")
    assert "share" in panel(figure, "rate").get_xlabel()


def test_contexts_that_differ_are_in_the_legend():
    figure = draw_isometry([planted_isometry(), planted_isometry(label="ms", bn="frozen")])
    assert figure.get_suptitle() == ""
    heard(figure.legends[0].get_texts()[1].get_text(), "BN statistics")


def test_a_wide_range_is_logarithmic():
    wide = planted_isometry(step_phi=np.geomspace(0.01, 10, 9))
    assert panel(draw_isometry([wide]), "phi").get_yscale() == "log"
    assert panel(draw_isometry([planted_isometry()]), "phi").get_yscale() == "linear"


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
    draw_isometry([silent]).draw_without_rendering()
    draw_isometry([silent, planted_isometry()]).draw_without_rendering()


@pytest.mark.parametrize("depth", ["absolute", "relative"])
def test_a_single_block_has_ticks_an_interval_and_predictions(depth):
    figure = draw_isometry([planted_isometry(blocks=1, step_phi_se=np.full(1, 0.1))], depth)
    figure.draw_without_rendering()
    for name, predicted in (("phi", "closed form"), ("gradient", "product")):
        axes = panel(figure, name)
        low, high = axes.get_xlim()
        shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert (low, high, shown) == (0.5, 1.5, [1.0]) if depth == "absolute" else (low, high) == (0, 1)
        # A line through one point shows nothing.
        assert lines(axes, predicted)[0].get_marker() == "_" and not lines(axes, "step")
    assert panel(figure, "phi").collections[0].get_linewidth()[0] > 0
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["plain-20", "predicted: closed form, product of phi"]
    assert figure.legends[0].legend_handles[1].get_marker() == "_"


def test_gradients_that_hardly_differ_have_a_power_of_ten_to_read_them_by():
    low, high = panel(draw_isometry([planted_isometry(phi=1.02, steps=1)]), "gradient").get_ylim()
    assert low < 0.1 < high
    assert high / low == pytest.approx(10)


@pytest.mark.parametrize("count", [1, 6])
def test_the_legend_covers_no_axes(count):
    long = "a name that does not fit into a single line " * 4
    figure = draw_isometry([planted_isometry(label=f"{long}{k}" if k else "a") for k in range(count)])
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)


def test_draw_finds_the_figure():
    assert len(draw([planted_isometry()]).axes) == 3
    with refuses(ResultError, "timestep nothing"):
        draw([planted_isometry()], timestep=1)
    with refuses(ResultError, "block isometry"):
        draw_isometry([])
    with refuses(ValueError, "depth"):
        draw_isometry([planted_isometry()], "deep")


def test_networks_of_other_depths_stand_on_a_relative_axis_by_themselves():
    deep = planted_isometry(label="ms-110", blocks=54)
    assert "share" in panel(draw_isometry([planted_isometry(), deep]), "phi").get_xlabel()
    assert "share" not in panel(draw_isometry([planted_isometry(), deep], "absolute"), "phi").get_xlabel()
    assert "share" not in panel(draw_isometry([deep]), "phi").get_xlabel()


def test_six_networks_differ_in_colour_and_marker():
    figure = draw_isometry([planted_isometry(label=f"net {k}") for k in range(6)])
    looks = [(line.get_color(), line.get_marker()) for line in lines(panel(figure, "phi"), "phi")]
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == 6


def test_of_many_networks_the_rate_is_the_mean_of_each_block():
    owners = [f"{block}.lif{k}" for block in list(planted_isometry(blocks=11).names) for k in (1, 2)]
    rate = np.random.default_rng(0).uniform(size=(len(owners) + 1, 2))
    changes = {"neuron": np.arange(len(rate)), "neuron_names": (*owners, "neck"), "rate": rate}
    changes |= {name: np.ones_like(rate) for name in ("potential_mean", "potential_std", "mass")}
    (first, *_) = lines(panel(draw_isometry([planted_isometry(blocks=11, **changes)] * 3), "rate"), "rate")
    np.testing.assert_allclose(first.get_ydata(), 100 * rate[:-1].reshape(11, -1).mean(1))
    # Neurons that are named after no block are drawn one by one.
    alien = planted_isometry(blocks=11, **{**changes, "neuron_names": tuple([f"n{k}" for k in range(len(rate))])})
    (first, *_) = lines(panel(draw_isometry([alien] * 3), "rate"), "rate")
    np.testing.assert_allclose(first.get_ydata(), 100 * alien.rate.mean(1))
