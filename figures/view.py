"""What a kind of result shows, said once: every printer, from the terminal to the page, is made from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tetviz.errors import ResultError
from tetviz.figures.curves import Curves
from tetviz.figures.table import Table
from tetviz.results import Result

R = TypeVar("R", bound=Result)
Pricing = Mapping[str, Any]


@dataclass(frozen=True)
class Choices:
    """What to draw of results; None and nothing leave it to the figure.

    Attributes:
        loss: ``"sdt"`` or ``"tet"``.
        timestep: number of timesteps.
        plane: position along the plane axis.
        depth: ``"absolute"`` for the number of a block, ``"relative"`` for its share of all.
        groups: of :func:`tetviz.figures.draw_scatter`.
        pricing: of :func:`tetviz.figures.draw_energy`.
    """

    loss: str | None = None
    timestep: int | None = None
    plane: int | None = None
    depth: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    pricing: Pricing = field(default_factory=dict)

    def given(self) -> list[str]:
        """Which of them were made."""
        plain = [name for name in ("loss", "timestep", "plane", "depth") if getattr(self, name) is not None]
        return plain + [name for name in ("groups", "pricing") if getattr(self, name)]


@dataclass(frozen=True)
class Words:
    """Sentences about results: what they say, and what a reader has to be warned of."""

    said: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def any_result(result: Any) -> bool:
    """All results of the kind have it."""
    return True


@dataclass(frozen=True)
class TableOf(Generic[R]):
    """A table that results have.

    Attributes:
        about: what it is, in a line.
        make: makes it, of one network or of several.
        takes: what it is made from, where that is less than all results of the kind.
        heeds: the choices that it heeds.
        each: whether terminal and page show one for each network; else one for all of them.
        least: number of networks that it takes at least.
        fold: the title under which a page folds it; empty to show it.
        asked: the option that has to ask for it in the terminal; empty to print it always.
        by_name: whether it is made only where its name asks for it.
        fits: of which networks terminal and page show one, where ``each`` is set.
        record: what it adds to the records of the networks, where it is printed; nothing by default.
    """

    about: str
    make: Callable[[Sequence[R], Choices], Table]
    takes: str = ""
    heeds: tuple[str, ...] = ()
    each: bool = True
    least: int = 1
    fold: str = ""
    asked: str = ""
    by_name: bool = False
    fits: Callable[[R], bool] = any_result
    record: Callable[[Sequence[R]], Sequence[Mapping[str, Any]]] | None = None


@dataclass(frozen=True)
class FigureOf:
    """A picture that results have, by name.

    Attributes:
        about: what it is, in a line.
        draw: ``module:function`` that takes results, or the one where ``most`` is 1, and, by name, the choices that it
            heeds; loaded when it is drawn.
        takes: what it is drawn from, where that is less than all results of the kind.
        heeds: the choices that it heeds.
        least: number of results at least.
        most: number of results at most; None for any.
    """

    about: str
    draw: str
    takes: str = ""
    heeds: tuple[str, ...] = ()
    least: int = 1
    most: int | None = None


def no_words(results: Sequence[Any], choices: Choices) -> Words:
    """Nothing to say beside the numbers."""
    return Words()


def no_curves(results: Sequence[Any], choices: Choices) -> Sequence[Curves]:
    """No chart: the picture is shown."""
    return ()


def no_doubts(result: Any) -> Sequence[str]:
    """Nothing to be said against the numbers."""
    return ()


def itself(result: Any) -> Any:
    """The result."""
    return result


def any_results(results: Sequence[Any]) -> None:
    """All results of the kind compare."""


def require_same_data(results: Sequence[Any]) -> None:
    """Results on one split of one data set compare."""
    if len({(each.provenance.dataset, each.provenance.split) for each in results}) > 1:
        raise ResultError("accuracies on different data do not compare")


@dataclass(frozen=True)
class Comparison(Generic[R]):
    """How results of several networks are compared.

    Attributes:
        check: raises a ``ResultError`` for those that do not compare.
        of: what of a result is compared; itself by default.
        asked: options that ask for the tables of it.
    """

    check: Callable[[Sequence[R], Choices], object]
    of: Callable[[Any], R] = itself
    asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class View(Generic[R]):
    """What a kind of result shows.

    Attributes:
        title: the question that it answers, above its section of a page.
        takes: what files it is made from, in words, for refusals and lists.
        describe: what one result is, in a few words.
        context: data and choices that the numbers of a result rest on.
        tables: by name; the first stands for all of them.
        table: the name of the one that is written where a table is asked for without a name; the first by default.
        figure: ``module:function`` of the picture that fits any of its results; it takes results, or the one where
            ``most`` is 1, and, by name, the choices that it heeds. Empty for a picture of the curves.
        alt: what the picture shows, with ``{}`` for the networks, for those who cannot see it.
        figures: pictures that have a name.
        heeds: the choices that the picture heeds.
        most: number of results that the picture, and a section of a page, takes at most; None for any.
        words: sentences about results that compare: differences, warnings, what may not be concluded.
        curves: charts to point at; a page has them, and the picture is made of them where there is no other.
        curves_context: what the curves of a result rest on, where that is more than its context: T, what is missing.
        caption: what a picture of the curves shows, and notes to it; by default the titles of the charts.
        page: ``module:function`` of the block that a page has instead of both; it takes results.
        record: the numbers of results as plain values, for ``--json``.
        doubts: what has to be said against the numbers of a result, such as losses that are not finite.
        examined: whether what measures it examines the network first, as ``tetviz doctor`` does.
        together: raises a ``ResultError`` for results that do not compare.
        comparison: how ``tetviz compare`` compares results, those of other kinds perhaps; None where it does not.
        animated: whether ``tetviz plot`` draws one of its results as a .gif.
    """

    title: str
    takes: str
    describe: Callable[[R], str]
    context: Callable[[R], str]
    tables: Mapping[str, TableOf[R]]
    record: Callable[[Sequence[R], Choices], list[dict[str, Any]]]
    figure: str = ""
    table: str = ""
    alt: str = "{}"
    figures: Mapping[str, FigureOf] = field(default_factory=dict)
    heeds: tuple[str, ...] = ()
    most: int | None = None
    words: Callable[[Sequence[R], Choices], Words] = no_words
    curves: Callable[[Sequence[R], Choices], Sequence[Curves]] = no_curves
    curves_context: Callable[[R, Choices], str] | None = None
    caption: Callable[[Sequence[R], Choices], Sequence[str]] | None = None
    page: str = ""
    doubts: Callable[[R], Sequence[str]] = no_doubts
    examined: bool = False
    together: Callable[[Sequence[R]], None] = any_results
    comparison: Comparison[Any] | None = None
    animated: bool = False

    def shown_contexts(self, results: Sequence[R], choices: Choices) -> list[str]:
        """What the curves of results rest on."""
        of = self.curves_context
        return [of(result, choices) if of else self.context(result) for result in results]
