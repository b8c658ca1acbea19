"""The report as text: what it holds, what it leaves out, and that its numbers are those of the summaries."""

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from planted_attack import planted_attack
from planted_compression import planted_compression
from planted_isometry import planted_isometry
from planted_results import (
    origin,
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
from planted_smoothness import planted_smoothness
from planted_training import planted_training
from wording import heard, refuses

from tetviz.errors import ResultError, printable
from tetviz.figures import draw
from tetviz.figures.plots.style import series_styles
from tetviz.figures.registry import view_named
from tetviz.figures.report.blocks import Chart, Drawing, Fold, Section, Sentences, Source, Surfaces, Tabled
from tetviz.figures.report.colours import CONTRAST, DARK_PAPER, ON_DARK, contrast
from tetviz.figures.report.networks import count_networks, told_apart, whole_trainings
from tetviz.figures.report.origins import NOT_RECORDED, warnings
from tetviz.figures.report.origins import origin as rows_of
from tetviz.figures.report.page import digest_of, read_source, read_sources, render_report
from tetviz.figures.report.sections import MANY, sections
from tetviz.figures.report.surfaces import MOST_STEPS, NO_ORIGIN, surface_block
from tetviz.figures.report.svg import drawing
from tetviz.figures.view import require_same_data
from tetviz.results import KINDS, Result, ScalingCurve, Surface, save
from tetviz.results.loss_landscape import load_any
from tetviz.results.schema import array_fields
from tetviz.summaries import sharpness_table, wilson

EVERY_KIND = {
    "surface": planted_surface,
    "trajectory": planted_trajectory,
    "lines": planted_lines,
    "sharpness": planted_sharpness,
    "curvature": planted_curvature,
    "scaling": planted_curve,
    "energy": planted_counts,
    "history": planted_history,
    "training-energy": planted_training,
    "isometry": planted_isometry,
    "compression": planted_compression,
    "attack": planted_attack,
    "smoothness": planted_smoothness,
}


def source(result: Result, path: str = "runs/tet.h5") -> Source:
    return Source(Path(path), result, "0" * 64)


def sections_of(*results: Result) -> list[Section]:
    return sections([source(result, f"runs/{i}.h5") for i, result in enumerate(results)])


def blocks(section: Section, kind: type) -> list[Any]:
    found: list[Any] = []
    for block in section.blocks:
        found += [block] if isinstance(block, kind) else []
        found += [each for each in block.blocks if isinstance(each, kind)] if isinstance(block, Fold) else []
    return found


def unpacked(panel: dict[str, Any], name: str, steps: int) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(panel["values"][name]), "<f4")
    return values.reshape(steps, panel["planes"], len(panel["y"]), len(panel["x"]))


