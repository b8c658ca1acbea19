"""What a command says."""

import math

import click
import pytest
from cli_runs import strict_json
from wording import heard

from tetviz.commands.console import COMMAND_LINE, at_chance, command_line, duration, print_json, warn


def test_the_command_is_given_back_as_a_shell_takes_it() -> None:
    with click.Context(click.Command("scale")) as context:
        assert command_line() == "tetviz"
        context.meta[COMMAND_LINE] = ["scale", "my net.pt"]
        assert command_line() == "tetviz scale 'my net.pt'"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89.1, "90 s"),
        (90, "2 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (36000, "10.0 h"),
    ],
)
def test_a_duration_is_rounded_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("classes", [2, 10])
def test_a_network_at_the_loss_of_equal_odds_knows_nothing(classes: int) -> None:
    equal = math.log(classes)
    assert at_chance(equal - 2e-3, classes) == []
    (sentence,) = at_chance(equal, classes)
    heard(sentence, f"{equal:.4f} {classes}")


def test_warnings_go_to_stderr_and_numbers_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    warn(["one", "two"])
    print_json({1: math.nan, "b": [math.inf, (2.5, None)], "c": {"d": "é"}})
    out, err = capsys.readouterr()
    assert err == "warning: one\nwarning: two\n"
    assert strict_json(out) == {"1": None, "b": [None, [2.5, None]], "c": {"d": "é"}}
