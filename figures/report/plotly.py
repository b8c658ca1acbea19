"""Parts of charts: curves, bands, rings, axes, as plotly takes them. Names of networks are only text."""

import html
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tetviz.figures.curves import GAP, Axis, Curves, Series, marked
from tetviz.figures.plots.curves import styles_of
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
_PALE = "rgba(138,138,138,0.35)"
_NO_NETWORK: dict[str, Any] = {"color": _GREY, "linestyle": "-", "marker": "o"}
_LINEAR_SHARE = 0.6 / (1 - 1 / 10)  # of a decade, of a symlog axis on either side of 0, as matplotlib has it

Trace = dict[str, Any]


def chart(curves: Curves) -> Chart:
    """A chart of the data that the picture for print is drawn from."""
    traces: list[Trace] = []
    styles = styles_of(curves)
    named: set[int] = set()
    for series in curves.series:
        shown = series.network is not None and not (series.thin or series.predicted or series.network in named)
        if series.network is None:
            name, style = "", _NO_NETWORK
        else:
            name, style = curves.networks[series.network], styles[series.network]
            named |= {series.network} if shown else set()
        traces += intervals(curves, series, name, style)
        traces.append(curve(curves, series, name, style, shown=shown))
        if series.ringed:
            at = list(series.ringed)
            traces.append(ring(series.x[at], _placed(curves.y, series.y[at]), name, style))
    traces += [key(curves.strong, marker=True)] if curves.strong else []
    traces += [key(curves.thin, thin=True)] if curves.thin else []
    traces += [key(curves.predicted, dash="dot")] if any(each.predicted for each in curves.series) else []
    traces += [key(curves.ring, ring=True)] if curves.ring else []
    traces += [key(curves.band, band=True)] if curves.band else []
    traces += [key(GAP, band=True)] if curves.gaps else []
    traces += [key(curves.dashed, dash="dash")] if curves.dashed else []
    traces += [key(curves.dotted, dash="dot")] if curves.dotted else []
    values, places = ([trace[name] for trace in traces if trace[name] is not None] for name in ("y", "x"))
    made = make_chart(curves.title, curves.alt, traces, _axis(curves.x, places), _axis(curves.y, values))
    made.figure["layout"]["shapes"] = [*_gaps(curves), *_lines(curves), *_marks(curves, styles)]
    made.figure["layout"]["annotations"] = [*_note(curves.note), *_mark_texts(curves)]
    return made


def _gaps(curves: Curves) -> list[Trace]:
    return [
        {
            "type": "rect",
            **{"x0": start, "x1": end, "y0": 0, "y1": 1, "yref": "paper"},
            **{"fillcolor": _PALE, "line": {"width": 0}, "layer": "below"},
        }
        for start, end in curves.gaps
    ]


def _lines(curves: Curves) -> list[Trace]:
    places = _placed(curves.y, curves.y.lines).tolist()
    line = {"color": _GREY, "width": 1}
    return [{"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": at, "y1": at, "line": line} for at in places]


def _marks(curves: Curves, styles: Sequence[dict[str, Any]]) -> list[Trace]:
    colours = [_GREY if mark.network is None else colour_of(styles[mark.network]) for mark in curves.marks]
    return [
        {
            "type": "line",
            **{"x0": mark.at, "x1": mark.at, "y0": 0, "y1": 1, "yref": "paper"},
            "line": {"color": colour, "dash": "dash" if mark.dashed else "dot", "width": 1},
        }
        for mark, colour in zip(curves.marks, colours, strict=True)
    ]


def _mark_texts(curves: Curves) -> list[Trace]:
    beside = {"y": 1, "yref": "paper", "yanchor": "top", "xanchor": "left", "showarrow": False}
    texts = dict.fromkeys((mark.at, html.escape(mark.text)) for mark in curves.marks if mark.text)
    return [{"x": at, "text": text, **beside} for at, text in texts]


def _note(text: str) -> list[Trace]:
    middle = {"x": 0.5, "y": 0.6, "xref": "paper", "yref": "paper", "showarrow": False}
    return [{"text": html.escape(text), **middle}] if text else []


