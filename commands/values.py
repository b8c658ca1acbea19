"""Types of values: names, which complete in a shell, numbers, and texts with a syntax of their own."""

import json
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

import tetviz
from tetviz.commands.choices import COSTS, DATASETS, HOLD_ALL_BUT_WEIGHTS, ROLES, TREATMENTS
from tetviz.errors import unknown

_MOST = 1e30  # products of it with what a network holds stay within float32


class Name(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.5 on
    """One of the names of a registry, or a short form of one."""

    name = "name"

    def __init__(self, names: Iterable[str], short: Mapping[str, str] | None = None) -> None:
        self.names, self.short = tuple(names), short or {}

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self.names)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        value = self.short.get(value, value)
        if value not in self.names:
            self.fail(unknown("name", value, self.names), param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in self.names if name.startswith(incomplete)]


class DataName(Name):
    """A data set of tetviz, or a function of someone else's."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self.names)}|MODULE:FUNCTION]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if ":" in value:
            return str(REFERENCE.convert(value, param, ctx))
        if "." in value:
            self.fail(f"{value!r} is no data set; a function is named module:function, with a colon", param, ctx)
        return super().convert(value, param, ctx)


class CostName(Name):
    """A cost model of tetviz, or a file that defines one, which is read where it is used."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self.names)}|FILE.toml]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return super().shell_complete(ctx, param, incomplete) or [CompletionItem(incomplete, type="file")]


class FiniteRange(click.FloatRange):
    """A number within a range; NaN and infinity are in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        try:
            return parse_finite(number)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class WholeRange(click.IntRange):
    """A whole number of at least so much, and no more than arrays and files can count, or than ``most``."""

    def __init__(self, least: int, most: int = 2**31 - 1) -> None:
        super().__init__(least)
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if number > self.most:
            self.fail(f"{value} is more than {self.most:,}", param, ctx)
        return number


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """A value with a syntax of its own, read by a function that raises ValueError."""

    def __init__(self, name: str, read: Callable[[Any], Any]) -> None:
        self.name, self.read = name, read

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if ctx is not None and ctx.resilient_parsing:  # a shell completes what stands behind; readers may load torch
            return value
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parse_finite(text: str | float) -> float:
    """Reads any finite number that float32 can be counted on to hold."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    if abs(number) > _MOST:
        raise ValueError(f"{text} is more than {_MOST:g}")
    return number


def parse_group(text: str) -> tuple[str, str]:
    """Reads ``NAME=PATTERN`` or ``PATTERN``."""
    name, equals, pattern = text.partition("=")
    pattern = pattern if equals else name
    if not name or not pattern:
        raise ValueError(f"expected NAME=PATTERN such as SDT=sdt*, got {text!r}")
    return name, pattern


def parse_range(text: str) -> tuple[float, float]:
    """Reads ``LOW:HIGH``."""
    low, colon, high = text.partition(":")
    try:
        return float(low), float(high if colon else "")
    except ValueError:
        raise ValueError(f"expected LOW:HIGH such as -1:1, got {text!r}") from None


def parse_span(text: str) -> tuple[float, float] | float:
    """Reads ``LOW:HIGH``, ``auto`` or ``auto:FACTOR``."""
    name, _, factor = text.partition(":")
    if name != "auto":
        return parse_range(text)
    try:
        value = float(factor or 10)
    except ValueError:
        value = math.nan
    if not 1 < value < math.inf:
        raise ValueError(f"expected auto:FACTOR with a factor above 1, such as auto:10, got {text!r}")
    return value


def parse_policy(text: str) -> dict[str, str]:
    """Reads ``ROLE=TREATMENT``, separated by commas; the other roles keep their default."""
    policy = dict(HOLD_ALL_BUT_WEIGHTS)
    for part in filter(None, text.split(",")):
        role, _, treatment = part.strip().partition("=")
        if role not in ROLES or treatment not in TREATMENTS:
            raise ValueError(
                f"expected ROLE=TREATMENT with a role of {', '.join(ROLES)} and a treatment of "
                f"{', '.join(TREATMENTS)}, got {part.strip()!r}"
            )
        policy[role] = treatment
    if set(policy.values()) == {"hold"}:
        raise ValueError("everything is held, nothing would move; make one role random or scale")
    return policy


def parse_numbers(text: str) -> tuple[float, ...]:
    """Reads positive numbers separated by commas."""
    try:
        numbers = sorted({float(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or not 0 < numbers[0] <= numbers[-1] <= _MOST:
        raise ValueError(f"expected positive numbers up to {_MOST:g} such as 0.01,0.1, got {text!r}")
    return tuple(numbers)


def parse_arguments(text: str) -> dict[str, Any]:
    """Reads arguments by name, as JSON."""
    try:
        arguments = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"expected a JSON object such as '{{\"T\": 4}}', got {reprlib.repr(text)} ({error})") from None
    if not isinstance(arguments, dict):
        raise ValueError(f"expected a JSON object such as '{{\"T\": 4}}', got {reprlib.repr(text)}")
    return arguments


def parse_sensor(text: str) -> tuple[int, int]:
    """Reads ``HEIGHTxWIDTH``."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) * int(width)):
        raise ValueError(f"expected HEIGHTxWIDTH such as 34x34, got {text!r}")
    return int(height), int(width)


def parse_axes(text: str) -> str:
    """Checks names of axes."""
    tetviz.training.axes.check_axes(text)
    return text


def parse_normalise(text: str) -> str:
    """Reads ``MEAN:STD`` or ``none``."""
    return str(tetviz.training.data.normalise.Normalisation.parse(text))


def parse_reference(text: str) -> str:
    """Checks what names a function; nothing is imported."""
    tetviz.models.split_reference(text)
    return text


def model_option(text: str) -> tuple[str, float | bool | str]:
    """Reads ``NAME=VALUE`` of --model-option."""
    name, _, value = text.partition("=")
    if not name or not value:
        raise ValueError(f"--model-option {text}: expected NAME=VALUE such as stem=128 or connect=AND")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        return name, int(value) if value.isdecimal() else float(value)
    except ValueError:
        return name, value


DATA = DataName(DATASETS)
COST = CostName(COSTS)
SEED = click.IntRange(0, 2**63 - 1)
STEPS = WholeRange(1, 1_000_000)  # what a result may hold
EPOCHS = WholeRange(1, 1_000_000)
POSITIVE = FiniteRange(0, min_open=True)
REFERENCE = Parsed("MODULE:FUNCTION", parse_reference)
