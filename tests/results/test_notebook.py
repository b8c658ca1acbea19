"""Results and figures in a notebook: whole, escaped, self-contained, and true to their arrays."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from planted_attack import planted_attack
from planted_compression import planted_compression
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
from planted_smoothness import planted_smoothness
from planted_training import planted_training
from wording import heard

from tetviz.figures import draw, draw_classes, draw_exits, draw_planes, draw_scatter, draw_timesteps
from tetviz.figures.plots.picture import alternative
from tetviz.figures.table import Table
from tetviz.results import KINDS, Provenance, load, save

PLANTED = (
    planted_surface,
    planted_trajectory,
    planted_lines,
    planted_interpolation,
    planted_sharpness,
    planted_curvature,
    planted_curve,
    planted_counts,
    planted_history,
    planted_training,
    planted_isometry,
    planted_compression,
    planted_attack,
    planted_smoothness,
)
HOSTILE = '<script>alert("x")</script> & <img src=x onerror=y> $\\frac{a}'
VOID = {"img", "br", "hr"}


class Page(HTMLParser):
    """What a browser would find: tags, their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def cells(self) -> list[str]:
        return [text for text in self.texts if text.strip()]


def pictures(page: Page) -> list[ElementTree.Element]:
    found = []
    for tag, attributes in page.tags:
        if tag == "img":
            kind, _, data = attributes["src"].partition(",")
            assert kind == "data:image/svg+xml;base64"
            assert attributes["alt"]
            found.append(ElementTree.fromstring(base64.b64decode(data)))
    return found


