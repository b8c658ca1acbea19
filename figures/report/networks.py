"""Which network each result of a page is about: two that share a name are told apart in every section."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tetviz.figures.report.blocks import Source
from tetviz.results import Provenance
from tetviz.summaries.names import network_name

# A name and the checkpoint's SHA-256, which is empty where none is recorded.
Network = tuple[str, str]
_BETWEEN = " to "


def whole_trainings(sources: Sequence[Source]) -> list[Source]:
    """The results with each training once.

    A training leaves its epochs so far in one file, and ``tetviz history`` writes the same numbers to another.
    """
    shown: dict[str, list[Source]] = {}
    for source in sorted(sources, key=_completeness, reverse=True):
        others = shown.setdefault(network_name(_origin(source)), [])
        if not any(source.result.begins(other.result) for other in others):
            others.append(source)
    kept = {source for others in shown.values() for source in others}
    return [source for source in sources if source in kept]


def told_apart(sources: Sequence[Source]) -> list[Source]:
    """The results with names that mean the same network wherever they stand."""
    about = _about(sources)
    same_name: dict[str, list[Network]] = {}
    for network in dict.fromkeys(each for networks in about for each in networks):
        same_name.setdefault(network[0], []).append(network)
    names = {
        network: f"{name} #{number}" if len(networks) > 1 else name
        for name, networks in same_name.items()
        for number, network in enumerate(networks, start=1)
    }
    labels = [_BETWEEN.join(names[network] for network in networks) for networks in about]
    times = Counter((source.result.kind, label) for source, label in zip(sources, labels, strict=True))
    return [
        _labelled(source, f"{label} ({source.path.stem})" if times[source.result.kind, label] > 1 else label)
        for source, label in zip(sources, labels, strict=True)
    ]


def count_networks(sources: Sequence[Source]) -> int:
    """How many networks results are about."""
    return len({network for networks in _about(sources) for network in networks})


def _about(sources: Sequence[Source]) -> list[list[Network]]:
    # A history is read from the last checkpoint, of which nothing else is measured: it goes with the chosen one.
    measured: dict[tuple[str, str], dict[str, Network]] = {}
    for source in sources:
        if not source.result.of_training:
            networks, origin = _networks(source), _origin(source)
            for network in networks:
                folders = measured.setdefault((network[0], origin.texts()["training"]), {})
                folders.setdefault(str(source.path.parent), network)
    return [
        [_chosen(source, measured) or network for network in _networks(source)]
        if source.result.of_training
        else _networks(source)
        for source in sources
    ]


def _chosen(source: Source, measured: Mapping[tuple[str, str], Mapping[str, Network]]) -> Network | None:
    origin = _origin(source)
    folders = measured.get((network_name(origin), origin.texts()["training"]), {})
    beside = folders.get(str(source.path.parent))
    return beside or (next(iter(folders.values()), None) if origin.training else None)


def _networks(source: Source) -> list[Network]:
    origin = _origin(source)
    name, digest = network_name(origin), origin.checkpoint_sha256
    names, digests = name.split(_BETWEEN), digest.split(", ")
    return list(zip(names, digests, strict=True)) if len(names) == len(digests) else [(name, digest)]


def _origin(source: Source) -> Provenance:
    result: Any = source.result
    origin: Provenance = result.provenance
    return origin


def _labelled(source: Source, label: str) -> Source:
    if label == network_name(_origin(source)):
        return source
    result: Any = source.result
    origin = dataclasses.replace(_origin(source), label=label)
    return dataclasses.replace(source, result=dataclasses.replace(result, provenance=origin))


def _completeness(source: Source) -> tuple[int, bool]:
    return max(source.result.sizes().values()), not source.path.stem.endswith(".epochs")
