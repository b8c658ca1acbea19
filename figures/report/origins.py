"""Where the numbers of a report come from, and what is to be said against them."""

from collections.abc import Sequence
from typing import Any

from tetviz.figures.formatting import number
from tetviz.figures.registry import view_of
from tetviz.figures.report.blocks import Source
from tetviz.results.schema import attribute_fields, stored
from tetviz.summaries.names import samples_of

NOT_RECORDED = "not recorded"

_LABELS = {
    "sample_order": "samples",
    "checkpoint_sha256": "checkpoint SHA-256",
    "data_settings": "data settings",
    "batch_size": "batch size",
    "tetviz_version": "tetviz",
    "torch_version": "torch",
    "numpy_version": "numpy",
    "python_version": "python",
}
# Long lists, which tables show.
_NOT_SHOWN = ("names", "modules", "inputs", "neuron_names", "layer_names", "warnings", "not_counted", "not_measured")


def origin(source: Source) -> list[tuple[str, str]]:
    """All that a file says of where its numbers come from."""
    result: Any = source.result
    rows = [("file", str(source.path)), ("file SHA-256", source.sha256), ("kind", result.kind)]
    done, total = result.progress()
    rows += [("points", f"{done:,} of {total:,}")] * bool(total)
    if hasattr(result, "sample"):
        rows.append(("number of samples", f"{len(samples_of(result)):,}"))
    if hasattr(result, "timestep"):
        rows.append(("timesteps", f"T = {result.timestep[0]} to {result.timestep[-1]}"))
    for name, value in result.provenance.texts().items():
        if name != "doctor" and (value or name != "draws"):
            rows.append((_LABELS.get(name, name.replace("_", " ")), str(value) or NOT_RECORDED))
    for name in attribute_fields(type(result)):
        if name not in _NOT_SHOWN:
            value = stored(getattr(result, name))
            text = number(value, ".6g") if isinstance(value, float) else str(value)
            rows.append((name.replace("_", " "), text or NOT_RECORDED))
    found = findings(source)
    rows.append(("doctor", "; ".join(f"{check}: {verdict}" for check, verdict, _ in found) or NOT_RECORDED))
    return rows


def findings(source: Source) -> list[tuple[str, str, str]]:
    """What ``tetviz doctor`` found before the measurement."""
    entries = source.result.provenance.doctor
    return [(str(e[0]), str(e[1]), str(e[2])) for e in entries if len(e) == 3]


def warnings(source: Source) -> list[str]:
    """What a reader has to know before believing a result."""
    result: Any = source.result
    view = view_of([result])
    said = [f"{check}: {message}" for check, verdict, message in findings(source) if verdict != "ok"]
    if view.examined and not findings(source):
        said.append("the checks of tetviz doctor are not recorded in this file")
    done, total = result.progress()
    if done < total:
        said.append(f"half-written: {done:,} of {total:,} points are measured; the same command goes on with it")
    said += view.doubts(result)
    for name, what in (("warnings", ""), ("not_counted", "not counted: "), ("not_measured", "not measured: ")):
        said += [f"{what}{sentence}" for sentence in getattr(result, name, ())]
    return said


def all_warnings(sources: Sequence[Source], names: Sequence[str]) -> dict[str, list[str]]:
    """The warnings of several results."""
    found: dict[str, list[str]] = {}
    for source, name in zip(sources, names, strict=True):
        for sentence in warnings(source):
            found.setdefault(sentence, []).append(name)
    return found
