"""Help and completion answer at once: they name everything and load nothing heavy."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_runs import command_named, tetviz
from click.shell_completion import ShellComplete

from tetviz.cli import main
from tetviz.commands import COMMANDS, choices
from tetviz.summaries import COSTS

HEAVY = ("torch", "torchvision", "numpy", "scipy", "pandas", "h5py", "matplotlib", "plotly", "rich", "sklearn")
# What runs before tetviz in a process of its own: at its end it prints which of the heavy libraries it has loaded.
WATCH = (
    "import atexit, sys; atexit.register(lambda: print('LOADED', *[n for n in sys.argv.pop().split(',') if n in "
    "sys.modules], file=sys.stderr)); from tetviz.cli import main; main(sys.argv[1:-1], prog_name='tetviz')"
)


def loaded_by(*args: str, **environment: str) -> tuple[str, list[str]]:
    """What a command prints in a process of its own, and which heavy libraries that loads."""
    run = subprocess.run(
        [sys.executable, "-c", WATCH, *args, ",".join(HEAVY)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    (last,) = [line for line in run.stderr.splitlines() if line.startswith("LOADED")]
    return run.stdout, last.split()[1:]


def completed(*words: str) -> list[str]:
    """What a shell offers for the last word."""
    *before, incomplete = words
    found = ShellComplete(main, {}, "tetviz", "_TETVIZ_COMPLETE").get_completions(before, incomplete)
    return [item.value for item in found]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_loads_nothing_heavy(name: str) -> None:
    text, loaded = loaded_by(*([name] if name else []), "--help")
    assert text.startswith(f"Usage: tetviz {name}".rstrip()) and not loaded


@pytest.mark.parametrize(
    "words",
    [
        "tetviz ",
        "tetviz tr",
        "tetviz train --data ",
        "tetviz landscape tet.pt --",
        "tetviz train --stage 2:3 --model m",
    ],
)
def test_completion_loads_nothing_heavy(words: str) -> None:
    environment = {"_TETVIZ_COMPLETE": "bash_complete", "COMP_WORDS": words}
    text, loaded = loaded_by(**environment, COMP_CWORD=str(len(words.split(" ")) - 1))
    assert "plain," in text and not loaded


def test_every_command_is_listed_in_full() -> None:
    text = tetviz("--help").stdout
    for name, (_, about) in COMMANDS.items():
        assert f"  {name} " in text and about in text
    assert completed("") == list(COMMANDS)
    assert completed("tr") == ["train", "trajectory", "training-energy"]
    assert completed("--v") == ["--version"]


def test_a_command_that_is_misspelt_is_guessed() -> None:
    assert "unknown command 'landscpe'; did you mean 'landscape'?" in tetviz("landscpe", "tet.pt", code=2).stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_name_that_it_is_listed_under(name: str) -> None:
    assert command_named(name).name == name


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("train", "--data", ""), choices.DATASETS),
        (("landscape", "tet.pt", "--data", "cifar10"), ("cifar10", "cifar100", "cifar10-dvs")),
        (("train", "--model", ""), choices.MODELS),
        (("import", "w.pth", "--model", "resnet"), ("resnet19",)),
        (("plot", "a.h5", "--figure", ""), choices.FIGURES),
        (("plot", "a.h5", "--figure", "table"), ("table1", "table2", "table3", "table4")),
        (("energy", "tet.pt", "--cost", ""), choices.COSTS),
        (("plot", "a.h5", "--cost", "45nm-int8"), ("45nm-int8", "45nm-int8-acc32")),
        (("training-energy", "tet.pt", "--cost", ""), choices.COSTS),
        (("line", "tet.pt", "--bn", ""), choices.BN_POLICIES),
        (("export", "a.h5", "--to", ""), (*choices.EXPORTS, *choices.NETWORK_EXPORTS)),
    ],
)
def test_values_complete(words: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert completed(*words) == list(names)


def test_a_cost_model_may_be_a_file() -> None:
    param = next(each for each in command_named("energy").params if each.name == "cost")
    (item,) = param.shell_complete(click.Context(main), "my-mod")
    assert item.type == "file" and set(choices.COSTS) == set(COSTS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documents_tell_how_completion_is_switched_on(shell: str) -> None:
    documents = Path(__file__).parents[2] / "docs"
    told = "".join(path.read_text(encoding="utf-8") for path in documents.rglob("*.md"))
    assert f"_TETVIZ_COMPLETE={shell}_source tetviz" in told