@pytest.mark.parametrize("planted", PLANTED)
def test_every_result_shows_itself(planted: Any) -> None:
    result = planted()
    page = Page(result._repr_html_())
    (picture,) = pictures(page)
    assert len(list(picture.iter())) > 50
    tabular = {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert {tag for tag, _ in page.tags} <= {*VOID, "div", "b", *tabular, "details", "summary"}
    text = " ".join(page.texts)
    assert result.provenance.tetviz_version in text
    assert "Not finished" not in text
    head = text.split("Where it comes from")[0]
    assert not re.search(r"\bnan\b|None", head)
    assert "test split" in head if result.kind == "history" else f"{len(result.sample):,} samples" in head


def test_every_kind_is_shown() -> None:
    assert {planted().kind for planted in PLANTED} == set(KINDS)


@pytest.mark.parametrize("planted", PLANTED)
def test_text_of_the_user_stays_text(planted: Any) -> None:
    origin = Provenance(label=HOSTILE, checkpoint=HOSTILE, dataset=HOSTILE, command=HOSTILE, split="test")
    page = Page(planted(provenance=origin)._repr_html_())
    assert {"script", "a", "style", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    assert all(name in ("src", "alt", "style", "scope") for _, attributes in page.tags for name in attributes)
    assert HOSTILE in " ".join(page.texts)
    for picture in pictures(page):
        assert not [e for e in picture.iter() if e.tag.endswith(("script", "foreignObject"))]


def test_a_card_needs_nothing_from_elsewhere() -> None:
    for planted in PLANTED:
        text = planted()._repr_html_()
        assert not re.search(r"https?:", text)
        svg = pictures(Page(text))[0]
        links = [value for e in svg.iter() for name, value in e.attrib.items() if name.endswith("href")]
        assert all(link.startswith("#") or link.startswith("data:image/png;base64") for link in links)


def test_numbers_are_those_of_the_arrays() -> None:
    surface = planted_surface(size=9, timesteps=3, t_train=2)
    cells = Page(surface._repr_html_()).cells()
    assert "At T = 2" in cells
    for loss in ("sdt", "tet"):
        values = getattr(surface, f"{loss}_loss")[0, :, :, 1]
        row = cells[cells.index(f"L_{loss.upper()} (nat)") :]
        error = getattr(surface, f"{loss}_loss_se")[0, 4, 4, 1]
        assert row[1:3] == [f"{values[4, 4]:.4g} ({error:.1g})", f"{values.min():.4g}"]
        assert row[6] == f"{values.max():.4g}"
    curve = planted_curve(tmax=8)
    cells = Page(curve._repr_html_()).cells()
    row = cells[cells.index("4 (trained)") :]
    assert row[1].startswith(f"{100 * curve.accuracy[3]:.2f} [")
    assert row[4:6] == [f"{curve.sdt_loss[3]:.4f}", f"{curve.tet_loss[3]:.4f}"]


def test_half_a_surface_says_so() -> None:
    done = np.zeros((1, 13, 13))
    done[0, 5:8] = 1
    page = Page(planted_surface(done=done)._repr_html_())
    heard(next(text for text in page.texts if text.startswith("Not finished")), "39 169")
    assert len(pictures(page)) == 1
    # The corners, which are highest, are not measured: their values in memory must not be told.
    whole = planted_surface()
    row = page.cells()[page.cells().index("L_SDT (nat)") :]
    assert row[6] == f"{whole.sdt_loss[0, 5:8, :, 3].max():.4g}" != f"{whole.sdt_loss[..., 3].max():.4g}"


@pytest.mark.parametrize("planted", [planted_surface, planted_lines, planted_sharpness])
def test_nothing_measured_yet_is_no_error(planted: Any) -> None:
    whole = planted()
    flags = {name: np.zeros_like(getattr(whole, name)) for name in vars(whole) if name.endswith("done")}
    page = Page(planted(**flags)._repr_html_())
    assert not pictures(page)
    assert any(text.startswith("Not finished: 0 of") for text in page.texts)
    assert any(text.startswith("No picture: ") for text in page.texts)


def test_values_that_are_not_finite_are_counted() -> None:
    losses = planted_surface().sdt_loss.copy()
    losses[0, 0, :2] = np.inf
    losses[0, 1, 0] = np.nan
    assert "3 measured points have no finite loss" in planted_surface(sdt_loss=losses)._repr_html_()


def test_all_figures_show_themselves() -> None:
    surface, curve = planted_surface(planes=2), planted_curve()
    figures = [
        draw([surface, surface]),
        draw_timesteps(surface),
        draw_planes(surface),
        draw_classes([curve]),
        draw_exits([curve]),
        draw_scatter([curve]),
    ]
    for figure in figures:
        (picture,) = pictures(Page(figure._repr_html_()))  # type: ignore[operator]
        assert float(picture.attrib["width"].removesuffix("pt")) == pytest.approx(72 * figure.get_figwidth(), rel=1e-3)


def test_figures_say_what_they_show() -> None:
    figure = draw([planted_surface(label=HOSTILE)])
    page = Page(figure._repr_html_())  # type: ignore[operator]
    assert [tag for tag, _ in page.tags] == ["figure", "img", "figcaption"]
    assert page.texts == [figure.caption] == [page.tags[1][1]["alt"]]
    assert HOSTILE in figure.caption


def test_tables_show_themselves() -> None:
    frame = pd.DataFrame({HOSTILE: [0.5, np.nan]}, index=pd.Index(["one", HOSTILE], name="network"))
    page = Page(Table(frame, caption=f"Of {HOSTILE}")._repr_html_())
    assert page.texts == [f"Of {HOSTILE}", "network", HOSTILE, "one", "0.50", HOSTILE, "-"]
    assert {tag for tag, _ in page.tags} == {"table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_the_alternative_text_can_be_read_aloud() -> None:
    figure = draw([planted_surface(label="cost: 5$")])
    figure.caption = ""
    text = alternative(figure)
    assert text.startswith("cost: 5$: L_TET at T = 4 cifar10 test, 1,024 samples; BN statistics frozen")
    heard(text, "filter against")
    assert not re.search(r"[\\{}]|math", text)


def test_a_card_loads_figures_then_and_torch_never(tmp_path: Path) -> None:
    save(tmp_path / "tet.h5", planted_surface())
    code = (
        "import sys; from tetviz.results import load; result = load('tet.h5'); assert 'matplotlib' not in sys.modules;"
        "text = result._repr_html_(); assert 'torch' not in sys.modules; print(len(text))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == len(load(tmp_path / "tet.h5")._repr_html_())
