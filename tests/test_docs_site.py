"""The documentation site: it builds without a warning, fetches nothing, and every link in it leads somewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

import tetviz
from tetviz.cli import main

ROOT = Path(tetviz.__file__).resolve().parent
LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
    "embed": "src",
}
# rel of <link> that a browser follows by itself
FOLLOWED = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch", "manifest"}


class Page(HTMLParser):
    """What a page loads, where its links go, what can be linked to, and the text of its paragraphs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.paragraphs: list[str] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag in LOADING and LOADING[tag] in values:
            self.loads.append(values[LOADING[tag]])
        if tag == "link" and set(values.get("rel", "").split()) & FOLLOWED:
            self.loads.append(values["href"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "p":
            self.paragraphs.append("")
        if tag in ("p", "code"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if self.inside == ["p"]:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("docs")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "site")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        # A place of its own, as another run may be building in the repository.
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "API_SOURCE": str(folder / "source")},
    )
    assert run.returncode == 0, run.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """The pages by their files."""
    return {file: Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}


def test_every_document_is_a_page(site: Path, pages: dict[Path, Page]) -> None:
    expected = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {path.relative_to(site) for path in pages} == expected | {Path("404.html")}


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for file, page in pages.items():
        assert page.loads, f"{file.name} loads not even a style sheet: is the test blind?"
        for address in page.loads:
            assert not urlsplit(address).netloc, f"{file.name} loads {address}"
    for sheet in site.rglob("*.css"):
        for address in re.findall(r"url\(['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)", sheet.read_text(encoding="utf-8")):
            assert not urlsplit("".join(address)).netloc, f"{sheet.name} loads {''.join(address)}"


def test_links_and_pictures_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    for file, page in pages.items():
        if file.name == "404.html":  # its addresses are those of a server's root
            continue
        for address in page.links + page.loads:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{file.relative_to(site)}: {address} does not exist"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{file.relative_to(site)}: {address}"


def test_no_markup_is_left_as_text(site: Path, pages: dict[Path, Page]) -> None:
    for file, page in pages.items():
        for paragraph in page.paragraphs:
            for trace in (r"^[*+-] ", r"\n[*+-] ", r"\| *:?---", "```", "--8<--", r":(class|func|mod):", r"\]\("):
                assert not re.search(trace, paragraph), f"{file.relative_to(site)}: {paragraph!r}"


def test_every_command_and_option_is_in_the_reference(pages: dict[Path, Page], site: Path) -> None:
    shown = (site / "cli.html").read_text(encoding="utf-8")
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert f"tetviz-{name}" in pages[site / "cli.html"].anchors
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in shown, f"tetviz {name} {option.opts[0]}"


def test_formulas_are_set(site: Path, pages: dict[Path, Page]) -> None:
    assert "<math" in (site / "definitions.html").read_text(encoding="utf-8")
    for file, page in pages.items():
        assert "arithmatex" not in file.read_text(encoding="utf-8"), file.name
        for paragraph in page.paragraphs:
            assert not re.search(r"\$|\\[a-zA-Z(\[]", paragraph), f"{file.relative_to(site)}: {paragraph!r}"


def test_every_public_name_is_in_the_reference(pages: dict[Path, Page], site: Path) -> None:
    anchors = pages[site / "api.html"].anchors
    for part in ("results", "summaries", "figures", "models", "training", "landscape", "analysis"):
        module = getattr(tetviz, part)
        classes_and_functions = [
            name
            for name in module.__all__
            if callable(getattr(module, name)) and getattr(module, name).__module__.startswith(f"tetviz.{part}")
        ]
        missing = [name for name in classes_and_functions if f"tetviz.{part}.{name}" not in anchors]
        assert not missing, f"tetviz.{part}: {missing}"
