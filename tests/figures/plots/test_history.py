import numpy as np
import pytest
from planted_results import planted_history, planted_surface
from wording import heard, refuses

from tetviz import results
from tetviz.errors import ResultError
from tetviz.figures import draw, draw_history
from tetviz.figures.plots.style import METHOD_STYLES


def of(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def legend_labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def switched(**changes):
    return planted_history(**{"switch": "tet@20", "label": "SDT then TET", **changes})


def test_losses_in_nats_and_accuracy_in_percent_against_the_epoch():
    run = planted_history()
    sdt, tet, accuracy = draw_history([run]).axes
    for axes, values in ((sdt, run.test_sdt_loss), (tet, run.test_tet_loss), (accuracy, 100 * run.test_accuracy)):
        (curve,) = of(axes, "curve")
        np.testing.assert_array_equal(curve.get_xdata(), run.epoch)
        np.testing.assert_allclose(curve.get_ydata(), values)
        (chosen,) = of(axes, "chosen epoch")
        assert (list(chosen.get_xdata()), list(chosen.get_ydata())) == ([30], [pytest.approx(values[29])])
    assert of(sdt, "curve")[0].get_color() == METHOD_STYLES["sdt"]["color"]
    assert "nat" in sdt.get_ylabel() and "TET" in tet.get_ylabel() and accuracy.get_ylabel() == "accuracy (%)"


def test_the_training_loss_stands_where_it_is_the_one_trained_on():
    run = switched()
    sdt, tet, accuracy = draw_history([run]).axes
    before, after = (
        of(sdt, "training loss, of the loss trained on")[0].get_ydata(),
        of(tet, "training loss, of the loss trained on")[0].get_ydata(),
    )
    np.testing.assert_array_equal(before[:20], run.train_loss[:20])
    np.testing.assert_array_equal(after[20:], run.train_loss[20:])
    assert np.isnan(before[20:]).all() and np.isnan(after[:20]).all()
    assert not of(accuracy, "training loss, of the loss trained on")
    assert not any(
        of(axes, "training loss, of the loss trained on") for axes in draw_history([planted_history(loss="total")]).axes
    )


def test_the_switch_and_the_stages_are_marked_between_their_epochs():
    runs = [planted_history(), switched(), planted_history(loss="tet", stages=("2:20", "6:10@0.0001"), label="TIT")]
    figure = draw_history(runs)
    for axes in figure.axes:
        (switch,), (stage,) = of(axes, "switch of the loss"), of(axes, "new stage")
        assert set(switch.get_xdata()) == set(stage.get_xdata()) == {20.5}
        assert switch.get_color() == of(axes, "curve")[1].get_color() != stage.get_color()
        assert switch.get_linestyle() != stage.get_linestyle()
    assert legend_labels(figure) == [
        "VGGSNN SDT: SDT; T = 4",
        "SDT then TET: SDT, from epoch 21 TET; T = 4",
        "TIT: TET; T = 2, from epoch 21 T = 6",
        "training loss, of the loss trained on",
        "chosen epoch",
        "switch of the loss",
        "new stage",
    ]
    assert legend_labels(draw_history(runs[:1]))[1:] == ["training loss, of the loss trained on", "chosen epoch"]
    assert figure.get_suptitle() == "cifar10 test split"


def test_seeds_of_one_loss_are_told_apart_and_have_its_colour():
    runs = [planted_history(loss="tet", label=f"seed {seed}") for seed in range(8)]
    looks = [(c.get_color(), c.get_marker()) for c in of(draw_history(runs).axes[0], "curve")]
    assert len(set(looks)) == 8 and {colour for colour, _ in looks} == {METHOD_STYLES["tet"]["color"]}


def test_a_history_that_is_not_whole_says_so():
    heard(legend_labels(draw_history([planted_history(done=26)]))[0], "4 30 epochs")
    assert "not in it" not in legend_labels(draw_history([planted_history()]))[0]


def test_differing_data_is_said_for_each_run():
    other = planted_history(label="b", provenance=results.Provenance(label="b", dataset="digits"))
    figure = draw_history([planted_history(), other])
    assert figure.get_suptitle() == ""
    assert [words in label for words, label in zip(("cifar10", "digits"), legend_labels(figure), strict=False)] == [
        True,
        True,
    ]


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_epochs_are_whole_and_the_legend_covers_nothing(epochs):
    figure = draw_history([planted_history(stages=(f"4:{epochs}",), label="a long name of a network " * 5)] * 3)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1
    for axes in figure.axes:
        assert not legend.overlaps(axes.get_tightbbox())
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks and all(tick == int(tick) for tick in ticks)


def test_one_loss_can_be_asked_for():
    run = switched()
    tet, accuracy = draw([run], "tet").axes
    np.testing.assert_allclose(of(tet, "curve")[0].get_ydata(), run.test_tet_loss)
    assert accuracy.get_ylabel() == "accuracy (%)"
    assert len(draw([run, planted_history()]).axes) == 3


@pytest.mark.parametrize(
    ("histories", "options", "message"),
    [
        ([planted_history()], {"loss": "total"}, "'total'"),
        ([planted_history()], {"timestep": 2}, "timestep loss"),
        ([planted_history()], {"plane": 0}, "plane loss"),
        ([planted_history(), planted_surface()], {}, "history surface"),
    ],
)
def test_what_does_not_fit_is_refused(histories, options, message):
    with refuses(ResultError, message):
        draw(histories, **options)


def test_nothing_to_draw_is_refused():
    with refuses(ResultError, "training history"):
        draw_history([])


def test_a_file_gives_the_figure_that_memory_gives(tmp_path):
    run = switched(done=25)
    loaded = results.load(results.save(tmp_path / "run.h5", run))
    for here, there in zip(draw_history([run]).axes, draw_history([loaded]).axes, strict=True):
        for mine, other in zip(here.lines, there.lines, strict=True):
            np.testing.assert_array_equal(mine.get_xydata(), other.get_xydata())


def test_the_switch_says_from_which_loss_to_which_and_colours_are_those_of_the_losses():
    runs = [planted_history(label="a"), planted_history(label="b", loss="tet"), switched(label="sdt")]
    for axes in draw_history(runs).axes:
        assert [text.get_text() for text in axes.texts if text.get_gid() == "mark"] == ["SDT \N{RIGHTWARDS ARROW} TET"]
        colors = [line.get_color() for line in of(axes, "curve")]
        assert colors[:2] == [METHOD_STYLES[loss]["color"] for loss in ("sdt", "tet")] and len(set(colors)) == 3


def test_a_single_epoch_has_marks():
    sdt, _, accuracy = draw_history([planted_history(stages=("4:1",))]).axes
    for line in (*of(sdt, "curve"), *of(sdt, "training loss, of the loss trained on"), *of(accuracy, "curve")):
        assert line.get_marker() not in ("", "None") and np.isfinite(line.get_ydata()).all()