def _placed(axis: Axis, values: Any) -> FloatArray:
    """Values where a symlog axis, which plotly does not have, has them."""
    plain = np.asarray(values, float)
    if axis.scale != "symlog":
        return plain
    shares = np.abs(plain) / axis.linear
    sizes = np.where(shares <= 1, _LINEAR_SHARE * shares, _LINEAR_SHARE + np.log10(np.maximum(shares, 1)))
    return np.asarray(np.sign(plain) * sizes)


def _axis(axis: Axis, values: Sequence[Any]) -> dict[str, Any]:
    known = np.concatenate([np.asarray(each, float) for each in [*values, _placed(axis, axis.lines)]])
    known = known[np.isfinite(known)]
    last = float(known.max()) if len(known) else 1.0
    if axis.ticks:
        safe = [html.escape(tick, quote=False) for tick in axis.ticks]
        named = [f"<b>{text}</b>" if tick == axis.bold else text for tick, text in zip(axis.ticks, safe, strict=True)]
        return {"tickvals": list(range(len(named))), "ticktext": named, "range": [len(named) - 0.4, -0.6]}
    at = {"tickvals": list(axis.at), "ticktext": [f"{value:g}" for value in axis.at]} if axis.at else {}
    if axis.scale == "log2":
        return doubling(axis.title, math.ceil(last))
    if axis.scale == "log":
        return logarithmic(axis, known) | at
    if axis.scale == "symlog":
        return {"title": axis.title, **_symlog_ticks(axis, known)}
    if axis.scale == "whole":
        return {"title": axis.title, "tickformat": "d", **({"dtick": 1} if last <= _FEW else {})}
    bounds = {"range": list(_bounds(axis, known))} if len(known) and (axis.least or axis.within or axis.lines) else {}
    return {"title": axis.title, "nticks": 6, **bounds, **at}


def _bounds(axis: Axis, known: FloatArray) -> tuple[float, float]:
    margin = 0.05 * float(np.ptp(known))
    return axis.bounded(float(known.min()) - margin, float(known.max()) + margin)


def _symlog_ticks(axis: Axis, placed: FloatArray) -> dict[str, Any]:
    reach = max(0, math.ceil(float(np.abs(placed).max(initial=0)) - _LINEAR_SHARE))
    sizes = [axis.linear * 10.0**power for power in range(reach + 1)]
    ticks = np.array([*(-size for size in reversed(sizes)), 0.0, *sizes])
    return {"tickvals": _placed(axis, ticks).tolist(), "ticktext": [f"{tick:g}" for tick in ticks]}


def make_chart(title: str, alt: str, traces: Sequence[Trace], x: dict[str, Any], y: dict[str, Any]) -> Chart:
    """A chart of traces."""
    figure = go.Figure(data=list(traces), layout={"template": "none", "xaxis": x, "yaxis": y})
    plain: dict[str, Any] = json.loads(figure.to_json() or "{}")
    return Chart(
        title,
        alt,
        {"data": plain["data"], "layout": {"xaxis": plain["layout"]["xaxis"], "yaxis": plain["layout"]["yaxis"]}},
    )


