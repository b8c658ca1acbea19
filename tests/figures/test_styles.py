"""The styles of the venues: sizes, fonts, and no text that lies on another or over the edge."""

import matplotlib
import pytest
from every_kind import KINDS, NAMED
from layout import cut, overlaps
from planted_results import planted_curve, planted_surface
from wording import refuses

from tetviz.commands.choices import STYLES
from tetviz.figures import draw, draw_named, draw_scaling, draw_surface, named_figures, paper_style, save_figure
from tetviz.figures.plots.style import METHOD_STYLES
from tetviz.figures.plots.venues import COLUMN, VENUES, use_style, venue
from tetviz.figures.table import Table
from tetviz.figures.view import TableOf

# Widths of text and column that the authors' kits of the venues have, in inches.
PUBLISHED = {"neurips": (5.5, None), "icml": (6.75, 3.25), "ieee": (7.16, 3.5)}


def test_the_command_offers_every_venue():
    assert set(STYLES) | {"tetviz"} == set(VENUES)
    for name, (text, column) in PUBLISHED.items():
        assert VENUES[name].text == text and column in (None, VENUES[name].column)


@pytest.mark.parametrize("style", VENUES)
def test_figures_have_the_width_of_the_page_or_of_the_column(style):
    with use_style(style):
        wide, narrow = draw([planted_curve()]), draw_named("fig4a", [planted_curve()])
        assert wide.get_figwidth() == pytest.approx(VENUES[style].text)
        assert narrow.get_figwidth() == pytest.approx(VENUES[style].column)
        four = draw([planted_surface(label=name) for name in "abcd"])
        assert bool(four.get_suptitle()) == (not VENUES[style].captioned)
    assert four.get_figwidth() == pytest.approx(10 + 1.4 if style == "tetviz" else VENUES[style].text)


@pytest.mark.parametrize("style", ["tetviz", "neurips", "slides"])  # the widest, and those with the largest text for it
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_lies_on_another_or_is_cut(kind, style):
    with use_style(style):
        figure = draw(KINDS[kind]())
        assert overlaps(figure) == [] and cut(figure) == []


@pytest.mark.parametrize("name", [name for name in NAMED if not isinstance(named_figures()[name][1], TableOf)])
def test_no_text_of_a_named_figure_lies_on_another_in_the_narrowest_style(name):
    with use_style("icml"):
        figure = draw_named(name, NAMED[name]())
        assert not isinstance(figure, Table)
        assert overlaps(figure) == [] and cut(figure) == []


@pytest.mark.parametrize("count", [1, 2, 4])
def test_compared_surfaces_fill_the_page_and_no_text_touches_another(count):
    with use_style("neurips"):
        figure = draw_named("fig2", [planted_surface(label=name) for name in "abcd"[:count]])
        assert figure.get_figwidth() == pytest.approx(5.5)
        assert overlaps(figure) == [] and cut(figure) == []


def test_maps_of_an_incomplete_row_are_not_cut():
    with use_style("neurips"):
        figure = draw_named("planes", [planted_surface(planes=5)])
        assert overlaps(figure) == [] and cut(figure) == []


def test_the_aspect_of_a_map_stays():
    for style in VENUES:
        with use_style(style):
            axes = draw_surface(planted_surface()).axes[0]
            box = axes.get_position()
            width, height = axes.figure.get_size_inches()
            assert box.width * width == pytest.approx(box.height * height)


def test_text_is_as_large_as_the_venue_says_and_times_where_it_is():
    for style, each in VENUES.items():
        with use_style(style):
            label = draw_scaling([planted_curve()]).axes[0].xaxis.label
        assert label.get_fontsize() == each.size
        assert ("STIXGeneral" in label.get_fontfamily()) == (style in PUBLISHED)


def test_a_style_ends_with_its_block_also_after_an_exception():
    with pytest.raises(RuntimeError), use_style("icml"):
        assert venue() is VENUES["icml"]
        raise RuntimeError
    assert venue() is VENUES["tetviz"] and venue().column == COLUMN
    with refuses(ValueError, "neurips"), use_style("nips"):
        pass


def test_text_stays_text_in_every_style(tmp_path, caplog):
    for style in VENUES:
        with use_style(style):
            figure = draw([planted_surface(size=5, label="Net 7")])
            svg = save_figure(figure, tmp_path / f"{style}.svg").read_text()
            pdf = save_figure(figure, tmp_path / f"{style}.pdf").read_bytes()
        assert ("Net 7" in svg) == (not VENUES[style].captioned) and "x (filter norms)" in svg
        assert b"/Type3" not in pdf
    assert not [record for record in caplog.records if "font" in record.getMessage()]


def test_all_colours_of_methods_stay_apart_in_grey():
    grey = [
        sum(w * c for w, c in zip((0.299, 0.587, 0.114), matplotlib.colors.to_rgb(style["color"]), strict=True))
        for style in METHOD_STYLES.values()
    ]
    assert abs(grey[0] - grey[1]) > 0.15
    with paper_style():
        assert matplotlib.rcParams["font.size"] == 8
