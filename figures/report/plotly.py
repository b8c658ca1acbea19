"""Parts of charts: curves, bands, rings, axes, as plotly takes them. Names of networks are only text."""

import html
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tetviz.figures.curves import Axis, Curves
from tetviz.figures.plots.style import series_styles
from tetviz.figures.report.blocks import Chart
from tetviz.results.schema import FloatArray

_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
_OPEN = {"full": "", "none": "-open", "left": "-open-dot"}  # markers of networks beyond the first of one colour
_SYMBOLS = {
    "o": "circle",
    "s": "square",
    "D": "diamond",
    "v": "triangle-down",
    "^": "triangle-up",
    "<": "triangle-left",
    "P": "cross",
    "X": "x",
}
_FEW = 10  # whole numbers, each of which has a tick: plotly would put others between them
_GREY = "#8a8a8a"  # to be seen on white and on black

Trace = dict[str, Any]


def chart(curves: Curves) -> Chart:
    """A chart of the data that the picture for print is drawn from."""
    traces: list[Trace] = []
    styles = series_styles(curves.methods or curves.networks)
    named: set[int] = set()
    for series in curves.series:
        name, style = curves.networks[series.network], styles[series.network]
        if series.low is not None and series.high is not None:
            traces.append(band(series.x, series.low, series.high, name, style))
        shown = not series.thin and series.network not in named
        named |= {series.network} if shown else set()
        texts = [html.escape(text, quote=False).replace("\n", "<br>") for text in series.texts] or None
        every = series.every or not series.joined
        drawn = curve(series.x, series.y, name, style, texts, thin=series.thin, shown=shown, every=every)
        traces.append(drawn if series.joined else {**drawn, "mode": "markers"})
        if series.ringed:
            at = list(series.ringed)
            traces.append(ring(series.x[at], series.y[at], name, style))
    traces += [key(curves.thin, thin=True)] if curves.thin else []
    traces += [key(curves.ring, ring=True)] if curves.ring else []
    traces += [key(curves.band, band=True)] if curves.band else []
    traces += [key(curves.dashed, dash="dash")] if curves.dashed else []
    traces += [key(curves.dotted, dash="dot")] if curves.dotted else []
    values = [trace["y"] for trace in traces if trace["y"] is not None]
    places = [trace["x"] for trace in traces if trace["x"] is not None]
    made = make_chart(curves.title, curves.alt, traces, _axis(curves.x, places), _axis(curves.y, values))
    made.figure["layout"]["shapes"] = [
        {
            "type": "line",
            **{"x0": mark.at, "x1": mark.at, "y0": 0, "y1": 1, "yref": "paper"},
            "line": {"color": colour_of(styles[mark.network]), "dash": "dash" if mark.dashed else "dot", "width": 1},
        }
        for mark in curves.marks
    ]
    made.figure["layout"]["annotations"] = [
        {"x": at, "y": 1, "yref": "paper", "yanchor": "top", "xanchor": "left", "showarrow": False, "text": text}
        for at, text in dict.fromkeys((mark.at, html.escape(mark.text)) for mark in curves.marks if mark.text)
    ]
    return made


def _axis(axis: Axis, values: Sequence[Any]) -> dict[str, Any]:
    known = np.concatenate([np.asarray(each, float) for each in values])
    known = known[np.isfinite(known)]
    last = float(known.max()) if len(known) else 1.0
    if axis.ticks:
        safe = [html.escape(tick, quote=False) for tick in axis.ticks]
        named = [f"<b>{text}</b>" if tick == axis.bold else text for tick, text in zip(axis.ticks, safe, strict=True)]
        return {"tickvals": list(range(len(named))), "ticktext": named, "range": [len(named) - 0.4, -0.6]}
    if axis.scale == "log2":
        return doubling(axis.title, math.ceil(last))
    if axis.scale == "log":
        return logarithmic(axis.title, values)
    if axis.scale == "whole":
        return {"title": axis.title, "tickformat": "d", **({"dtick": 1} if last <= _FEW else {})}
    return {"title": axis.title, "nticks": 6, **({"zeroline": True} if axis.zero else {})}


def make_chart(title: str, alt: str, traces: Sequence[Trace], x: dict[str, Any], y: dict[str, Any]) -> Chart:
    """A chart of traces."""
    figure = go.Figure(data=list(traces), layout={"template": "none", "xaxis": x, "yaxis": y})
    plain: dict[str, Any] = json.loads(figure.to_json() or "{}")
    return Chart(
        title,
        alt,
        {"data": plain["data"], "layout": {"xaxis": plain["layout"]["xaxis"], "yaxis": plain["layout"]["yaxis"]}},
    )


