"""Captions: what stands beside a figure, and that it is the same from a file."""

from dataclasses import replace

import numpy as np
import pytest
from every_kind import KINDS, NAMED, trained
from planted_isometry import planted_isometry
from planted_results import (
    planted_counts,
    planted_curvature,
    planted_curve,
    planted_history,
    planted_interpolation,
    planted_lines,
    planted_sharpness,
    planted_surface,
    planted_trajectory,
)
from wording import heard, refuses

from tetviz.errors import OutputError
from tetviz.figures import draw, draw_named
from tetviz.figures.output import save_with_caption
from tetviz.figures.plots.venues import use_style
from tetviz.figures.table import Table
from tetviz.results import load, save


def data_of(figure):
    """All that a figure shows: coordinates of lines, collections and patches, limits and texts."""
    shown = []
    for axes in figure.axes:
        shown += [line.get_xydata() for line in axes.lines]
        shown += [path.vertices for artist in axes.collections if axes.name != "3d" for path in artist.get_paths()]
        shown += [patch.get_path().vertices for patch in axes.patches]
        shown += [np.array(axes.get_xlim()), np.array(axes.get_ylim())]
        shown += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), *(text.get_text() for text in axes.texts)]
    return [
        *shown,
        figure.get_suptitle(),
        figure.caption,
        *(t.get_text() for g in figure.legends for t in g.get_texts()),
    ]


def same(one, other):
    return type(one) is type(other) and (
        np.array_equal(one, other, equal_nan=True) if isinstance(one, np.ndarray) else one == other
    )


def through_files(results, folder):
    return [load(save(folder / f"{index}.h5", result)) for index, result in enumerate(results)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_from_files_equals_the_one_from_memory(kind, tmp_path):
    results = KINDS[kind]()
    here, there = data_of(draw(results)), data_of(draw(through_files(results, tmp_path)))
    assert len(here) == len(there) and all(map(same, here, there))


@pytest.mark.parametrize("name", NAMED)
def test_a_named_figure_or_table_from_files_equals_the_one_from_memory(name, tmp_path):
    results = NAMED[name]()
    here, there = draw_named(name, results), draw_named(name, through_files(results, tmp_path))
    if isinstance(here, Table):
        assert here.frame.equals(there.frame) and here.cells().equals(there.cells()) and here.caption == there.caption
    else:
        assert all(map(same, data_of(here), data_of(there)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_caption_names_all_networks_data_and_the_program(kind):
    results = KINDS[kind]()
    caption = draw(results).caption
    for result in results:
        assert result.provenance.label in caption and result.provenance.dataset in caption
        assert f"tetviz {result.provenance.tetviz_version}" in caption
    if "bn" in vars(results[0]) and kind != "interpolation":
        assert "BN" in caption
    assert "T = 4" in caption or "timesteps" in caption or "T = 2" in caption


def test_a_caption_says_how_a_network_was_trained_and_what_differs():
    caption = draw([trained("total", 3, 0.05, label="net")]).caption
    for words in ("resnet19", "L_TOTAL", "lambda 0.05", "seed 3", "30 epochs at T = 4", "SHA-256"):
        assert words in caption
    two = [planted_surface(label="a"), planted_surface(label="b", sample=np.arange(9))]
    assert "different samples" in draw(two).caption


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"reg": "im", "reg_weight": 0.005}, "regulariser im, weight 0.005"),
        ({"reg": "im"}, "regulariser im, weight nan"),
        ({"optimizer": "sam"}, "by SAM"),
        ({"loss": "trt", "lamb": 0.05}, "L_TRT; lambda 0.05"),
    ],
)
def test_a_caption_says_other_methods(settings, words):
    plain = trained("tet")
    origin = replace(plain.provenance, training={**plain.provenance.training, **settings})
    assert words in draw([replace(plain, provenance=origin)]).caption
    assert words not in draw([plain]).caption


def test_a_caption_says_a_detached_carry():
    plain = trained("tet")
    neurons = {"neuron": "lif", "leak": 0.5, "surrogate": "triangle"}
    shown = [
        draw([replace(plain, provenance=replace(plain.provenance, neurons=each))]).caption
        for each in (neurons, {**neurons, "detach_carry": True})
    ]
    assert ["carry detached" in caption for caption in shown] == [False, True]


def test_what_is_of_several_checkpoints_says_no_training_of_one():
    record = {"loss": "sdt", "seed": 0, "stages": ["4:30"]}
    for result in (
        planted_interpolation(),
        planted_interpolation(path="bezier"),
        planted_trajectory(path="checkpoints"),
    ):
        recorded = replace(result, provenance=replace(result.provenance, training=record))
        assert "trained with" not in draw([recorded]).caption
    path = planted_trajectory()
    path = replace(path, provenance=replace(path.provenance, training=record))
    caption = draw([path]).caption
    assert "trained with L_SDT" in caption and "the cross at (0, 0) is the checkpoint epoch 5" in caption


