"""The few numbers of a result that one wants to see first, as text, and the choices that they rest on."""

from tetviz.figures.headlines import loss, network
from tetviz.figures.headlines.parts import Headline
from tetviz.results import Result

_MADE = {**loss.MADE, **network.MADE}


def headline(result: Result) -> Headline:
    """The first numbers of a result."""
    made = next((_MADE[kind] for kind in type(result).__mro__ if kind in _MADE), None)
    if made is None:
        raise TypeError(f"no headline for a result of kind {result.kind!r}")
    return made(result)
