"""The report in a real browser: what moves, what is read off, what fits, and that nothing is fetched.

Takes Chromium: $CHROMIUM, or chromium on the path. Without it, or without playwright, the tests are skipped.
"""

import dataclasses
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted_isometry import planted_isometry
from planted_results import (
    planted_counts,
    planted_curve,
    planted_history,
    planted_sharpness,
    planted_surface,
)

from tetviz.commands.report_server import ReportServer, Watched
from tetviz.figures.report.colours import ON_DARK
from tetviz.figures.report.page import read_sources, render_report
from tetviz.results import Surface, load, open_result, save

SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader"
)
MAPS_DRAWN = "document.querySelectorAll('.map .contourlayer').length > 0"
ALL_DRAWN = (
    "[...document.querySelectorAll('.plot')].filter(each => !each.closest('details:not([open])'))"
    ".every(each => each.querySelector('.main-svg .legend'))"
)
NAMES = ("VGGSNN SDT", "VGGSNN TET", "<script>alert(1)</script>")


def chromium() -> str:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(found).is_file():
        pytest.skip("no Chromium: install it, or name one in $CHROMIUM")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=SWITCHES.split())
        yield started
        started.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three surfaces, one half-written and one with points that are not finite, and results of other kinds."""
    folder = tmp_path_factory.mktemp("results")
    first, second, third = (
        planted_surface(label=name, low=low, size=11) for name, low in zip(NAMES, (0.09, 0.05, 0.2), strict=True)
    )
    holed = second.sdt_loss.copy()
    holed[0, 2, 3, 3], holed[0, 2, 4, 3] = np.inf, np.nan
    done = np.zeros((1, 11, 11))
    done[0, ::2, ::2] = 1
    save(folder / "a.h5", first)
    save(folder / "b.h5", dataclasses.replace(second, sdt_loss=holed))
    save(folder / "c.h5", dataclasses.replace(third, done=done))
    others = (
        planted_curve(tmax=16),
        planted_sharpness(),
        planted_counts(),
        planted_history(),
        planted_isometry(),
    )
    for result in others:
        save(folder / f"{result.kind}.h5", result)
    return folder


@pytest.fixture(scope="module")
def report(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(read_sources(sorted(results.glob("*.h5")))), encoding="utf-8")
    return path


class Opened:
    """Pages of one browser, with what they said on the console and asked for."""

    def __init__(self, browser: Any) -> None:
        self.browser, self.said, self.requests, self.pages = browser, [], [], []

    def open(self, url: str, width: int = 1280, scheme: str = "light", until: str = MAPS_DRAWN) -> Any:
        page = self.browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(60_000)
        page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)
        wait_until(page, until)
        self.pages.append(page)
        return page

    def assert_quiet(self, url: str) -> None:
        assert self.said == []
        assert [each for each in self.requests if not each.startswith(("data:", "blob:", url))] == []


@pytest.fixture(scope="module")
def shared(browser: Any, report: Path) -> Iterator[Opened]:
    opened = Opened(browser)
    opened.open(report.as_uri())
    yield opened
    opened.pages[0].close()


@pytest.fixture
def page(shared: Opened, report: Path) -> Iterator[Any]:
    """The report at 1280 px, its controls as at first; nothing may be said on the console or fetched."""
    page = shared.pages[0]
    page.mouse.move(1, 1)  # a map that is drawn anew under the mouse is pointed at
    page.evaluate("document.querySelectorAll('form').forEach(f => { f.reset(); f.dispatchEvent(new Event('input')); })")
    yield page
    shared.assert_quiet(report.as_uri())


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    found = Opened(browser)
    yield found
    for page in found.pages:
        page.close()


def heights(page: Any, panel: int = 0) -> np.ndarray:
    rows = page.evaluate(f"document.querySelectorAll('.relief')[{panel}].data[0].z")
    return np.array(rows, dtype=float)


def shows_heights(page: Any, values: np.ndarray, panel: int = 0) -> None:
    np.testing.assert_allclose(heights(page, panel), values, rtol=1e-6)


def expected(results: Path, name: str, loss: str, timestep: int) -> np.ndarray:
    surface = load(results / name, Surface)
    values = getattr(surface, f"{loss}_loss")[0, :, :, timestep - 1]
    return np.where((surface.done[0] == 1) & np.isfinite(values), values, np.nan)


def slide(page: Any, selector: str, value: int) -> None:
    page.locator(selector).first.evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def eventually(page: Any, check: Callable[[], object]) -> None:
    """Holds a page to something that it may do a moment later."""
    for _ in range(200):
        try:
            check()
            return
        except AssertionError:
            page.wait_for_timeout(100)
    check()


def wait_until(page: Any, expression: str) -> None:
    # page.wait_for_function() asks again from inside the page, which does not let texts be run.
    def check() -> None:
        assert page.evaluate(expression), expression

    eventually(page, check)


def told(page: Any, selector: str, *words: str, nth: int = 0) -> None:
    def check() -> None:
        text = page.locator(selector).nth(nth).inner_text()
        assert all(word in text for word in words), text

    eventually(page, check)


def test_the_slider_and_the_switch_change_the_surface(page: Any, results: Path) -> None:
    for loss, timestep in (("tet", 4), ("tet", 1), ("sdt", 1), ("sdt", 3)):
        slide(page, ".surfaces input[name=timestep]", timestep - 1)
        page.locator(f".surfaces input[value={loss}]").first.check(force=True)
        for panel, name in enumerate(("a.h5", "b.h5", "c.h5")):
            values = expected(results, name, loss, timestep)
            eventually(page, partial(shows_heights, page, values, panel))
    told(page, ".surfaces .slider .value", "T = 3")
    axis = page.evaluate("document.querySelector('.relief').layout.scene.zaxis.title.text")
    assert axis == "L_SDT (nat)"


def test_compared_surfaces_share_heights_colours_and_axes_until_told_otherwise(page: Any) -> None:
    limits = (
        "[...document.querySelectorAll('.relief')].map(p => JSON.stringify([p.layout.scene.zaxis.range, "
        "p.layout.scene.xaxis.range, p.data[0].cmin, p.data[0].cmax]))"
    )

    def scales(number: int) -> None:
        assert len(set(page.evaluate(limits))) == number
        keys = [page.locator(f".key.{kind} .bands").count() for kind in ("shared", "own")]
        assert keys == ([1, 0] if number == 1 else [0, number])

    eventually(page, partial(scales, 1))
    told(page, ".statement", "shared by 3 networks, both losses and every T")
    page.select_option(".surfaces select[name=scale]", "own")
    eventually(page, partial(scales, 3))
    told(page, ".statement", "cannot be compared")


def test_holes_are_seen_and_said(page: Any, results: Path) -> None:
    page.locator(".surfaces input[value=sdt]").check(force=True)
    told(page, ".panel .missing", "2 measured points are not finite", nth=1)
    told(page, ".panel .missing", "36 of 121 points are measured", nth=2)
    assert page.locator(".panel .missing").first.inner_text() == ""

    def holes() -> None:
        assert np.isnan(heights(page, 1)).sum() == 2 and np.isnan(heights(page, 2)).sum() == 121 - 36
        crosses = page.evaluate("document.querySelectorAll('.map')[1].data[3].x.length")
        rings = page.evaluate("document.querySelectorAll('.map')[2].data[2].x.length")
        assert (crosses, rings) == (2, 121 - 36)

    eventually(page, holes)
    said = page.locator(".warnings").inner_text()
    assert "half-written: 36 of 121" in said and "not finite at 2 measured points" in said


def test_pointing_at_a_map_shows_values_and_moves_the_mark_everywhere(page: Any, results: Path) -> None:
    plot = page.locator(".map .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    # The point in row 7, column 8 of 11.
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.3, steps=4)
    page.wait_for_selector(".map .hoverlayer .hovertext")
    surface = load(results / "a.h5", Surface)
    loss, accuracy = surface.tet_loss[0, 7, 8, 3], surface.accuracy[0, 7, 8, 3]
    text = page.locator(".map .hoverlayer .hovertext").first.text_content()
    assert f"{loss:.4g}" in text and f"{100 * accuracy:.2f} %" in text and "x = 0.6" in text and "y = 0.4" in text
    marks = "[...document.querySelectorAll('.relief')].map(p => [p.data[2].x[0], p.data[2].y[0], p.data[2].z[0]])"
    wait_until(page, f"{marks}.every(m => m[0] === 0.6)")
    x, y, z = page.evaluate(marks)[0]
    assert (x, y) == pytest.approx((0.6, 0.4)) and z == pytest.approx(loss, rel=1e-6)
    third = load(results / "c.h5", Surface)
    value = f"{third.tet_loss[0, 7, 8, 3]:.4g}" if third.done[0, 7, 8] else "not measured yet"
    told(page, ".panel .readout", value, nth=2)


def differs(page: Any, before: np.ndarray) -> None:
    assert not np.allclose(heights(page), before)


def test_all_can_be_done_by_keyboard(page: Any, results: Path) -> None:
    assert page.evaluate("document.querySelector('a, button, input, select, summary, [tabindex]').className") == "skip"
    page.locator(".skip").focus()
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "[document.activeElement.tagName, document.activeElement.name || '', document.activeElement.id]"
        )
        seen.append(here[1] or here[2])
        outlined = page.evaluate(
            """() => [document.activeElement, document.activeElement.nextElementSibling]
              .some(e => e && getComputedStyle(e).outlineStyle !== 'none')"""
        )
        assert outlined, f"no focus to be seen on {here}"
        if here[1].endswith("-loss") or here[1] == "timestep":
            before = heights(page)
            page.keyboard.press("ArrowLeft")
            eventually(page, partial(differs, page, before))
        if here[1] == "y":
            page.keyboard.press("ArrowUp")
            told(page, ".panel .readout", "0, 0.2")
            break
    assert {"theme", "timestep", "scale", "x", "y"} <= set(seen)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select, button, summary, [role=img], [role=region]')].filter(e => "
        "!(e.labels && e.labels.length) && !e.getAttribute('aria-label') && !e.textContent.trim()).length"
    )
    assert unnamed == 0
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1


def assert_fits(page: Any, width: int) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    wait_until(page, ALL_DRAWN)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.evaluate(
        """() => [...document.querySelectorAll(
            'header, nav, section, h2, h3, h4, figure, .controls, .relief, .map, .readout, .key, summary, p, dl')]
          .map(e => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width && b.height)
          .map(([e, b]) => ({ what: e.tagName + '.' + e.className, left: b.left, right: b.right }))"""
    )
    assert len(boxes) > 100
    for box in boxes:
        assert box["left"] >= -0.5 and box["right"] <= width + 0.5, box
    # Blocks that follow each other must not cover each other.
    covered = """() => [...document.querySelectorAll(
            'main, section, .blocks, .panel, .panels, .pair, .surfaces, figure')]
          .flatMap(parent => {
            const boxes = [...parent.children].map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()]);
            const of = boxes.filter(([, b]) => b.width * b.height);
            const both = (a, b, from, to) => Math.min(a[to], b[to]) - Math.max(a[from], b[from]) > 1;
            return of.flatMap(([e, a], i) => of.slice(i + 1)
              .filter(([, b]) => both(a, b, 'left', 'right') && both(a, b, 'top', 'bottom'))
              .map(([f]) => `${e} and ${f}`));
          })"""

    def apart() -> None:
        assert page.evaluate(covered) == []

    eventually(page, apart)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = false; })")


def test_all_fits_a_wide_page(page: Any, tmp_path: Path) -> None:
    assert_fits(page, 1280)
    page.screenshot(path=str(tmp_path / "wide.png"))


def test_all_fits_a_narrow_page_whose_colours_follow_the_system_and_the_button(
    opened: Opened, report: Path, tmp_path: Path
) -> None:
    page = opened.open(report.as_uri(), 390, "dark")
    assert_fits(page, 390)
    page.screenshot(path=str(tmp_path / "narrow.png"))
    back, ink = "getComputedStyle(document.body).backgroundColor", "document.querySelector('.plot').layout.font.color"
    dark, dark_ink = page.evaluate(back), page.evaluate(ink)
    assert sum(map(int, dark.strip("rgb()").split(","))) < 3 * 64
    page.click("#theme")

    def light() -> None:
        assert page.evaluate(back) != dark and page.evaluate(ink) != dark_ink
        assert page.locator("#theme").get_attribute("aria-pressed") == "false"

    eventually(page, light)
    opened.assert_quiet(report.as_uri())


PRINTED = """() => ({
  theme: document.documentElement.dataset.theme || '',
  printing: document.documentElement.classList.contains('printing'),
  closed: document.querySelectorAll('details:not([open])').length,
  ink: document.querySelector('.plot').layout.font.color,
  widths: [...document.querySelectorAll('.map')].map(each => Math.round(each.getBoundingClientRect().width)),
  reliefs: [...document.querySelectorAll('.relief')].filter(each => each.checkVisibility()).length,
})"""


def test_a_dark_page_is_printed_light_unfolded_and_as_wide_as_the_paper(opened: Opened, report: Path) -> None:
    page = opened.open(report.as_uri(), 1280, "dark")
    before = page.evaluate(PRINTED)
    assert (before["theme"], before["printing"], before["reliefs"]) == ("", False, 3) and before["closed"] > 5
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    def printed() -> None:
        now = page.evaluate(PRINTED)
        assert (now["theme"], now["printing"], now["reliefs"], now["closed"]) == ("light", True, 0, 0)
        assert now["ink"] != before["ink"] and max(now["widths"]) <= 680

    eventually(page, printed)
    wait_until(page, ALL_DRAWN)
    page.emulate_media(media="print")
    shown = "[...document.querySelectorAll('{}')].filter(each => each.checkVisibility()).length"
    assert [page.evaluate(shown.format(each)) for each in (".controls, #theme, nav", ".shown")] == [0, 1]
    told(page, ".shown", "LTET at T = 4")
    # Nothing is cut: on paper nobody scrolls.
    edges = (
        "[...document.querySelectorAll('table, .drawing svg, .plot .main-svg, .map .main-svg')]"
        ".map(each => each.getBoundingClientRect().right)"
    )

    def uncut() -> None:
        found = page.evaluate(edges)
        assert len(found) > 20 and max(found) <= 680.5

    eventually(page, uncut)
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")

    def restored() -> None:
        assert page.evaluate(PRINTED) == before

    eventually(page, restored)
    paper = page.pdf(format="A4", print_background=True)
    assert paper.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", paper)) > 5
    eventually(page, restored)
    opened.assert_quiet(report.as_uri())


def test_colours_of_networks_are_seen_on_a_dark_page(opened: Opened, tmp_path: Path) -> None:
    # The seventh that is neither SDT nor TET is indigo.
    for index in range(7):
        save(tmp_path / f"{index}.h5", planted_curve(tmax=4, label=f"network {index}"))
    path = tmp_path / "report.html"
    path.write_text(render_report(read_sources(sorted(tmp_path.glob("*.h5")))), encoding="utf-8")
    page = opened.open(path.as_uri(), 1280, "dark", until=ALL_DRAWN)
    colours = "document.querySelector('.plot').data.map(trace => (trace.line || {}).color || '')"
    dark = page.evaluate(colours)
    assert "#332288" not in dark and ON_DARK["#332288"] in dark
    page.click("#theme")

    def printable() -> None:
        assert "#332288" in page.evaluate(colours) and ON_DARK["#332288"] not in page.evaluate(colours)

    eventually(page, printable)
    # The legend of many networks takes none of the room of the curves.
    sizes = (
        "[...document.querySelectorAll('.plot')].filter(each => each._fullLayout).map(each => each._fullLayout._size.h)"
    )

    def roomy() -> None:
        assert min(page.evaluate(sizes)) > 200

    eventually(page, roomy)
    opened.assert_quiet(path.as_uri())


def test_a_network_without_the_chosen_t_leaves_the_rest_of_the_page_whole(opened: Opened, tmp_path: Path) -> None:
    for name, timesteps in (("long", 4), ("short", 2)):
        save(tmp_path / f"{name}.h5", planted_surface(label=name, timesteps=timesteps, t_train=timesteps))
    save(tmp_path / "curve.h5", planted_curve(tmax=16))
    path = tmp_path / "report.html"
    path.write_text(render_report(read_sources(sorted(tmp_path.glob("*.h5")))), encoding="utf-8")
    page = opened.open(path.as_uri(), until=ALL_DRAWN)
    raised = "[...document.querySelectorAll('.relief')].map(each => Boolean(each.querySelector('canvas')))"

    def drawn(*reliefs: bool) -> None:
        assert page.evaluate(raised) == list(reliefs)

    eventually(page, partial(drawn, True, False))
    told(page, ".panel .missing", "T = 4 was not measured", nth=1)
    slide(page, ".surfaces input[name=timestep]", 1)
    eventually(page, partial(drawn, True, True))
    slide(page, ".surfaces input[name=timestep]", 3)
    eventually(page, partial(drawn, True, False))
    opened.assert_quiet(path.as_uri())


def test_a_page_of_many_results_is_folded_and_draws_what_is_opened(opened: Opened, tmp_path: Path) -> None:
    for index in range(20):
        label = f"network {index}"
        save(tmp_path / f"{index}.surface.h5", planted_surface(label=label, size=7, timesteps=2))
        save(tmp_path / f"{index}.scale.h5", planted_curve(label=label, tmax=4, sample=np.arange(50)))
        save(tmp_path / f"{index}.isometry.h5", planted_isometry(label=label))
    path = tmp_path / "report.html"
    path.write_text(render_report(read_sources(sorted(tmp_path.glob("*.h5")))), encoding="utf-8")
    page = opened.open(path.as_uri(), until="document.querySelectorAll('.whole').length === 3")
    drawn = (
        "[...document.querySelectorAll('.plot, .map')].filter(each => each.querySelector('.main-svg'))"
        ".map(each => each.closest('main > section').querySelector('h2').textContent)"
    )
    assert page.evaluate(drawn) == []
    page.screenshot(path=str(tmp_path / "folded.png"))
    contents = page.locator("nav").inner_text()
    assert "network 0, network 1, network 10, network 11 and 16 more" in contents and "network 12" not in contents
    page.locator("nav a", has_text="Fewer and more timesteps").click()
    wait_until(page, ALL_DRAWN)
    assert set(page.evaluate(drawn)) == {"Fewer and more timesteps"}
    page.screenshot(path=str(tmp_path / "opened.png"))
    # Of 20 surfaces those in sight are drawn, and any other when it is scrolled to; on paper all of them.
    page.locator(".whole > summary", has_text="The loss around the network").click()
    wait_until(page, MAPS_DRAWN)
    maps = "[...document.querySelectorAll('.map')].map(each => Boolean(each.querySelector('.contourlayer')))"
    shown = page.evaluate(maps)
    assert len(shown) == 20 and shown[0] and not shown[-1]
    page.locator(".map").last.scroll_into_view_if_needed()
    wait_until(page, f"{maps}.at(-1)")
    page.screenshot(path=str(tmp_path / "last.png"))
    assert not all(page.evaluate(maps))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    wait_until(page, f"{maps}.every(Boolean)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('.whole[open]').length") == 2
    opened.assert_quiet(path.as_uri())


def test_kinds_are_shown_and_names_are_only_text(page: Any) -> None:
    titles = [each.inner_text() for each in page.locator("main > section > h2").all()]
    assert len(titles) == 7 and len(set(titles)) == 7  # warnings first
    assert (page.locator(".plot").count(), page.locator(".drawing svg").count()) == (15, 0)
    assert page.locator(".panel h4").nth(2).inner_text() == NAMES[2]
    assert page.evaluate("document.querySelectorAll('script').length") == 2 + page.evaluate(
        "document.querySelectorAll('script[type=\"application/json\"]').length"
    )


def test_a_watched_page_grows_with_its_results(opened: Opened, tmp_path: Path) -> None:
    done = np.zeros((1, 9, 9))
    done[0, 4, 4] = 1
    path = save(tmp_path / "run.h5", dataclasses.replace(planted_surface(size=9), done=done))
    server = ReportServer(Watched(tmp_path, "A run"), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        page = opened.open(server.address)
        told(page, ".panel .missing", "1 of 81 points")
        slide(page, ".surfaces input[name=timestep]", 1)
        page.locator(".origins summary").click()
        with open_result(path) as growing:
            growing.done[0, :5] = 1
        told(page, ".panel .missing", "45 of 81")
        told(page, ".surfaces .slider .value", "T = 2")
        assert page.locator(".origins").first.get_attribute("open") is not None
        values = np.where(load(path, Surface).done[0], load(path, Surface).tet_loss[0, :, :, 1], np.nan)
        eventually(page, partial(shows_heights, page, values))
        opened.assert_quiet(server.address)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_data_of_the_page_are_the_data_of_the_files(report: Path, results: Path) -> None:
    text = report.read_text(encoding="utf-8")
    start = text.index('class="data">', text.index('class="surfaces"')) + len('class="data">')
    data = json.loads(text[start : text.index("</script>", start)])
    assert data["timesteps"] == [1, 2, 3, 4] and data["losses"] == ["sdt", "tet"]
    assert [panel["measured"] for panel in data["panels"]] == [[121], [121], [36]]
