"""The views of all kinds of results, and the figures and tables that they give, by name or by what fits results."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from tetviz.errors import KindError, ResultError, unknown
from tetviz.figures.captions import compose_caption
from tetviz.figures.curves import GAP, Curves
from tetviz.figures.plots.curves import draw_charts, labels_and_title
from tetviz.figures.plots.picture import Picture
from tetviz.figures.table import Table
from tetviz.figures.view import Choices, FigureOf, TableOf, View
from tetviz.results import Result
from tetviz.summaries.names import network_name

LARGEST = 1e100  # of a number that is drawn: its square is one too

# Name of the view of a result, its kind in most cases, to where the view is.
VIEWS: dict[str, str] = {
    "surface": "tetviz.figures.views.surface:VIEW",
    "sharpness": "tetviz.figures.views.sharpness:VIEW",
    "lines": "tetviz.figures.views.lines:VIEW",
    "lines between checkpoints": "tetviz.figures.views.paths:VIEW",
    "trajectory": "tetviz.figures.views.trajectory:VIEW",
    "curvature": "tetviz.figures.views.curvature:VIEW",
    "scaling": "tetviz.figures.views.scaling:VIEW",
    "energy": "tetviz.figures.views.energy:VIEW",
    "history": "tetviz.figures.views.history:VIEW",
    "training-energy": "tetviz.figures.views.training_cost:VIEW",
    "isometry": "tetviz.figures.views.isometry:VIEW",
    "compression": "tetviz.figures.views.compression:VIEW",
    "attack": "tetviz.figures.views.attack:VIEW",
    "smoothness": "tetviz.figures.views.smoothness:VIEW",
}

# What a choice is called on the command line.
OPTIONS = {
    "loss": "--loss",
    "timestep": "--t",
    "plane": "--plane",
    "depth": "--depth",
    "groups": "--group",
    "pricing": "--cost, --convention, --first-layer and --pool",
}


def view_named(name: str) -> View[Any]:
    """A view by its name in :data:`VIEWS`."""
    found: View[Any] = loaded(VIEWS[name])
    return found


def view_of(results: Sequence[Result]) -> View[Any]:
    """The view that shows some results together: that of their kind, or of the kind that all of theirs are cases of.

    Raises:
        ResultError: there is no result, or nothing shows them together.
    """
    names = {result.view for result in results}
    if len(names) == 1:
        return view_named(names.pop())
    for kind in type(results[0]).__mro__ if results else ():
        name = getattr(kind, "kind", "")
        if name in VIEWS and all(isinstance(result, kind) and result.view == result.kind for result in results):
            return view_named(name)
    raise KindError(
        f"results of kind {', '.join(sorted(names)) or 'none'}: one figure takes results of one kind, or sharpness and "
        "lines"
    )


def draw(
    results: Sequence[Result],
    loss: str | None = None,
    timestep: int | None = None,
    plane: int | None = None,
    pricing: Mapping[str, Any] | None = None,
    depth: str | None = None,
) -> Picture:
    """The picture that fits some results, of one kind.

    Args:
        results: results of one kind; sharpnesses are lines too, and are drawn as such beside lines.
        loss: ``"sdt"`` or ``"tet"``; None takes the one asked for of a single network, both for several.
        timestep: number of timesteps; None takes the training T.
        plane: of a surface, position along the plane axis; None takes the first.
        pricing: of operation counts, as in :func:`tetviz.figures.draw_energy`.
        depth: of isometries, ``"absolute"`` for the number of a block, ``"relative"`` for its share of all; None takes
            the latter where networks have different numbers of blocks.

    Returns:
        The picture.

    Raises:
        ResultError: there is no result, kinds are mixed, or a result does not hold what was asked for.
    """
    view = view_of(results)
    require_drawable(results)
    choices = Choices(loss=loss, timestep=timestep, plane=plane, pricing=pricing or {}, depth=depth)
    _require_heeded(f"a figure of {view.takes}", view.heeds, choices)
    if view.most is not None and len(results) > view.most:
        most = "one" if view.most == 1 else view.most
        raise ResultError(f"{len(results)} results of kind {results[0].view}: such a figure takes {most}")
    if not view.figure:
        return _picture_of_curves(view, results, choices)
    return _picture(view, view.figure, results, choices)


def named_figures() -> dict[str, tuple[str, TableOf[Any] | FigureOf]]:
    """All figures and tables that have a name, those of the TET paper first: name to the view and what it is."""
    found: dict[str, tuple[str, TableOf[Any] | FigureOf]] = {}
    for name in VIEWS:
        view = view_named(name)
        named: Mapping[str, TableOf[Any] | FigureOf] = {**view.figures, **view.tables}
        for title, each in named.items():
            found.setdefault(title, (name, each))
    paper = sorted(title for title in found if title.startswith("fig")) + sorted(
        title for title in found if title.startswith("table")
    )
    return {title: found[title] for title in dict.fromkeys([*paper, *found])}


def draw_named(name: str, results: Sequence[Result], choices: Choices | None = None) -> Picture | Table:
    """A figure or a table by its name.

    Args:
        name: as :func:`named_figures` lists them.
        results: what it is drawn from.
        choices: what to draw of them.

    Returns:
        The figure, or the table, with its caption.

    Raises:
        ResultError: results of another kind, too few or too many, or a choice that the figure does not heed.
        ValueError: there is no such figure.
    """
    known, choices = named_figures(), choices or Choices()
    if name not in known:
        raise ValueError(unknown("figure", name, known))
    _, chosen = known[name]
    shown_by = [each for each in VIEWS if name in {**view_named(each).figures, **view_named(each).tables}]
    takes = chosen.takes or view_named(shown_by[0]).takes
    others = sorted({result.view for result in results if result.view not in shown_by})
    if others:
        raise KindError(f"{name} takes {takes}, got results of kind {', '.join(others)}")
    most = chosen.most if isinstance(chosen, FigureOf) else None
    if len(results) < chosen.least or (most is not None and len(results) > most):
        bound = f"at least {chosen.least}" if len(results) < chosen.least else f"at most {most}"
        raise ResultError(f"{name} takes {takes}, {bound}, got {len(results)}")
    _require_heeded(name, chosen.heeds, choices)
    if isinstance(chosen, FigureOf):
        require_drawable(results)
        return _picture(chosen, chosen.draw, results, choices)
    return with_caption(chosen.make(results, choices), results)


def default_table(results: Sequence[Result]) -> str:
    """The name of the table that fits some results.

    Raises:
        ResultError: there is none for them.
    """
    view = view_of(results)
    for name in [view.table] if view.table else view.tables:
        if len(results) >= view.tables[name].least:
            return name
    raise ResultError(f"results of kind {results[0].view} have no table; one that has a name is chosen with --figure")


def with_caption(table: Table, results: Sequence[Result]) -> Table:
    """A table with the caption of a paper: what it shows, of which networks, under which choices."""
    contexts = [view_of([result]).context(result) for result in results]
    return dataclasses.replace(table, caption=compose_caption(table.about, results, contexts, table.note))


def require_drawable(results: Sequence[Result]) -> None:
    """Checks that no number is so large that an axis to it has no length.

    Raises:
        ResultError: there is one.
    """
    for result in results:
        for name in result.held():
            values = np.abs(np.asarray(getattr(result, name), np.float64))
            largest = values.max(initial=0, where=np.isfinite(values))
            if largest > LARGEST:
                raise ResultError(
                    f"{network_name(result.provenance)}: its {name} reaches {largest:.3g}, which no axis can show; "
                    "leave this result out"
                )


def loaded(path: str) -> Any:
    """What ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _picture(of: View[Any] | FigureOf, drawer: str, results: Sequence[Result], choices: Choices) -> Picture:
    made = {name: getattr(choices, name) for name in choices.given() if name in of.heeds}
    picture: Picture = loaded(drawer)(results[0] if of.most == 1 else results, **made)
    return picture