def curve(curves: Curves, series: Series, name: str, style: dict[str, Any], *, shown: bool) -> Trace:
    """A line of points.

    Args:
        shown: whether the legend has it.
    """
    colour, faint = colour_of(style), series.thin or series.predicted
    with_marker = marked(curves, series)
    width = 2 * float(style.get("linewidth", 1.5)) / 1.5
    filling = "none" if "markerfacecolor" in style else str(style.get("fillstyle", "full"))
    safe = html.escape(name, quote=False)
    dash = "dot" if series.predicted else _dash(style["linestyle"])
    trace: Trace = {
        "type": "scatter",
        "x": np.asarray(series.x),
        "y": _placed(curves.y, series.y),
        "name": safe,
        "legendgroup": safe,
        "showlegend": shown,
        "mode": "lines" if faint else "lines+markers" if series.joined else "markers",
        "line": {"color": colour, "width": 1.5 if series.predicted else 1 if faint else width, "dash": dash},
        "opacity": 0.5 if series.thin else 1,
        "hoverinfo": "skip",
    }
    if faint and np.isfinite(series.y).sum() == 1:  # a single point has no line
        trace |= {"mode": "markers", "marker": {"color": colour, "symbol": "line-ew-open", "size": 12}}
    if not faint:
        trace["marker"] = {
            "color": colour,
            "symbol": _SYMBOLS.get(str(style["marker"]), "circle") + _OPEN[filling],
            "size": [7 if position in with_marker else 0 for position in range(len(series.x))],
            "opacity": 1,
            "line": {"width": 0 if filling == "full" else 1.5},
        }
    if series.texts:
        texts = [html.escape(text, quote=False).replace("\n", "<br>") for text in series.texts]
        told = f"{safe}<br>%{{text}}<extra></extra>" if safe else "%{text}<extra></extra>"
        trace |= {"text": texts, "hovertemplate": told, "hoverinfo": "text"}
    return trace


def intervals(curves: Curves, series: Series, name: str, style: dict[str, Any]) -> list[Trace]:
    """Bands between the ends of intervals, and bars where an interval stands alone."""
    if series.low is None or series.high is None:
        return []
    colour = colour_of(style)
    low, high = (_placed(curves.y, end) for end in (series.low, series.high))
    places, bars = np.asarray(series.x, float), series.alone
    banded = np.isfinite(low) & np.isfinite(high) & np.isfinite(places) & ~bars
    plain: Trace = {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": html.escape(name, quote=False),
    }
    made = []
    for run in np.split(np.flatnonzero(banded), np.flatnonzero(np.diff(np.flatnonzero(banded)) > 1) + 1):
        if len(run):
            x, y = (np.concatenate([one[run], other[run][::-1]]) for one, other in ((places, places), (high, low)))
            pale = f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:], 16)},0.16)"
            made.append({**plain, "x": x, "y": y, "fill": "toself", "fillcolor": pale, "line": {"width": 0}})
    if bars.any():
        nothing = np.full(bars.sum(), np.nan)
        x = np.stack([places[bars], places[bars], nothing], axis=1).ravel()
        y = np.stack([low[bars], high[bars], nothing], axis=1).ravel()
        made.append({**plain, "x": x, "y": y, "line": {"color": colour, "width": 1.5}, "opacity": 0.5})
    return made


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


def key(
    text: str, *, thin: bool = False, ring: bool = False, band: bool = False, marker: bool = False, dash: str = "solid"
) -> Trace:
    """An entry of the legend that belongs to no network."""
    key: Trace = {"type": "scatter", "x": [None], "y": [None], "name": text, "hoverinfo": "skip", "legendrank": 2000}
    if ring:
        return {
            **key,
            "mode": "markers",
            "marker": {"symbol": "circle-open", "size": 12, "color": _GREY, "line": {"width": 1.6}},
        }
    if band:
        return {**key, "mode": "markers", "marker": {"symbol": "square", "size": 12, "color": _PALE}}
    width, mode = 1 if thin or dash != "solid" else 2, "lines+markers" if marker else "lines"
    points = {"marker": {"color": _GREY, "size": 7}} if marker else {}
    return {**key, **points, "mode": mode, "line": {"color": _GREY, "width": width, "dash": dash}, "opacity": 0.6}


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


def logarithmic(axis: Axis, values: FloatArray) -> dict[str, Any]:
    """A logarithmic axis with ticks at 1, 2 and 5 of every decade."""
    known = values[values > 0]
    if not len(known):
        return {"title": axis.title}
    if axis.within:
        known = np.clip(known, *axis.within)
    low, high = float(np.log10(known.min())) - 0.06, float(np.log10(known.max())) + 0.06
    middle = (low + high) / 2
    low, high = min(low, middle - 0.3), max(high, middle + 0.3)
    digits = (1, 2, 3, 5, 7) if high - low < 1 else (1, 2, 5) if high - low < 4 else (1,)
    powers = range(int(np.floor(low)), int(np.ceil(high)))
    ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
    return {
        "title": axis.title,
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
