"""The documents say what is there: commands, options, links, code."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from cli_runs import command_named

import tetviz
from tetviz.analysis import compute_scaling
from tetviz.cli import main
from tetviz.landscape import compute_surface, random_plane
from tetviz.models import ModelSpec, build
from tetviz.results import Provenance, save
from tetviz.training import Checkpoint, load_data

ROOT = Path(tetviz.__file__).resolve().parent
MANUAL = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("README.md"), *ROOT.glob("docs/**/*.md")])
DOCUMENTS = [*MANUAL, *(name for name in ("CHANGELOG.md", "CONTRIBUTING.md") if (ROOT / name).exists())]

FENCE = re.compile(r"^( *)(`{3,}|~{3,})[ \t]*([^\n`]*)\n(.*?)^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:\$ )?(?:[A-Z_]+=\S+ +)*(?:\S*/)?tetviz(?= |$)")
LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)|(?:src|href)=\"([^\"]+)\"")
MACHINE = "data|home|mnt|opt|private|root|scratch|srv|tmp|usr|Users|var|work"
ABSOLUTE = re.compile(rf"(?<![\w.:/~-])/(?:{MACHINE})/|\b[A-Z]:\\")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> Iterator[tuple[int, str, str]]:
    """Fenced blocks: line of the first line inside, language, content."""
    text = text_of(name)
    for match in FENCE.finditer(text):
        indent, language = match[1], match[3].strip()
        content = "".join(line.removeprefix(indent) for line in match[4].splitlines(keepends=True))
        yield text.count("\n", 0, match.start(4)) + 1, language, content


def prose(name: str) -> str:
    """The document without its fenced blocks, lines kept."""
    return FENCE.sub(lambda match: "\n" * match[0].count("\n"), text_of(name))


def shell_lines(content: str) -> Iterator[str]:
    """Commands of a block; what stands behind two spaces is a remark, as in the help texts."""
    for line in re.sub(r"\\\n\s*", "", content).splitlines():
        yield re.split(r"\s{2,}", line.strip(), maxsplit=1)[0]


def commands(line: str) -> Iterator[list[str]]:
    """The arguments of every call of tetviz in a line of shell."""
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word and not set(word) <= set("&|;<>"):
            words.append(word)
            continue
        call = re.match(COMMAND, " ".join(words))
        if call:
            yield words[len(call[0].split()) :]
        words = []


def known_options(command: click.Command) -> set[str]:
    context = click.Context(command, **command.context_settings)
    names = {name for param in command.get_params(context) for name in (*param.opts, *param.secondary_opts)}
    return names | {*main.context_settings["help_option_names"], *getattr(command, "renamed", ())}


def check_names(arguments: list[str]) -> None:
    """For a call that is only hinted at: its command and its options exist."""
    command: click.Command = main
    if arguments and not arguments[0].startswith("-"):
        command = command_named(arguments[0])
    for word in arguments:
        if re.match(r"--?[a-z]", word):
            assert word.split("=")[0] in known_options(command), f"{command.name} has no option {word}"


def check_call(arguments: list[str]) -> None:
    """For a call that can be typed as it stands: it parses. Nothing is run."""
    if not arguments or arguments[0].startswith("-") or {"--help", "-h", "...", "…"} & set(arguments):
        check_names([word for word in arguments if word not in ("...", "…")])
        return
    check_names(arguments[:1])
    parent = click.Context(main, info_name="tetviz", **main.context_settings)
    command = command_named(arguments[0])
    command.make_context(arguments[0], arguments[1:], parent=parent)


def every_command() -> dict[str, click.Command]:
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def check_lines(where: str, content: str) -> None:
    for line in shell_lines(content):
        if not re.search(rf"(?:^|[;&|] *){COMMAND.pattern}", line):
            continue
        for arguments in commands(line):
            try:
                check_call(arguments)
            except (click.ClickException, AssertionError) as error:
                pytest.fail(f"{where}: {line!r}: {error}")


@pytest.mark.parametrize("name", MANUAL)
def test_command_lines_parse(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for start, language, content in blocks(name):
        if language == "toml":
            for file in re.findall(r"--config (\S+\.toml)", text_of(name)):
                Path(file).write_text(content, encoding="utf-8")
        if language.startswith(("python", "py")):
            continue
        check_lines(f"{name}, block at line {start}", content)


@pytest.mark.parametrize("command", [main, *every_command().values()], ids=["tetviz", *every_command()])
def test_examples_of_help_texts_parse(command: click.Command) -> None:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            check_lines(f"{command.name} --help", paragraph.removeprefix("\b"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_in_the_text_exist(name: str) -> None:
    for match in re.finditer(r"`([^`\n]+)`", prose(name)):
        for arguments in commands(match[1].replace("'", "")) if re.match(COMMAND, match[1]) else ():
            hint = [word for word in arguments if word not in ("...", "…")]
            if hint[:1] and hint[0].isupper():  # tetviz COMMAND --help
                continue
            try:
                check_names(hint)
            except AssertionError as error:
                pytest.fail(f"{name}: {match[0]}: {error}")


def anchors(name: str) -> set[str]:
    if name == "docs/cli.md":  # written by mkdocs-click
        return {"tetviz", *(f"tetviz-{command}" for command in every_command())}
    headings = re.findall(r"^#+ +(.+?) *$", prose(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for match in LINK.finditer(prose(name)):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / name).parent / path if path else ROOT / name
        assert found.exists(), f"{name}: {target} does not exist"
        assert ROOT in found.resolve().parents, f"{name}: {target} is outside the repository"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(str(found.resolve().relative_to(ROOT))), f"{name}: no heading for {target}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_path_of_a_machine(name: str) -> None:
    for number, line in enumerate(text_of(name).splitlines(), 1):
        assert not ABSOLUTE.search(line), f"{name}:{number}: {line}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny sdt.pt, tet.pt and their results, in the names that the documents use."""
    folder = tmp_path_factory.mktemp("documents")
    digits = load_data("digits", split="test")
    indices = np.arange(8)
    for seed, label in enumerate(("sdt", "tet")):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            spec = ModelSpec("snn5", 10, digits.in_channels, digits.image_size, 0.05)
            state = build(spec).state_dict()
        checkpoint = Checkpoint(spec, state, 2, data=digits.spec.to_dict())
        checkpoint.save(folder / f"{label}.pt")
        model, origin = checkpoint.model(), Provenance(label=label)
        plane = random_plane(model, 0)
        surface = compute_surface(model, digits, plane, 3, 2, indices=indices, loss=label, provenance=origin)
        save(folder / f"{label}.landscape.h5", surface)
        save(folder / f"{label}.scale.h5", compute_scaling(model, digits, 5, indices=indices, provenance=origin))
    return folder


@pytest.mark.parametrize("name", MANUAL)
def test_python_runs_as_written(name: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """```python is run, the blocks of a document one after the other; what cannot be run is marked ```py."""
    monkeypatch.chdir(files)
    names: dict[str, Any] = {"__name__": "__main__"}
    for start, language, content in blocks(name):
        if language in ("python", "py"):
            code = compile("\n" * (start - 1) + content, str(ROOT / name), "exec")
            if language == "python":
                exec(code, names)