class Elements(HTMLParser):
    """Elements of a page that are open and closed in order, and the text of some."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.sources += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.text += data


def test_results_are_held_against_one_of_a_group_not_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(results: Any) -> None:
        asked.append(len(results))
        require_same_data(results)

    monkeypatch.setattr("tetviz.figures.report.sections.view_named", lambda name: replaced[name])
    replaced = {"scaling": dataclasses.replace(view_named("scaling"), together=counted)}
    curves = [planted_curve(tmax=2, t_train=1, label=f"{at}", sample=np.arange(20)) for at in range(6)]
    others = [dataclasses.replace(each, provenance=origin(label="x", dataset="mnist")) for each in curves[:2]]
    found = sections_of(*curves[:3], *others, *curves[3:])
    assert [len(section.sources) for section in found] == [6, 2]
    assert set(asked) == {2} and len(asked) == 5 + 2 + 1


def test_every_kind_is_planted() -> None:
    assert set(EVERY_KIND) == set(KINDS)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_has_a_section_that_shows_it(kind: str) -> None:
    (section,) = sections_of(EVERY_KIND[kind]())
    shown = [block for of in (Chart, Drawing, Surfaces) for block in blocks(section, of)]
    assert shown and section.title and [each.result.kind for each in section.sources] == [kind]
    assert all(block.alt for block in shown if not isinstance(block, Surfaces))
    assert not [block for block in section.blocks if isinstance(block, Sentences) and block.warning]
    assert blocks(section, Tabled)


def test_the_page_is_well_formed_and_fetches_nothing(tmp_path: Path) -> None:
    paths = [
        save(tmp_path / f"{kind}.h5", EVERY_KIND[kind]()) for kind in ("surface", "scaling", "sharpness", "energy")
    ]
    page = render_report(read_sources(paths))
    found = Elements(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert all(each.startswith(("#", "data:")) for each in found.sources)
    assert page.count("<h1") == 1 and '<html lang="en">' in page and "connect-src 'none'" in page
    for path in paths:
        assert str(path) in found.text


def test_four_surfaces_of_realistic_size_stay_below_8_mb(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    paths = []
    for index in range(4):
        surface = planted_surface(size=51, label=f"network {index}")
        noise = {name: generator.random(surface.sdt_loss.shape) for name in ("sdt_loss", "tet_loss", "accuracy")}
        paths.append(save(tmp_path / f"{index}.h5", dataclasses.replace(surface, **noise)))
    assert len(render_report(read_sources(paths)).encode()) < 8e6


@settings(max_examples=8)
@given(st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text))
def test_whatever_a_network_is_called_is_text(name: str) -> None:
    label = f"<script>alert(1)</script>{name}"
    page = render_report([source(planted_surface(size=3, timesteps=1, label=label))])
    assert "<script>alert" not in page
    assert "".join(printable(label).split()) in "".join(Elements(page).text.split())


def test_names_in_charts_are_escaped() -> None:
    (section,) = sections_of(planted_curve(tmax=4, label="<b onload=alert(1)>"))
    assert "<b onload" not in json.dumps([chart.figure for chart in blocks(section, Chart)])


def test_surfaces_along_the_same_directions_share_a_scale_and_others_do_not() -> None:
    first, second = planted_surface(low=0.1, label="a"), planted_surface(low=0.2, high=30, label="b")
    elsewhere = planted_surface(plane_seed=9, label="c")
    together, alone = sections_of(first, elsewhere, second)
    assert (together.names, alone.names) == (("a", "b"), ("c",))
    (block,) = blocks(together, Surfaces)
    levels = block.data["scales"]["all"]["levels"]
    everything = np.concatenate([each.ravel() for s in (first, second) for each in (s.sdt_loss, s.tet_loss)])
    assert levels[0] <= everything.min() and everything.max() <= levels[-1]
    assert any("neither their axes nor their colours" in line for b in blocks(together, Sentences) for line in b.lines)


def test_values_are_those_of_the_file_in_single_precision() -> None:
    surface = planted_surface(size=(5, 7), planes=2, timesteps=3)
    (panel,) = (data := surface_block([surface]).data)["panels"]
    for name in ("sdt_loss", "tet_loss", "accuracy", "sdt_loss_se"):
        sent = unpacked(panel, name, 3)
        np.testing.assert_array_equal(sent, np.moveaxis(getattr(surface, name), -1, 0).astype(np.float32))
    assert (data["timesteps"], data["planes"]) == ([1, 2, 3], 2)


def test_holes_stay_holes_and_are_counted() -> None:
    surface = planted_surface(size=5)
    loss, done = surface.sdt_loss.copy(), np.ones((1, 5, 5))
    loss[0, 0, 0] = np.inf
    loss[0, 0, 1, 2] = np.nan
    done[0, 4] = 0
    (panel,) = surface_block([dataclasses.replace(surface, sdt_loss=loss, done=done)]).data["panels"]
    sent = unpacked(panel, "sdt_loss", 4)
    assert np.isnan(sent[:, 0, 4]).all() and np.isnan(sent[:, 0, 0, 0]).all() and np.isnan(sent[2, 0, 0, 1])
    assert panel["not_finite"]["sdt"] == [[1], [1], [2], [1]] and panel["not_finite"]["tet"] == [[0]] * 4
    assert (panel["points"], panel["measured"]) == ([25], [20])


def test_networks_of_other_runs_share_the_slider() -> None:
    data = surface_block([planted_surface(size=3, timesteps=2), planted_surface(size=3, timesteps=4, label="b")]).data
    assert data["timesteps"] == [1, 2, 3, 4] and data["start"]["timestep"] == 1
    assert data["panels"][0]["timesteps"] == [True, True, False, False]
    assert np.isnan(unpacked(data["panels"][0], "tet_loss", 4)[2:]).all()


def test_of_many_timesteps_the_doublings_are_sent() -> None:
    surface = planted_surface(size=3, timesteps=50, t_train=6)
    data = surface_block([surface]).data
    assert data["timesteps"] == [1, 2, 4, 6, 8, 16, 32, 50] and MOST_STEPS < 50
    sent = unpacked(data["panels"][0], "sdt_loss", 8)
    np.testing.assert_array_equal(sent[3, 0], surface.sdt_loss[0, :, :, 5].astype(np.float32))


def test_a_surface_without_a_value_says_so_and_the_others_stay() -> None:
    nothing = planted_surface(size=3, label="new", done=np.zeros((1, 3, 3)), plane_seed=8)
    first, second = sections_of(nothing, planted_surface(size=3))
    (said, *_) = blocks(first, Sentences)
    assert said.warning and "no point has a finite value yet" in said.lines[0]
    assert blocks(second, Surfaces)


def test_charts_hold_the_numbers_of_the_summaries() -> None:
    curve = planted_curve(tmax=8)
    accuracy = blocks(sections_of(curve)[0], Chart)[0]
    low, high = wilson(curve.accuracy, len(curve.sample))
    lines = [trace for trace in accuracy.figure["data"] if "text" in trace]
    expected = f"T = 3<br>accuracy {curve.accuracy[2]:.2%} [{100 * low[2]:.2f}, {100 * high[2]:.2f}]"
    assert lines[0]["text"][2].startswith(expected)


def test_the_flatness_table_holds_the_numbers_of_the_summary() -> None:
    lines = planted_sharpness()
    (table,) = blocks(sections_of(lines)[0], Tabled)
    row = sharpness_table([lines], "sdt", 4).droplevel(0, axis=1).loc["rise at r = 0.5"]
    assert (
        table.cells.loc["rise at r = 0.5 (nat)", "L_SDT"] == f"{row['mean']:.4g} [{row['low']:.4g}, {row['high']:.4g}]"
    )


def test_two_that_were_measured_on_other_samples_are_not_compared() -> None:
    one, other = planted_curve(tmax=4), planted_curve(tmax=4, sample=np.arange(50), label="b")
    (section,) = sections_of(one, other)
    assert any("sample" in line for block in blocks(section, Sentences) if block.warning for line in block.lines)
    assert len(blocks(section, Chart)) == 4


def warned(section: Section) -> str:
    return " ".join(line for block in blocks(section, Sentences) if block.warning for line in block.lines)


@pytest.mark.parametrize("kind", ["surface", "sharpness", "scaling", "energy", "training-energy", "isometry"])
def test_other_samples_of_equal_number_are_a_warning(kind: str) -> None:
    one = EVERY_KIND[kind](provenance=of_checkpoint("a", "a"))
    same = dataclasses.replace(one, provenance=of_checkpoint("b", "b"))
    other = dataclasses.replace(same, sample=one.sample + 1)
    (alike,), (unlike,) = sections_of(one, same), sections_of(one, other)
    assert "different samples" not in warned(alike) and "measured on different samples." in warned(unlike)
    assert len(unlike.contexts) == 1  # the numbers do not tell


def test_where_choices_differ_each_is_told_with_its_networks() -> None:
    curves = [planted_curve(tmax=4, sample=np.arange(count), label=f"n{count}") for count in (1, 20)]
    (section,) = sections_of(*curves, dataclasses.replace(curves[1], provenance=origin_like(curves[1], "other")))
    assert section.contexts == ("n1: cifar10 test, 1 sample", "n20, other: cifar10 test, 20 samples")
    (alone,) = sections_of(curves[0])
    assert alone.contexts == ("cifar10 test, 1 sample",) and "1 samples" not in repr(texts_of(alone))


def origin_like(result: Any, label: str) -> Any:
    return dataclasses.replace(result.provenance, label=label)


def texts_of(section: Section) -> list[str]:
    """All that is to be read in tables, sentences and at points of charts."""
    found = [*section.contexts]
    for table in blocks(section, Tabled):
        found += [table.table.note, *table.table.feet, *table.cells.to_numpy().ravel().tolist(), *table.cells.index]
    found += [line for block in blocks(section, Sentences) for line in block.lines]
    for chart in blocks(section, Chart):
        found += [text for trace in chart.figure["data"] for text in trace.get("text", ())]
    assert all(isinstance(text, str) for text in found)
    return found


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", [kind for kind in EVERY_KIND if kind != "surface"])
def test_a_number_that_is_not_finite_is_a_dash(kind: str, value: float) -> None:
    result = EVERY_KIND[kind]()
    # Only losses grow beyond all bounds; the checkpoints at the ends of a line are sound.
    measured = ("loss",) if np.isinf(value) else ("loss", "gradient", "phi", "accuracy", "growth")
    poisoned = {}
    for name in array_fields(type(result)):
        array = np.array(getattr(result, name))
        if any(word in name for word in measured) and array.dtype.kind == "f" and not name.startswith("end_"):
            array.reshape(-1)[::2] = value
            poisoned[name] = array
    (section,) = sections_of(dataclasses.replace(result, **poisoned))
    for text in texts_of(section):
        assert not re.search(r"(?<![A-Za-z])(nan|inf)(?![A-Za-z])", text), text


def test_the_page_says_what_a_dash_is() -> None:
    assert "A dash is where there is no number" in Elements(render_report([source(planted_history())])).text


def test_a_difference_of_a_single_sample_says_next_to_nothing() -> None:
    one = planted_curve(tmax=4, sample=np.arange(1), label="a")
    (section,) = sections_of(one, dataclasses.replace(one, provenance=origin_like(one, "b")))
    (table,) = [block for block in blocks(section, Tabled) if "difference (points)" in block.cells]
    assert set(table.cells["difference (points)"]) == {"+0.00 [-92.39, +92.39]"}
    assert "the same 1 sample]" in table.table.note
    assert set(table.cells.iloc[:, -1]) == {"within the noise of 1 sample"}


def test_a_threshold_that_stops_no_sample_is_never() -> None:
    (section,) = sections_of(planted_curve(tmax=4))
    charts = [chart for chart in blocks(section, Chart) if chart.title.startswith("Early exit")]
    for chart, sign in zip(charts, ("&gt;=", "&lt;="), strict=True):
        texts = next(trace["text"] for trace in chart.figure["data"] if "exit:" in str(trace.get("text", "")))
        assert "never" in texts[-1] and all(sign in text for text in texts[:-1])


@pytest.mark.parametrize(("epochs", "step"), [(1, 1), (3, 1), (10, 1), (30, None)])
def test_ticks_are_whole_epochs(epochs: int, step: int | None) -> None:
    (section,) = sections_of(dataclasses.replace(shortened(planted_history(), epochs), best_epoch=epochs))
    assert [chart.figure["layout"]["xaxis"].get("dtick") for chart in blocks(section, Chart)] == [step] * 3


def test_the_tables_of_many_networks_are_folded() -> None:
    def folds(count: int) -> list[str]:
        (section,) = sections_of(*(planted_curve(tmax=4, label=f"n{index}") for index in range(count)))
        return [block.title for block in section.blocks if isinstance(block, Fold)]

    always, many = folds(MANY), folds(MANY + 1)
    assert len(always) == 2 and [title for title in many if title not in always] == [
        "Accuracy, growth and losses at every T"
    ]


def test_columns_of_words_are_told_from_columns_of_numbers() -> None:
    (table,) = blocks(sections_of(planted_interpolation())[0], Tabled)
    assert table.cells.columns[0] == "line" and table.are_words == [True, False, False, False, False]


def test_a_grid_without_the_network_says_so() -> None:
    surface = planted_surface(size=5)
    (alone,) = surface_block([dataclasses.replace(surface, x=np.linspace(0.1, 1, 5))]).panels
    (whole,) = surface_block([surface]).panels
    assert alone["origin"] == NO_ORIGIN and whole["origin"] == ""
    assert "x from 0.1 to 1, y from -1 to 1" in alone["relief"] and "around" not in alone["map"]
    page = Elements(render_report([source(dataclasses.replace(surface, x=np.linspace(0.1, 1, 5)))])).text
    assert NO_ORIGIN in page and "in the middle" not in page


def test_colours_of_networks_are_seen_on_both_pages() -> None:
    for style in series_styles(["sdt", "tet", *map(str, range(8))]):
        colour = to_hex(style["color"])
        assert contrast(ON_DARK.get(colour, colour), DARK_PAPER) >= CONTRAST
    drawn = drawing(draw([planted_isometry(label=f"n{i}") for i in range(6)]), "six networks").svg
    assert f"light-dark(#332288, {ON_DARK['#332288']})" in drawn
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


def test_a_name_on_a_map_keeps_its_ink_on_its_halo() -> None:
    drawn = blocks(sections_of(planted_trajectory())[0], Drawing)[0].svg
    assert drawn.count("#010101") >= 2 and "currentColor" in drawn  # the path and the names of its ends


def test_what_diverged_is_a_warning() -> None:
    run, path, lines = planted_history(), planted_trajectory(), planted_lines()
    loss, true, along = run.test_sdt_loss.copy(), path.true_tet_loss.copy(), lines.sdt_loss.copy()
    loss[-1], true[1, 0], along[0, 0, 0], along[0, 2, 1] = np.nan, np.inf, np.inf, np.nan
    for result, words in (
        (dataclasses.replace(run, test_sdt_loss=loss), "L_SDT test 1 epoch"),
        (dataclasses.replace(path, true_tet_loss=true), "L_TET 1 checkpoint"),
        (dataclasses.replace(lines, sdt_loss=along), "L_SDT 2 points"),
    ):
        heard(next(each for each in warnings(source(result)) if "finite" in each), words)
    assert not [each for result in (run, path, lines) for each in warnings(source(result)) if "finite" in each]


def test_trainings_look_as_in_the_figure_of_histories() -> None:
    runs = [planted_history(loss=loss, label=label) for loss, label in (("tet", "a"), ("sdt", "b"), ("tet", "c"))]
    chart = blocks(sections_of(*runs)[0], Chart)[0]
    lines = [trace for trace in chart.figure["data"] if trace.get("text")]
    drawn = [line.get_color() for line in draw(runs).axes[0].lines if line.get_gid() == "curve"]
    assert [line["line"]["color"] for line in lines] == drawn
    assert len({line["marker"]["symbol"] for line in lines}) == 3


def everywhere(result: Any, value: float, *names: str) -> list[str]:
    poisoned = {name: np.full_like(getattr(result, name), value) for name in names}
    return [each for each in warnings(source(dataclasses.replace(result, **poisoned))) if "finite" in each]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("result", "prefix", "said"),
    [
        (planted_history(), "test_", "L_{} on the test split is not finite in 30 epochs"),
        (planted_surface(size=5), "", "L_{} is not finite at 25 measured points, at some T"),
        (planted_lines(), "", "L_{} is not finite at 410 measured points, at some T"),
        (planted_trajectory(), "true_", "L_{} is not finite at 6 checkpoints, at some T"),
        (planted_trajectory(), "projected_", "L_{} on the plane is not finite at 6 checkpoints, at some T"),
        (planted_curve(tmax=8), "", "L_{} is not finite at 8 timesteps"),
        (planted_sharpness(), "sam_", "L_{} after a step up its gradient is not finite at 3 lengths, at some T"),
        (planted_sharpness(), "average_", "L_{} after random steps is not finite at 15 steps, at some T"),
        (
            planted_curvature(),
            "shifted_",
            "L_{} around random points nearby is not finite at 160 measured points, at s",
        ),
    ],
)
def test_losses_that_are_nowhere_finite_are_a_warning(result: Any, prefix: str, said: str, value: float) -> None:
    found = everywhere(
        result, value, f"{prefix}sdt_loss", f"{prefix}tet_loss", *["step_loss"] * isinstance(result, ScalingCurve)
    )
    for loss in ("SDT", "TET"):
        assert any(each.startswith(said.format(loss)) for each in found), found
    assert everywhere(result, np.nan) == []


def test_a_loss_that_was_not_measured_is_no_warning() -> None:
    run = planted_history()
    # A file of another program has one loss alone; where nothing was held out there is no held-out loss.
    assert everywhere(planted_surface(size=5), np.nan, "tet_loss") == []
    assert everywhere(planted_surface(size=5), np.inf, "tet_loss")
    assert everywhere(run, np.nan, "val_sdt_loss", "val_tet_loss", "val_accuracy") == []
    assert everywhere(run, np.nan, "train_loss") == ["the training loss is not finite in 30 epochs"]
    nothing = dataclasses.replace(planted_surface(size=5), done=np.zeros((1, 5, 5)))
    assert everywhere(nothing, np.nan, "sdt_loss", "tet_loss") == []
    shorter = np.array(planted_surface(size=5).sdt_loss)
    shorter[..., :-1] = np.nan
    assert everywhere(dataclasses.replace(planted_surface(size=5), bn="batch", sdt_loss=shorter), 0.0) == []


def words_of(section: Section) -> str:
    return " ".join(line for block in blocks(section, Sentences) for line in block.lines)


def test_networks_of_other_training_t_are_compared_as_their_tables_are() -> None:
    # b is flatter because it is measured at T = 8.
    a, b = (planted_lines(label=label, timesteps=8, t_train=t) for label, t in (("a", 4), ("b", 8)))
    (section,) = sections_of(a, b)
    words = words_of(section)
    assert "each at its own T of training" in words and "b at T = 8 is flatter than a at T = 4 by" in words
    rises = [float(t.cells.loc["rise at r = 0.5 (nat)", "L_SDT"].split(" ")[0]) for t in blocks(section, Tabled)]
    assert float(words.split(" T = 4 by ")[1].split(" ")[0]) == pytest.approx(rises[0] - rises[1], abs=1e-3)
    (alike,) = sections_of(a, dataclasses.replace(a, provenance=origin_like(a, "c")))
    assert "at T =" not in words_of(alike) and "own T" not in words_of(alike)


def test_a_sharpness_whose_planes_are_not_complete_has_no_table() -> None:
    done = np.ones((10, 41))
    done[3:] = 0
    lines = planted_sharpness()
    losses = {name: np.where(done[..., None] == 1, getattr(lines, name), np.nan) for name in ("sdt_loss", "tet_loss")}
    nothing = {"sam_done": np.zeros_like(lines.sam_done), "average_done": np.zeros_like(lines.average_done)}
    (section,) = sections_of(dataclasses.replace(lines, done=done, **losses, **nothing))
    assert not blocks(section, Tabled)
    heard(warned(section), "5 1 complete")


def test_networks_that_are_priced_unlike_are_told_apart() -> None:
    one, other = planted_counts(label="a"), planted_counts(label="b", cost="45nm-int8", convention="strict")
    (unlike,), (alike,) = sections_of(one, other), sections_of(one, dataclasses.replace(other, **prices(one)))
    a, b = "45nm-fp32 (4.6 pJ a MAC, 0.9 pJ an AC), tet, per-step", "45nm-int8 (0.23 pJ a MAC, 0.03 pJ an AC), strict"
    assert "do not compare" in warned(unlike) and f"a: {a}" in warned(unlike) and f"b: {b}" in warned(unlike)
    (beside, alone) = (
        next(block.table.note for block in blocks(section, Tabled) if block.table.label == "networks")
        for section in (unlike, alike)
    )
    assert f"a: {a}; b: {b}" in beside and alone.endswith(a) and "a:" not in alone
    assert words_of(alike) == ""


def prices(counts: Any) -> dict[str, str]:
    return {"cost": counts.cost, "convention": counts.convention}


@pytest.mark.parametrize("epochs", [1, 30])
def test_where_no_epoch_is_chosen_none_is_shown_as_chosen(epochs: int) -> None:
    run = dataclasses.replace(shortened(planted_history(), epochs), best_epoch=0)
    (table,) = blocks(sections_of(run)[0], Tabled)
    assert list(table.cells.index) == [str(epoch) for epoch in dict.fromkeys((1, epochs))]


def test_a_curvature_without_eigenvalues_says_so() -> None:
    empty = {name: np.empty(0) for name in ("eigenvalue", "eigenvalue_residual", "trace_estimate")}
    nothing = {"rank": np.arange(0), "trace_probe": np.arange(0)}
    (section,) = sections_of(dataclasses.replace(planted_curvature(), **empty, **nothing))
    (table,) = blocks(section, Tabled)
    assert "its eigenvalues" in table.table.feet[0] and table.table.feet[1] == "its trace is not recorded"


def test_growth_and_product_say_whether_they_are_of_squares() -> None:
    result = planted_isometry(step_phi=np.full(9, np.nan))
    (table,) = blocks(sections_of(result)[0], Tabled)
    norm, product = re.search(r"gradient grows (\S+) times .* by the product (\S+) \(", table.table.feet[0]).groups()
    first = table.cells.iloc[0]
    assert float(first["growth"]) == pytest.approx(float(norm) ** 2, rel=1e-3)
    assert float(first["product"]) == pytest.approx(float(product) ** 2, rel=1e-3)
    heard(table.table.feet[0], "product growth")
    assert set(table.cells["phi (1 s.e.)"]) == {"-"}


def test_without_a_training_t_there_is_no_variance_beyond_it() -> None:
    table = blocks(sections_of(planted_curve(t_train=0))[0], Tabled)[0]
    assert table.table.feet == ("variance of the step accuracy beyond the T of training: that T is not recorded",)


def test_provenance_is_all_there_and_says_what_is_not_recorded() -> None:
    surface = planted_surface(size=3)
    rows = dict(rows_of(source(surface)))
    assert rows["checkpoint"] == "runs/tet_t4.pt" and rows["file"] == "runs/tet.h5" and rows["device"] == NOT_RECORDED
    recorded = {field.name for field in dataclasses.fields(surface.provenance)} - {"checkpoint_sha256", "doctor"}
    assert len(rows) >= len(recorded) and rows["doctor"] == NOT_RECORDED
    assert {"bn", "norm", "loss", "plane seed", "points", "number of samples"} <= set(rows)


def test_what_the_doctor_found_is_a_warning() -> None:
    found = (("finite", "ok", "all are"), ("spikes", "warning", "lif3 is silent"))
    surface = planted_surface(size=3, provenance=origin(doctor=found))
    assert warnings(source(surface)) == ["spikes: lif3 is silent"]
    assert "lif3 is silent" in Elements(render_report([source(surface)])).text
    assert any("not recorded" in each for each in warnings(source(planted_surface(size=3))))


@pytest.mark.parametrize("text", ["{", "3", '["a", [1, 2]]', "null"])
def test_findings_that_cannot_be_read_count_as_none(text: str) -> None:
    surface = planted_surface(size=3, provenance=origin(doctor=text))
    assert dict(rows_of(source(surface)))["doctor"] == NOT_RECORDED


def test_what_is_missing_and_not_counted_is_a_warning() -> None:
    counts = planted_counts(not_counted=("a custom layer",))
    heard("\n".join(warnings(source(counts))), "counted custom")
    half = planted_surface(size=3, done=np.eye(3)[None])
    assert any(each.startswith("half-written: 3 of 9") for each in warnings(source(half)))


def test_drawings_take_the_ink_of_the_page() -> None:
    (section,) = sections_of(planted_training())
    (block,) = blocks(section, Drawing)
    assert "currentColor" in block.svg and "#262626" not in block.svg
    assert not re.search(r'width="[\d.]+pt"', block.svg)


def test_grid_lines_of_drawings_are_those_of_the_page() -> None:
    drawn = drawing(draw([planted_sharpness()]), "a sharpness").svg
    assert "stroke: var(--grid)" in drawn and not re.search("stroke: #e[0-9a-f]e", drawn)


def test_sections_of_unchanged_files_are_not_made_again() -> None:
    memory: Any = {}
    sources = [source(planted_isometry(), "a.h5"), source(planted_surface(size=3), "b.h5")]
    first = sections(sources, memory)
    sources[1] = dataclasses.replace(sources[1], result=planted_surface(size=3, high=9), sha256="1" * 64)
    second = sections(sources, memory)
    assert second[1] is first[1] and second[0] is not first[0] and len(memory) == 2


def of_checkpoint(digest: str, label: str = "tet", **fields: str) -> Any:
    return origin(label=label, checkpoint="tet.pt", checkpoint_sha256=digest, dataset="cifar10", split="test", **fields)


def names_on_page(*results: tuple[str, Result]) -> dict[str, str]:
    sources = told_apart([source(result, path) for path, result in results])
    found = sections(sources)
    return {
        str(each.path): name for section in found for each, name in zip(section.sources, section.names, strict=True)
    }


def test_a_name_means_the_same_network_in_every_section() -> None:
    results = (
        ("demo/tet.landscape.h5", planted_surface(size=3, provenance=of_checkpoint("a"))),
        ("w/tet.landscape.h5", planted_surface(size=3, provenance=of_checkpoint("b"))),
        ("w/tet.scale.h5", planted_curve(tmax=4, provenance=of_checkpoint("b"))),
        ("demo/tet.energy.h5", planted_counts(provenance=of_checkpoint("a"))),
    )
    names = names_on_page(*results)
    assert names == {path: "tet #1" if path.startswith("demo") else "tet #2" for path, _ in results}
    sources = [source(result, path) for path, result in results]
    page = Elements(render_report(sources)).text
    assert "4 result files of 2 networks" in page and "tet #2" in page
    # What the file holds stays what it is.
    assert "labeltet" in "".join(page.split()) and "labeltet#" not in "".join(page.split())
    alone = names_on_page(results[1], results[2])
    assert set(alone.values()) == {"tet"}


def test_results_of_one_kind_about_one_network_have_the_names_of_their_files() -> None:
    first, second = (planted_surface(size=3, provenance=of_checkpoint("a"), low=low) for low in (0.1, 0.2))
    named = names_on_page(("one.h5", first), ("two.h5", second))
    assert named == {"one.h5": "tet (one)", "two.h5": "tet (two)"}
    assert count_networks([source(first), source(second)]) == 1


def test_a_path_is_named_by_the_networks_at_its_ends() -> None:
    ends = planted_interpolation(provenance=of_checkpoint("b, c", "tet to sdt"))
    first = planted_surface(size=3, provenance=of_checkpoint("a"))
    assert names_on_page(("a.h5", first), ("b.h5", ends)) == {"a.h5": "tet #1", "b.h5": "tet #2 to sdt"}
    assert count_networks([source(first), source(ends)]) == 3


def test_a_training_goes_with_the_checkpoint_that_it_has_chosen() -> None:
    run = planted_history(provenance=of_checkpoint("last", training="{}"))
    best = planted_curve(tmax=4, provenance=of_checkpoint("best", training="{}"))
    other = planted_curve(tmax=4, provenance=of_checkpoint("other", training="{}"))
    names = names_on_page(("w/tet.scale.h5", other), ("demo/tet.scale.h5", best), ("demo/tet.epochs.h5", run))
    assert names["demo/tet.epochs.h5"] == names["demo/tet.scale.h5"] == "tet #2"
    # Elsewhere, and with nothing recorded of the training, it may be any.
    best, run = (dataclasses.replace(each, provenance=of_checkpoint(each.kind)) for each in (best, run))
    assert names_on_page(("w/tet.scale.h5", best), ("demo/tet.epochs.h5", run))["demo/tet.epochs.h5"] == "tet #2"


def shortened(run: Any, epochs: int) -> Any:
    return dataclasses.replace(run, **{name: getattr(run, name)[:epochs] for name in array_fields(type(run))})


@pytest.mark.parametrize("swapped", [False, True])
def test_each_training_is_shown_once(swapped: bool) -> None:
    run = planted_history()
    files = [source(run, "w/tet.epochs.h5"), source(run, "w/tet.last.history.h5")]
    (kept,) = whole_trainings(files[::-1] if swapped else files)
    assert kept is files[1] and "1 result file of 1 network" in render_report(files)
    files[1] = source(shortened(run, len(run.epoch) - 1), "w/tet.last.history.h5")
    (kept,) = whole_trainings(files[::-1] if swapped else files)
    assert kept is files[0]
    another = dataclasses.replace(run, test_accuracy=run.test_accuracy / 2)
    assert len(whole_trainings([source(run), source(another, "b.h5"), source(planted_surface(size=3))])) == 3


def test_other_architectures_on_the_same_axes_are_a_warning() -> None:
    def said(*networks: str) -> bool:
        surfaces = [planted_surface(size=3, provenance=of_checkpoint(name, name, network=name)) for name in networks]
        (section,) = sections_of(*surfaces)
        return any("not the same noise" in line for b in blocks(section, Sentences) if b.warning for line in b.lines)

    assert said("snn5", "vgg") and not said("snn5", "snn5")


def test_nothing_is_no_report(tmp_path: Path) -> None:
    with refuses(ResultError, "result file"):
        read_sources([])
    surface = save(tmp_path / "a.h5", planted_surface(size=3))
    assert len(read_sources([surface, surface])) == 1
    assert isinstance(read_sources([surface])[0].result, Surface)


def test_a_file_that_is_written_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = planted_surface(size=9)
    path = save(tmp_path / "run.h5", dataclasses.replace(whole, done=np.zeros((1, 9, 9))))
    read: list[Any] = []

    def load_slowly(given: Path) -> Any:
        read.append(load_any(given))
        if len(read) == 1:
            save(given, whole)
        return read[-1]

    monkeypatch.setattr("tetviz.figures.report.page.load_any", load_slowly)
    source = read_source(path)
    assert len(read) == 2 and source.result.progress() == (81, 81) and source.sha256 == digest_of(path)
