"""Plain values of files: whether they are of the type that is declared, and of a size that can be believed."""

import json
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

MOST_TIMESTEPS = 1_000_000
DEEPEST, MOST_VALUES = 32, 1_000_000


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a declared type; a whole number is a float too, and neither is a truth value."""
    container, inside = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if container in (Union, UnionType):
        return any(fits(value, each) for each in inside)
    if container is tuple and inside[-1] is Ellipsis:
        return isinstance(value, tuple) and all(fits(each, inside[0]) for each in value)
    if container is tuple:
        return isinstance(value, tuple) and len(value) == len(inside) and all(map(fits, value, inside))
    if container in (list, Sequence):
        return isinstance(value, list | tuple) and all(fits(each, inside[0]) for each in value)
    if container in (dict, Mapping):
        return isinstance(value, Mapping) and all(fits(k, inside[0]) and fits(v, inside[1]) for k, v in value.items())
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is (NoneType if kind is None else kind)


def check_plain(value: Any, what: str) -> None:
    """Checks that a value is one that JSON can hold, not too deep, and not larger than it looks.

    A value that holds another many times over, or itself, counts it every time.

    Raises:
        ValueError: it is not.
    """
    waiting, count = [(value, 0)], 0
    while waiting:
        found, depth = waiting.pop()
        count += 1
        if depth > DEEPEST or count > MOST_VALUES:
            raise ValueError(f"{what} goes deeper than {DEEPEST} levels, or holds more than {MOST_VALUES:,} values")
        if isinstance(found, dict):
            if not all(type(name) is str for name in found):
                raise ValueError(f"{what} has a name that is no text")
            waiting += [(each, depth + 1) for each in found.values()]
        elif isinstance(found, list | tuple):
            waiting += [(each, depth + 1) for each in found]
        elif type(found) not in (str, int, float, bool, NoneType):
            raise ValueError(f"{what} holds something of type {type(found).__name__}, expected plain values")


def read_json(text: str, what: str) -> Any:
    """Reads JSON of a file.

    Raises:
        ValueError: it is none, or too deep or too large.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"{what} goes deeper than {DEEPEST} levels") from None
    except ValueError as error:
        raise ValueError(f"{what} is no JSON: {error}") from None
    check_plain(value, what)
    return value