def curve(
    x: Any,
    y: Any,
    name: str,
    style: dict[str, Any],
    texts: Sequence[str] | None,
    *,
    thin: bool = False,
    shown: bool = False,
    every: bool = False,
) -> Trace:
    """A network's curve.

    Args:
        texts: what a reader who points at a point is told; None where there is nothing to tell.
    """
    colour = colour_of(style)
    sizes = [7 if every or position & (position - 1) == 0 else 0 for position in range(1, len(x) + 1)]
    width = 2 * float(style.get("linewidth", 1.5)) / 1.5
    filling = "none" if "markerfacecolor" in style else str(style.get("fillstyle", "full"))
    safe = html.escape(name, quote=False)
    trace: Trace = {
        "type": "scatter",
        "x": np.asarray(x),
        "y": y if isinstance(y, list) else np.asarray(y),
        "name": safe,
        "legendgroup": safe,
        "showlegend": shown,
        "mode": "lines" if thin else "lines+markers",
        "line": {"color": colour, "width": 1 if thin else width, "dash": _dash(style["linestyle"])},
        "opacity": 0.5 if thin else 1,
        "hoverinfo": "skip",
    }
    if not thin:
        trace["marker"] = {
            "color": colour,
            "symbol": _SYMBOLS.get(str(style["marker"]), "circle") + _OPEN[filling],
            "size": sizes,
            "opacity": 1,
            "line": {"width": 0 if filling == "full" else 1.5},
        }
    if texts is not None:
        trace |= {"text": list(texts), "hovertemplate": f"{safe}<br>%{{text}}<extra></extra>", "hoverinfo": "text"}
    return trace


def band(x: Any, low: FloatArray, high: FloatArray, name: str, style: dict[str, Any]) -> Trace:
    """A band between the ends of intervals."""
    colour, known = colour_of(style), np.isfinite(low) & np.isfinite(high) & np.isfinite(np.asarray(x, float))
    places = np.asarray(x)[known]
    return {
        "type": "scatter",
        "x": np.concatenate([places, places[::-1]]),
        "y": np.concatenate([high[known], low[known][::-1]]),
        "fill": "toself",
        "fillcolor": f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:], 16)},0.16)",
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": html.escape(name, quote=False),
    }


def ring(x: Any, y: Any, name: str, style: dict[str, Any]) -> Trace:
    """A ring around points that stand out."""
    return {
        "type": "scatter",
        "x": np.asarray(x),
        "y": np.asarray(y),
        "mode": "markers",
        "marker": {"symbol": "circle-open", "size": 15, "color": colour_of(style), "line": {"width": 1.6}},
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": html.escape(name, quote=False),
    }


def key(text: str, *, thin: bool = False, ring: bool = False, band: bool = False, dash: str = "solid") -> Trace:
    """An entry of the legend that belongs to no network."""
    key: Trace = {"type": "scatter", "x": [None], "y": [None], "name": text, "hoverinfo": "skip", "legendrank": 2000}
    if ring:
        return {
            **key,
            "mode": "markers",
            "marker": {"symbol": "circle-open", "size": 12, "color": _GREY, "line": {"width": 1.6}},
        }
    if band:
        return {**key, "mode": "markers", "marker": {"symbol": "square", "size": 12, "color": "rgba(138,138,138,0.35)"}}
    width = 1 if thin or dash != "solid" else 2
    return {**key, "mode": "lines", "line": {"color": _GREY, "width": width, "dash": dash}, "opacity": 0.6}


def doubling(title: str, last: int) -> dict[str, Any]:
    """A logarithmic axis of numbers of timesteps, with the powers of two as ticks."""
    ticks = [2**power for power in range(last.bit_length())]
    ticks += [last] * (last >= 1.4 * ticks[-1])
    reach = 0.06
    return {
        "title": title,
        "type": "log",
        "tickvals": ticks,
        "ticktext": list(map(str, ticks)),
        "range": [-reach, float(np.log10(last)) + reach],
    }


def logarithmic(title: str, values: Iterable[Any]) -> dict[str, Any]:
    """A logarithmic axis with ticks at 1, 2 and 5 of every decade."""
    known = np.concatenate([np.asarray(each, float) for each in values])
    known = known[np.isfinite(known) & (known > 0)]
    if not len(known):
        return {"title": title}
    low, high = float(np.log10(known.min())) - 0.06, float(np.log10(known.max())) + 0.06
    middle = (low + high) / 2
    low, high = min(low, middle - 0.3), max(high, middle + 0.3)
    digits = (1, 2, 3, 5, 7) if high - low < 1 else (1, 2, 5) if high - low < 4 else (1,)
    powers = range(int(np.floor(low)), int(np.ceil(high)))
    ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
    return {
        "title": title,
        "type": "log",
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
        "range": [low, high],
    }


def _dash(linestyle: Any) -> str:
    # matplotlib gives lengths in widths of the line.
    if isinstance(linestyle, tuple):
        return ",".join(f"{2 * length}px" for length in linestyle[1])
    return _DASHES[str(linestyle)]


def colour_of(style: dict[str, Any]) -> str:
    """The colour of a network, to be seen on white and on black."""
    return str(style["color"]) if str(style["color"]).startswith("#") else _GREY
