"""Values of options: what is read, what is refused and what completes."""

import math
from collections.abc import Callable
from typing import Any

import click
import pytest
from cli_runs import command_named
from wording import refuses

from tetviz.commands import COMMANDS
from tetviz.commands.choices import COSTS, HOLD_ALL_BUT_WEIGHTS
from tetviz.commands.values import (
    COST,
    DATA,
    EPOCHS,
    POSITIVE,
    REFERENCE,
    STEPS,
    FiniteRange,
    Name,
    WholeRange,
    parse_arguments,
    parse_finite,
    parse_group,
    parse_numbers,
    parse_policy,
    parse_range,
    parse_sensor,
    parse_span,
)
from tetviz.results.plain import MOST_TIMESTEPS
from tetviz.training.schedule import MOST_EPOCHS


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_finite, "-1e-3", -0.001),
        (parse_group, "SDT=sdt*", ("SDT", "sdt*")),
        (parse_group, "sdt*", ("sdt*", "sdt*")),
        (parse_range, "-1:0.5", (-1, 0.5)),
        (parse_span, "-2:2", (-2, 2)),
        (parse_span, "auto", 10),
        (parse_span, "auto:1.5", 1.5),
        (parse_policy, "", HOLD_ALL_BUT_WEIGHTS),
        (parse_policy, "bias=random, norm=scale", HOLD_ALL_BUT_WEIGHTS | {"bias": "random", "norm": "scale"}),
        (parse_numbers, "0.1,0.01,0.1", (0.01, 0.1)),
        (parse_arguments, '{"T": 4, "name": null}', {"T": 4, "name": None}),
        (parse_sensor, "34x28", (34, 28)),
    ],
)
def test_what_is_read(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_finite, text) for text in ("nan", "-inf", "-1e300")),
        *((parse_group, text) for text in ("=a", "a=", "")),
        *((parse_range, text) for text in ("1", "a:1", "1:")),
        *((parse_span, text) for text in ("auto:1", "auto:inf", "auto:nan", "auto:x", "2")),
        *((parse_policy, text) for text in ("bias=hop", "leg=hold", "weight=hold")),
        *((parse_numbers, text) for text in ("", "0", "-1,1", "1,inf", "1e300", "nan", "a")),
        *((parse_arguments, text) for text in ("T=4", "[4]", "3")),
        *((parse_sensor, text) for text in ("34", "0x3", "3x", "-3x3", "axb")),
    ],
)
def test_what_is_refused(parse: Callable[[str], Any], text: str) -> None:
    with refuses(ValueError, "" if text in ("weight=hold", "") else text):
        parse(text)


def test_arguments_deeper_than_can_be_read_are_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="expected a JSON object") as error:
        parse_arguments("[" * 100_000)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Name(("frozen", "batch")), "frosen", "'frosen' 'frozen'"),
        (DATA, "digts", "'digts' 'digits'"),
        (DATA, "my.data", "'my.data' colon"),
        (DATA, "my:", "'my:'"),
        (REFERENCE, "build", "'build'"),
        (POSITIVE, "inf", "inf finite"),
        (POSITIVE, "nan", "nan"),
        (FiniteRange(), "-inf", "-inf finite"),
        (WholeRange(1), "0", "0 x>=1"),
        (WholeRange(1), "2147483648", "2147483648 2,147,483,647"),
        (WholeRange(1), "9" * 23, "2,147,483,647"),
        (STEPS, "1000001", "1000001 1,000,000"),
    ],
)
def test_a_type_refuses(kind: click.ParamType, value: str, words: str) -> None:
    with refuses(click.BadParameter, words):
        kind.convert(value, None, None)


def test_a_type_reads() -> None:
    assert STEPS.convert("1000000", None, None) == STEPS.most == MOST_TIMESTEPS
    assert EPOCHS.most == MOST_EPOCHS
    assert DATA.convert("my.module:load", None, None) == "my.module:load"
    assert COST.convert("chip.toml", None, None) == "chip.toml"
    assert POSITIVE.convert("0.5", None, None) == 0.5 and not math.isinf(POSITIVE.convert("1e30", None, None))


def test_names_complete_and_files_do_where_no_name_fits() -> None:
    (first, *_) = COSTS
    context, parameter = click.Context(click.Command("x")), click.Option(["--cost"])
    found = [each.value for each in COST.shell_complete(context, parameter, first[:4])]
    assert found == [name for name in COSTS if name.startswith(first[:4])]
    (file,) = COST.shell_complete(context, parameter, "./chip")
    assert (file.value, file.type) == ("./chip", "file")
    assert [each.value for each in DATA.shell_complete(context, parameter, "dig")] == ["digits"]


def test_a_value_is_read_late_while_a_shell_completes() -> None:
    context = click.Context(click.Command("x"), resilient_parsing=True)
    assert REFERENCE.convert("unfinished", None, context) == "unfinished"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_whole_number_of_a_command_has_an_end(name: str) -> None:
    kinds = {option.name: option.type for option in command_named(name).params}
    whole = {option: kind for option, kind in kinds.items() if isinstance(kind, type(click.INT) | click.IntRange)}
    assert [option for option, kind in whole.items() if getattr(kind, "most", getattr(kind, "max", None)) is None] == []
