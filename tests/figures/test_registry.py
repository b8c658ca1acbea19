"""Figures and tables by name: the registry, what each takes, and what the figures of the TET paper show."""

from dataclasses import replace

import numpy as np
import pytest
from every_kind import KINDS, NAMED, retrained, trained
from planted_results import planted_counts, planted_curve, planted_surface, planted_trajectory
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import Choices, Table, draw_named, named_figures
from tetviz.figures.plots.relief import compare_reliefs
from tetviz.figures.registry import default_table, view_named
from tetviz.figures.view import TableOf

FIGURES = named_figures()


def test_every_name_is_tried_here():
    assert set(NAMED) == set(FIGURES)


def test_those_of_the_paper_come_first():
    paper = [name for name in FIGURES if name.startswith(("fig", "table"))]
    assert list(FIGURES)[: len(paper)] == paper == sorted(paper)


@pytest.mark.parametrize("name", NAMED)
def test_a_name_draws_what_it_says_with_a_caption(name):
    drawn = draw_named(name, NAMED[name]())
    assert isinstance(drawn, Table) == isinstance(FIGURES[name][1], TableOf)
    shown, origin = drawn.caption.split("\n\n")
    assert all(text.endswith(".") and "\n" not in text and "$" not in text for text in (shown, origin))
    assert "SHA-256" not in shown and "Measured with tetviz" in origin


@pytest.mark.parametrize("name", NAMED)
def test_results_of_another_kind_are_refused_with_what_it_takes(name):
    view, named = FIGURES[name]
    takes = named.takes or view_named(view).takes
    other = planted_trajectory() if view != "trajectory" else planted_curve()
    with refuses(ResultError, f"{name} {takes}"):
        draw_named(name, [other])


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [("fig2", 0, "least 1 0"), ("fig6", 1, "least 2 1"), ("planes", 2, "most 1 2")],
)
def test_too_few_or_too_many_are_refused(name, count, words):
    with refuses(ResultError, words):
        draw_named(name, (NAMED[name]() * 2)[:count])


@pytest.mark.parametrize(
    ("name", "choices", "words"),
    [
        ("fig2", Choices(loss="sdt"), "fig2"),
        ("fig8", Choices(timestep=2), "fig8"),
        ("table4", Choices(pricing={"cost": "45nm-int8"}), "table4"),
    ],
)
def test_a_choice_that_would_be_passed_over_is_refused(name, choices, words):
    with refuses(ResultError, words):
        draw_named(name, NAMED[name](), choices)


def test_an_unknown_name_says_the_nearest():
    with refuses(ValueError, "fig4a"):
        draw_named("fig4", KINDS["scaling"]())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_table_by_default(kind):
    assert isinstance(FIGURES[default_table(KINDS[kind]())][1], TableOf)


def test_results_of_several_kinds_have_no_table():
    with refuses(ResultError, "results history"):
        default_table([*KINDS["scaling"](), *KINDS["history"]()])


def test_figure_4a_ends_at_8_and_figure_8_does_not():
    curves = [planted_curve(tmax=64)]
    short, whole = draw_named("fig4a", curves).axes, draw_named("fig8", curves).axes
    assert [len(axes.lines[1].get_xdata()) for axes in (short[0], whole[0])] == [8, 64]
    np.testing.assert_array_equal(short[0].lines[1].get_ydata(), whole[0].lines[1].get_ydata()[:8])
    assert short[0].get_xlim()[1] < 9 < whole[0].get_xlim()[1]


def test_figure_4b_has_the_energy_of_the_convention_asked_for():
    def energies(**pricing):
        figure = draw_named("fig4b", [planted_counts()], Choices(pricing=pricing))
        (line,) = [line for line in figure.axes[0].lines if line.get_gid() == "energy"]
        return line.get_xdata(), figure.caption

    as_stored, caption = energies()
    once, other = energies(first_layer="once", convention="strict")
    assert once[-1] < as_stored[-1] and "convention tet" in caption and "convention strict, once" in other
    cheap, _ = energies(cost="45nm-int8")
    assert not np.allclose(cheap / cheap[0], as_stored / as_stored[0]) or cheap[0] != as_stored[0]


