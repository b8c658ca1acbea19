"""Values of options with a syntax of their own. A reader raises ValueError, which becomes a usage error."""

import json
import math
from typing import Any


def parse_finite(text: str | float) -> float:
    """Reads any finite number."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
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
    from tetviz.landscape import HOLD_ALL_BUT_WEIGHTS, ROLES, TREATMENTS

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
    if not numbers or not 0 < numbers[0] <= numbers[-1] < math.inf:
        raise ValueError(f"expected positive numbers such as 0.01,0.1, got {text!r}")
    return tuple(numbers)


def parse_arguments(text: str) -> dict[str, Any]:
    """Reads arguments by name, as JSON."""
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected a JSON object such as '{{\"T\": 4}}', got {text!r} ({error})") from None
    if not isinstance(arguments, dict):
        raise ValueError(f"expected a JSON object such as '{{\"T\": 4}}', got {text!r}")
    return arguments


def parse_sensor(text: str) -> tuple[int, int]:
    """Reads ``HEIGHTxWIDTH``."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) * int(width)):
        raise ValueError(f"expected HEIGHTxWIDTH such as 34x34, got {text!r}")
    return int(height), int(width)


def parse_reference(text: str) -> str:
    """Checks what names a function; nothing is imported."""
    from tetviz.models.foreign.convention import split_reference

    split_reference(text)
    return text
