"""The report: one page that holds its figures, their data and the program that draws them, and fetches nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

import tetviz
from tetviz.errors import ResultError, printable
from tetviz.figures.report.blocks import Section, Source
from tetviz.figures.report.colours import ON_DARK
from tetviz.figures.report.networks import count_networks, told_apart, whole_trainings
from tetviz.figures.report.origins import all_warnings, findings, origin
from tetviz.figures.report.sections import MANY, Memory, sections
from tetviz.results.contents import digest_of
from tetviz.results.loss_landscape import load_any

TITLE = "What was measured"
_READINGS = 5
_MOST_OPEN = 24  # results, beyond which sections are folded


def read_sources(paths: Sequence[str | Path]) -> list[Source]:
    """Reads the results of a report."""
    if not paths:
        raise ResultError("no result file for a report")
    return [read_source(path) for path in dict.fromkeys(map(Path, paths))]


def read_source(path: str | Path) -> Source:
    """Reads a result of a report."""
    for _ in range(_READINGS):  # points may be written to it meanwhile
        try:
            before = digest_of(path)
        except OSError:
            before = ""
        result = load_any(path)  # says what is wrong with a file that could not be opened, too
        try:
            if digest_of(path) == before:
                return Source(Path(path), result, before)
        except OSError as error:
            raise ResultError(f"{path}: cannot be read ({error.strerror})") from error
    raise ResultError(f"{path}: changes faster than it can be read; try again")


def render_report(
    sources: Sequence[Source],
    *,
    title: str = TITLE,
    watching: str = "",
    state: str = "",
    unread: Sequence[str] = (),
    memory: Memory | None = None,
) -> str:
    """A page about results, whole."""
    read = {source.path: source for source in whole_trainings(sources)}
    shown = sections(told_apart(list(read.values())), memory)
    warnings = all_warnings(
        [source for section in shown for source in section.sources],
        [name for each in shown for name in _marked(each)],
    )
    return _rendered(
        title,
        [_described(index, section, read) for index, section in enumerate(shown, start=1)],
        _overview(list(read.values())),
        folded=len(read) > _MOST_OPEN,
        warnings=warnings,
        unread=list(unread),
        watching=watching,
        state=state,
    )


def render_sections(shown: Sequence[Section], title: str, overview: str) -> str:
    """A page of sections that stand for no single result."""
    described = [{"id": f"s{index}", "section": each, "few": "", "origins": []} for index, each in enumerate(shown, 1)]
    return _rendered(
        title, described, overview, draws=any(block.kind == "chart" for each in shown for block in each.blocks)
    )


def _rendered(
    title: str,
    described: Sequence[Mapping[str, Any]],
    overview: str,
    *,
    draws: bool = True,
    folded: bool = False,
    warnings: Mapping[str, Sequence[str]] | None = None,
    unread: Sequence[str] = (),
    watching: str = "",
    state: str = "",
) -> str:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    asset = files("tetviz.figures.report") / "assets"
    texts = {name: (asset / name).read_text(encoding="utf-8") for name in ("report.html.j2", "report.css", "report.js")}
    scripts = {"page": _inline(texts["report.js"])}
    if draws:
        scripts = {"plotly": _inline(get_plotlyjs()), **scripts}
    return environment.from_string(texts["report.html.j2"]).render(
        title=title,
        sections=described,
        folded=folded,
        many=MANY,
        overview=overview,
        warnings=warnings or {},
        unread=unread,
        watching=watching,
        state=state,
        made=datetime.now(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + " UTC",
        version=tetviz.__version__,
        css=Markup(texts["report.css"]),
        on_dark=ON_DARK,
        scripts={name: Markup(text) for name, text in scripts.items()},
        hashes=" ".join(f"'sha256-{_digest(text)}'" for text in scripts.values()),
    )


def _plain(value: Any) -> Any:
    # Text of files; what the page is made of is Markup.
    return printable(value) if type(value) is str else value


def _described(index: int, section: Section, read: Mapping[Path, Source]) -> dict[str, Any]:
    # The provenance as the file has it: a name that tells networks apart is the page's alone.
    return {
        "id": f"s{index}",
        "section": section,
        "few": _few(section.names),
        "origins": [
            {"name": name, "rows": origin(read[source.path]), "findings": findings(source)}
            for name, source in zip(section.names, section.sources, strict=True)
        ],
    }


def _few(names: Sequence[str]) -> str:
    more = len(names) - MANY
    return ", ".join(names[:MANY]) + (f" and {more} more" if more > 0 else "")


def _overview(sources: Sequence[Source]) -> str:
    files, networks = len(sources), count_networks(sources)
    return f"{files} result file{'s' * (files != 1)} of {networks} network{'s' * (networks != 1)}"


def _marked(section: Section) -> list[str]:
    return [f"{name}, {source.result.kind}" for name, source in zip(section.names, section.sources, strict=True)]


def _inline(script: str) -> str:
    # What would end the element that holds it; JavaScript reads both spellings alike in strings.
    return script.replace("</script", r"<\/script").replace("<!--", r"\x3C!--")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