def test_networks_keep_their_names():
    histories = [planted_history(label="sdt"), planted_history(label="tet", loss="tet")]
    caption = draw(histories).caption
    assert " sdt: SDT" in caption and "Sdt" not in caption and "Tet" not in caption


def test_surfaces_of_different_architectures_are_told():
    one, two = planted_surface(label="a"), planted_surface(label="b")
    other = replace(two, provenance=replace(two.provenance, network={"name": "snn5", "width": 0.5}))
    for name in ("fig2", "fig5"):
        heard(draw_named(name, [one, other]).caption, "same noise")
        assert "not the same noise" not in draw_named(name, [one, two]).caption


def test_a_caption_says_the_convention_and_the_holes():
    heard(draw([planted_counts()]).caption, "45nm-fp32 4.6 MAC 0.9 AC")
    surface = planted_surface()
    surface.done[0, 3, 3] = 0
    heard(draw([surface]).caption, "Hatched evaluated")
    assert "Hatched" not in draw([planted_surface()]).caption


def test_the_caption_stands_beside_the_picture_and_nothing_is_overwritten(tmp_path):
    figure, other = draw([planted_surface(label="a")]), draw([planted_surface(label="b")])
    paths = save_with_caption(figure, tmp_path / "figure2.pdf")
    assert [path.name for path in paths] == ["figure2.pdf", "figure2.txt"]
    assert paths[1].read_text() == f"{figure.caption}\n"
    save_with_caption(figure, tmp_path / "figure2.svg")
    with refuses(OutputError, "figure2.txt"):
        save_with_caption(other, tmp_path / "figure2.png")
    assert not (tmp_path / "figure2.png").exists() and paths[1].read_text() == f"{figure.caption}\n"
    with refuses(OutputError, "figure2.pdf"):
        save_with_caption(figure, tmp_path / "figure2.pdf")
    save_with_caption(other, tmp_path / "figure2.png", force=True)
    assert paths[1].read_text() == f"{other.caption}\n"


def test_a_table_and_a_figure_may_have_one_stem(tmp_path):
    figure, table = draw(KINDS["energy"]()), draw_named("energy-table", KINDS["energy"]())
    beside = save_with_caption(figure, tmp_path / "en.pdf")[1]
    assert [path.name for path in save_with_caption(table, tmp_path / "en.tex")] == ["en.tex"]
    assert [path.name for path in save_with_caption(table, tmp_path / "en.md")] == ["en.md"]
    assert [path.name for path in save_with_caption(table, tmp_path / "en.csv")] == ["en.csv", "en.csv.txt"]
    assert beside.read_text() == f"{figure.caption}\n"
    assert (tmp_path / "en.csv.txt").read_text() == f"{table.caption}\n"
    assert table.caption in (tmp_path / "en.md").read_text()


def test_what_networks_share_is_said_once_and_many_are_counted():
    few = [trained("total", seed, label=f"net {seed}") for seed in range(4)]
    shown, origin = draw_named("fig7", few).caption.split("\n\n")
    assert shown.count("resnet19") == 1 and "net 3 (seed 3); all of them resnet19" in shown
    assert all(curve.provenance.checkpoint_sha256[:12] in origin for curve in few)
    many = [trained("total", seed, label=f"net {seed}") for seed in range(9)]
    shown, origin = draw_named("fig7", many).caption.split("\n\n")
    assert "Networks: 9; all of them resnet19" in shown and "net 3" not in shown
    assert "net 3 (seed 3; SHA-256" in origin and "resnet19" not in origin


def test_choices_that_differ_are_told_by_network():
    curves = [trained("total", seed, label=f"net {seed}") for seed in range(3)]
    curves[1] = replace(curves[1], provenance=replace(curves[1].provenance, split="train"))
    heard(draw_named("fig7", curves).caption, "0 2 cifar10")


def caption_of(name, results):
    return (draw_named(name, results) if name else draw(results)).caption.partition("\n\n")[0]


def without_weights(counts):
    return replace(counts, **{name: 0 * getattr(counts, name) for name in ("dense_mac", "inbounds_mac")})


def without_errors(result):
    return replace(result, step_phi_se=np.full_like(result.step_phi_se, np.nan))


RINGS, BANDS = "Rings mark the training T", "t intervals over planes"