def test_figure_5_shares_heights_coordinates_and_colours():
    low, high = planted_surface(label="SDT", high=2.0), planted_surface(label="TET", high=9.0)
    figure = compare_reliefs([low, high])
    reliefs = [axes for axes in figure.axes if axes.name == "3d"]
    assert len(reliefs) == 4
    for limits in ("get_xlim", "get_ylim", "get_zlim"):
        assert len({getattr(axes, limits)() for axes in reliefs}) == 1
    assert reliefs[0].get_zlim()[1] >= 9.0
    assert "share" in figure.caption


def test_figure_6_joins_means_over_seeds_and_counts_l_tet_as_lambda_0():
    curves = [
        trained("total", seed, lamb, top=top) for seed, lamb, top in ((0, 0.1, 0.8), (1, 0.1, 0.9), (0, 0.01, 0.7))
    ]
    curves.append(trained("tet", 0, lamb=0.5, top=0.6))
    axes = draw_named("fig6", curves).axes[0]
    means = next(line for line in axes.lines if line.get_gid() == "mean")
    at = [curve.accuracy[3] for curve in curves]
    np.testing.assert_allclose(means.get_xdata(), [0, 0.01, 0.1])
    np.testing.assert_allclose(means.get_ydata(), [100 * at[3], 100 * at[2], 50 * (at[0] + at[1])])
    assert "lambda" in axes.get_xlabel() and "%" in axes.get_ylabel()


def test_figure_6_has_l_sdt_as_a_line_and_says_what_it_leaves_out():
    swept = [trained("total", lamb=lamb) for lamb in (0.01, 0.1)]
    plain = [trained("sdt", seed, top=top) for seed, top in ((0, 0.7), (1, 0.8))]
    switched = retrained(trained("sdt", label="sw", digest="ab"), switch="tet@10")
    to_total = retrained(trained("tet", lamb=0.05, label="back", digest="cd"), switch="total@10")
    others = [trained("sdt", k=10.0, label="smooth"), switched, to_total]
    figure = draw_named("fig6", [*swept, *plain, *others])
    (line,) = [line for line in figure.axes[0].lines if line.get_gid() == "SDT"]
    assert line.get_ydata()[0] == pytest.approx(50 * sum(curve.accuracy[3] for curve in plain))
    settings, loss = "of other settings than any network with a lambda", "its loss was switched"
    assert f"Left out: smooth ({settings}); sw ({loss}); back ({loss})." in figure.caption
    assert "Networks: " in figure.caption
    alone = draw_named("fig6", swept)
    assert "Left out" not in alone.caption and not [x for x in alone.axes[0].lines if x.get_gid() == "SDT"]


def test_lines_between_checkpoints_are_no_sharpness():
    path = KINDS["interpolation"]()
    with refuses(ResultError, "sharpness checkpoints"):
        draw_named("sharpness-table", path)
    assert default_table(path) == "barrier-table"


SEVERAL = [name for name, make in NAMED.items() if len(make()) > 1 and FIGURES[name][0] != "history"]


@pytest.mark.parametrize("name", [name for name in SEVERAL if name != "difference-table"])
def test_samples_that_are_others_of_the_same_number_are_told(name):
    one, *rest = NAMED[name]()
    count = len(one.sample)
    other = replace(one, sample=np.arange(count) + 10_000)
    heard(draw_named(name, [other, *rest]).caption, "measured different")
    assert "measured on different samples" not in draw_named(name, [one, *rest]).caption


@pytest.mark.parametrize(
    ("curves", "words"),
    [
        ([trained("sdt", 0), trained("sdt", 1)], "2 networks"),
        ([trained("total", 0), trained("total", 1)], "values more"),
        ([planted_curve(), planted_curve()], "does trained"),
        (
            [trained("total", lamb=0.1), replace(trained("total", lamb=0.2), t_train=9)],
            "accuracy 9",
        ),
    ],
)
def test_figure_6_refuses_what_is_no_sweep(curves, words):
    with refuses(ResultError, words):
        draw_named("fig6", curves)


def test_figure_7_groups_by_the_loss_that_the_files_say():
    labels = [text.get_text() for text in draw_named("fig7", NAMED["fig7"]()).legends[0].get_texts()]
    assert "SDT, 1 network" in labels and "TET, 1 network" in labels
    plain = [text.get_text() for text in draw_named("fig7", [planted_curve()]).legends[0].get_texts()]
    assert "1 network" in plain
