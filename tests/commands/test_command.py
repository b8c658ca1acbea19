"""Options from a TOML file, and old spellings of options."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from cli_runs import command_named, refused, tetviz

from tetviz.models import ModelSpec, build
from tetviz.results import Surface, load
from tetviz.training import Checkpoint, load_data

DOCUMENT = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"


def parsed(name: str, *words: Any) -> dict[str, Any]:
    """The values that a command is called with."""
    with command_named(name).make_context(name, [str(word) for word in words]) as context:
        return context.params


@pytest.fixture
def config(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "paper.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_file_gives_options_and_the_command_line_wins(config: Any) -> None:
    file = config(
        '[landscape]\ngrid = 51\nbn = "recalibrate"\northogonal = true\nrange = "-2:2"\nbatch_size = 8\n'
        "[scale]\ntmax = 9\n"
    )
    found = parsed("landscape", "tet.pt", "--config", file, "--grid", 9)
    assert (found["grid"], found["bn"], found["orthogonal"], found["span"]) == (9, "recalibrate", True, (-2.0, 2.0))
    assert found["batch_size"] == 8 and "config" not in found
    assert parsed("landscape", "--config", file, "tet.pt")["grid"] == 51
    assert parsed("scale", "tet.pt", "--config", file)["tmax"] == 9
    assert parsed("energy", "tet.pt", "--config", file)["tmax"] is None


def test_values_are_read_as_on_the_command_line(config: Any) -> None:
    file = config('[train]\noutput = "a.pt"\ndata = "digits"\naugment = ["flip", "crop"]\nlr = 1e-2\nstage = "2:3"\n')
    found = parsed("train", "--config", file)
    assert found["augment"] == ("flip", "crop") and found["lr"] == 0.01 and found["output"] == Path("a.pt")
    assert [stage.timesteps for stage in found["stages"]] == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[landscape]\ngird = 5\n", ("[landscape] unknown option 'gird'", "did you mean 'grid'?")),
        ("[landscap]\ngrid = 5\n", ("unknown command 'landscap'", "did you mean 'landscape'?")),
        ("grid = 5\n", ("grid stands in no table",)),
        ("[landscape]\ngrid = 2\n", ("--grid", "2 is not in the range")),
        ('[landscape]\ngrid = "many"\n', ("--grid", "'many'")),
        ("[landscape]\ngrid = [3, 5]\n", ("grid = [3, 5]: expected one value",)),
        ('[landscape]\nforce = "yes"\n', ("force = 'yes': expected true or false",)),
        ("[landscape]\ngrid = true\n", ("grid = True: expected one value",)),
        ('[landscape]\nbn = "frosen"\n', ("--bn", "did you mean 'frozen'?")),
        ("[landscape]\nconfig = 'a.toml'\n", ("unknown option 'config'",)),
        ("[landscape\n", ("paper.toml: cannot be read",)),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text: str, words: tuple[str, ...], config: Any) -> None:
    result = tetviz("landscape", "tet.pt", "--config", config(text), code=2)
    assert all(word in result.stderr for word in words), result.stderr


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "none.toml: cannot be read" in tetviz("scale", "a.pt", "--config", tmp_path / "none.toml", code=2).stderr


@pytest.mark.parametrize(
    ("name", "words", "parameter", "value", "told"),
    [
        ("energy", ("--bn", "charge"), "norm", "charge", "--bn is called --norm-cost"),
        ("energy", ("--bn=charge",), "norm", "charge", "--bn is called --norm-cost"),
        ("landscape", ("--norm", "layer"), "norm", "layer", "--norm is called --direction-norm"),
        ("line", ("--norm", "layer"), "norm", "layer", "--norm is called --direction-norm"),
        ("sharpness", ("--norm", "layer"), "norm", "layer", "--norm is called --direction-norm"),
    ],
)
def test_an_old_spelling_works_and_tells_the_new_one(
    name: str, words: tuple[str, ...], parameter: str, value: str, told: str, capsys: Any, config: Any
) -> None:
    assert parsed(name, "tet.pt", *words)[parameter] == value
    assert told in capsys.readouterr().err
    command = command_named(name)
    text = command.get_help(click.Context(command, info_name=name))
    assert f"  {words[0].partition('=')[0]} " not in text
    old = words[0].partition("=")[0].removeprefix("--")
    assert parsed(name, "tet.pt", "--config", config(f'[{name}]\n{old} = "{value}"\n'))[parameter] == value
    assert told in capsys.readouterr().err


def test_the_example_of_the_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    calls = [line for line in text.splitlines() if line.startswith("tetviz ") and "--config paper.toml" in line]
    monkeypatch.chdir(tmp_path)
    Path("paper.toml").write_text(example, encoding="utf-8")
    data = load_data("digits", split="test")
    for name in ("sdt", "tet"):
        spec = ModelSpec("snn5", 10, data.in_channels, data.image_size, 0.0625)
        Checkpoint(spec, build(spec).state_dict(), 4, data=data.spec.to_dict()).save(f"{name}.pt")
    assert len(calls) == 2
    for call in calls:
        tetviz(*shlex.split(call)[1:], "--samples", 8, "--allow-chance" if "landscape" in call else "--json")
    surface = load("tet.landscape.h5", Surface)
    assert len(surface.x) == 5 and surface.bn == "recalibrate"


@pytest.mark.parametrize("folder", ["d", ".", "d/", "k.pt"])
@pytest.mark.parametrize(
    "command",
    [
        *(("info",), ("scale",), ("landscape",), ("doctor",), ("history",), ("trajectory",), ("interpolate", "x.pt")),
        *(("plot", "-o", "x.png"), ("export", "--to", "csv"), ("report", "-o", "r.html"), ("compare",)),
    ],
    ids=lambda command: command[0],
)
def test_a_folder_is_no_file(
    command: tuple[str, ...], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("d", "k.pt"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    name, *more = command
    assert refused(tmp_path, name, folder, *more).startswith(f"Error: {Path(folder)}: is a folder, expected")