def _picture_of_curves(view: View[Any], results: Sequence[Result], choices: Choices) -> Picture:
    view.together(results)
    charts = [chart for chart in view.curves(results, choices) if not chart.fold]
    contexts = view.shown_contexts(results, choices)
    labels, title = list(charts[0].networks), f"{network_name(results[0].provenance)}; {contexts[0]}"
    if view.most != 1:  # else the colours tell no networks apart
        labels, title = labels_and_title(labels, contexts)
    picture = draw_charts(charts, labels, title)
    about = view.caption(results, choices) if view.caption else ("; ".join(chart.title for chart in charts),)
    picture.caption = compose_caption(about[0], results, contexts, *about[1:], *_meanings(charts))
    return picture


def _meanings(charts: Sequence[Curves]) -> list[str]:
    # What the marks of charts mean.
    kinds = {
        "Rings": "ring",
        "Bands": "band",
        "Thin lines": "thin",
        "Lines with markers": "strong",
        "Dotted lines": "predicted",
        "Dashed vertical lines": "dashed",
        "Dotted vertical lines": "dotted",
    }
    told = {
        f"{what}: {getattr(chart, name)}" for what, name in kinds.items() for chart in charts if getattr(chart, name)
    }
    return [*sorted(told), *({f"Hatched: {GAP}"} if any(chart.gaps for chart in charts) else ())]


def _require_heeded(name: str, heeds: Sequence[str], choices: Choices) -> None:
    ignored = [given for given in choices.given() if given not in heeds]
    if ignored:
        heeded = f"; it takes {' and '.join(heeds)}" if heeds else ": there is nothing to choose"
        raise ResultError(f"{name} takes no {' and no '.join(ignored)}{heeded}")