@pytest.mark.parametrize(
    ("name", "words", "drawn", "bare"),
    [
        ("", BANDS, planted_lines(), planted_lines(planes=1)),
        ("", BANDS, planted_sharpness(), planted_sharpness(planes=1)),
        ("sharpness-table", "t intervals over planes", planted_lines(), planted_lines(planes=1)),
        ("", "intervals over directions", planted_curvature(), planted_curvature(directions=1)),
        ("fig8", RINGS, planted_curve(tmax=8), planted_curve(tmax=8, t_train=0)),
        ("fig4a", RINGS, planted_curve(tmax=16), planted_curve(tmax=16, t_train=12)),
        ("exits", RINGS, planted_curve(tmax=8), planted_curve(tmax=8, t_train=0)),
        ("classes", "Dashed lines mark the training T", planted_curve(tmax=8), planted_curve(tmax=8, t_train=0)),
        ("fig4b", RINGS, planted_counts(), planted_counts(t_train=0)),
        ("", RINGS, planted_counts(), planted_counts(t_train=0)),
        ("fig4b", "Vertical lines are dense ANNs", planted_counts(), without_weights(planted_counts())),
        ("", "95 % t interval of phi", planted_isometry(), without_errors(planted_isometry())),
    ],
)
def test_a_caption_tells_a_mark_where_it_is_drawn(name, words, drawn, bare):
    assert words in caption_of(name, [drawn]) and words not in caption_of(name, [bare])


def test_fig4a_says_the_one_t_that_networks_were_trained_with():
    one = [planted_curve(tmax=8, t_train=t, label=label) for t, label in ((4, "a"), (4, "b"), (6, "c"), (0, "d"))]
    heard(caption_of("fig4a", one[:2]), "networks 4")
    several = trained("tet")
    record = {**several.provenance.training, "stages": ["2:10", "4:5"]}
    several = replace(several, provenance=replace(several.provenance, training=record))
    assert "trained with T = 4" in caption_of("fig4a", [trained("tet")])
    for curves in (one, one[:1] + one[2:3], one[3:], [several]):
        assert "trained with T =" not in caption_of("fig4a", curves)


@pytest.mark.parametrize("name", ["fig2", "fig5"])
def test_the_panels_stand_as_the_caption_says(name):
    two = [planted_surface(label="a"), planted_surface(label="b")]
    heard(caption_of(name, two).replace(" in 3-D", ""), "2 L_SDT L_TET")
    assert "1 network, under" in caption_of(name, two[:1])
    with use_style("slides"):
        heard(caption_of(name, two), "2 L_SDT L_TET")


def test_the_cross_is_told_if_any_map_has_it():
    off, on = planted_surface(label="a", x_range=(0.2, 1.2)), planted_surface(label="b")
    for surfaces in ([off, on], [on, off]):
        heard(caption_of("fig2", surfaces), "cross 0")
    assert "cross" not in caption_of("fig2", [off])


def test_samples_in_another_order_are_the_same():
    one, other = (planted_surface(label=name, sample=np.arange(5)[::step]) for name, step in (("a", 1), ("b", -1)))
    assert "different samples" not in caption_of("", [one, other])


def test_many_networks_are_named_even_if_nothing_is_known_of_them():
    caption = draw_named("fig8", [planted_curve(tmax=8, label=f"net {place}") for place in range(6)]).caption
    assert all(f"net {place}" in caption for place in range(6))


def test_fig7_names_the_networks_of_each_t():
    curves = [planted_curve(tmax=8, t_train=t, label=label) for t, label in ((4, "a"), (6, "b"), (4, "c"))]
    assert "at T = 4 (a, c), T = 6 (b)." in caption_of("fig7", curves)


def test_the_groups_of_fig6_say_what_differs():
    groups = []
    for rate in (0.1, 0.01):
        for lamb in (0.01, 0.1):
            curve = trained("total", lamb=lamb, digest=f"{rate} {lamb}", label=f"{rate} {lamb}")
            record = {**curve.provenance.training, "lr": rate}
            groups.append(replace(curve, provenance=replace(curve.provenance, training=record)))
    labels = [text.get_text() for text in draw_named("fig6", groups).legends[0].get_texts()]
    assert [label.partition("T = 4")[2] for label in labels[:2]] == [", lr 0.1", ", lr 0.01"]


def test_a_caption_is_plain_text_whatever_networks_are_called():
    name = f"$x$ L_TOTAL {'name-' * 30}net"
    caption = caption_of("fig3", [planted_history(label=name), planted_history(label="b", loss="total")])
    assert caption.count(name) == 2 and "\\" not in caption and "mathrm" not in caption


def test_firing_rates_of_many_networks_are_means_over_the_layers_of_blocks():
    owners = [f"{block}.lif{place}" for block in list(planted_isometry().names) for place in (1, 2)]
    inside = planted_isometry(neuron_names=(*owners, f"{owners[-1]}.last"))
    stem = planted_isometry(neuron_names=("stem", *owners))
    for results, left_out in (([inside] * 3, False), ([inside, inside, stem], True)):
        caption = caption_of("", results)
        heard(caption, "firing neurons")
        assert ("layers outside of blocks are left out" in caption) == left_out
    assert "left out" not in caption_of("", [stem]) and "mean firing rate" not in caption_of("", [stem])
