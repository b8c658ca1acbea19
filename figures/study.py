"""What the page of a study says: its verdicts, each claim by itself, and the figures and tables of the paper."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.plots.picture import Picture
from tetviz.figures.registry import draw_named
from tetviz.figures.table import Column, Table
from tetviz.results import Result
from tetviz.summaries.claims import judge
from tetviz.summaries.evidence import INHERITED, SDT, SWITCHED, TET, Evidence, method_of
from tetviz.summaries.names import counted
from tetviz.summaries.printed import FIGURES
from tetviz.summaries.runs import training_of
from tetviz.summaries.seeds import METHOD, POWER, detectable, seeds_needed
from tetviz.summaries.verdicts import CONTRADICTED, FEW, OPEN, RATE, SUPPORTED, UNMEASURED, Claim, Finding

_RULE = (
    "How a verdict is found: the unit is the trained network; what is measured on several planes of one is averaged "
    "first, and networks of the same seed are paired. A claim is supported where every one of its findings lies on the "
    "side that the paper says, and contradicted where one lies on the other side. P-values of all claims below are "
    f"adjusted together (Holm), so that two losses which do not differ at all get any verdict in at most {RATE:.0%} of "
    f"studies. Intervals are {METHOD}, each by itself."
)
_OTHER = (
    "Numbers of the paper are of other data, networks and sizes: they stand beside ours to be compared in sign. "
    f"Detectable is the size that as many seeds see in {POWER:.0%} of studies, by an interval without 0; seeds for the "
    "paper's is how many it takes to see a difference of the size that the paper prints so often, where networks vary "
    "as here."
)
_WORDS = {
    SUPPORTED: "Supported: every finding lies on the side that the paper says, adjusted p {p}.",
    CONTRADICTED: "Contradicted: a finding lies on the other side, adjusted p {p}.",
    OPEN: "Not resolved: {seeds} cannot tell the findings from chance, adjusted p {p}.",
    FEW: "Too few seeds for a verdict: it takes three, and a finite number from each.",
    UNMEASURED: "Not measured by this plan.",
}
_SIDES = {1: "above", -1: "below", 0: "explored, no verdict"}
_HERE = Column("here", of="mean", form="#.3g", low="low", high="high", unit="unit")
_PAPER = Column("paper", form="#.3g", missing="")
_FINDINGS = (
    _HERE,
    Column("claimed"),
    _PAPER,
    Column("seeds"),
    Column("detectable", form=".2g"),
    Column("seeds for the paper's"),
)


@dataclass(frozen=True, eq=False)
class Shown:
    """A figure or a table of a study.

    Attributes:
        name: such as ``fig2``; what a file of it is named after.
        it: the figure or table.
    """

    name: str
    it: Picture | Table


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the page.

    Attributes:
        title: its heading.
        contexts: what its numbers rest on.
        shown: sentences, figures and tables, in order.
    """

    title: str
    contexts: tuple[str, ...]
    shown: tuple[str | Shown, ...]


def study_parts(evidence: Sequence[Evidence], about: str) -> list[Part]:
    """All parts of the page, those of one network and its data after those of another.

    Args:
        evidence: as :func:`tetviz.summaries.evidence.evidence_of` sorts it.
        about: what the study is of.
    """
    families = [list(group) for _, group in itertools.groupby(evidence, lambda each: each.setting.family)]
    several = len(families) > 1
    return [part for family in families for part in _family_parts(family, about, several)]


def _family_parts(family: Sequence[Evidence], about: str, several: bool) -> Iterator[Part]:
    first, *others = family
    where = f" ({first.setting})" if several else ""
    claims = judge(first)
    yield Part(f"Verdicts{where}", (about, str(first.setting)), tuple(_verdicts(claims)))
    for claim in claims:
        yield _claim_part(claim, where)
    for other in others:
        yield _explored(other)
    for name, (title, results) in _figures(family).items():
        contexts = (f"The paper's, of other data and sizes: {FIGURES[name]}", _seeds_of(results))
        yield Part(f"{title}{where}", contexts, tuple(_drawn(name, results)))


def _verdicts(claims: Sequence[Claim]) -> list[str | Shown]:
    judged = [claim for claim in claims if not math.isnan(claim.p)]
    counts = [f"{sum(claim.verdict == verdict for claim in judged)} {verdict}" for verdict in _WORDS][:3]
    rows = [
        {"claim": c.title, "verdict": c.verdict, "p": c.p, "seeds": c.seeds or "", **_numbers(c.weakest)}
        for c in claims
    ]
    columns = (Column("verdict"), _HERE, Column("claimed"), Column("p", form=_p, missing=""), Column("seeds"))
    note = "Of each claim the finding that speaks least for it; p is adjusted for the number of claims"
    table = Table(pd.DataFrame(rows).set_index("claim"), columns, note=note)
    return [f"Of {counted(len(judged), 'claim')} judged: {', '.join(counts)}.", Shown("verdicts", table), _RULE, _OTHER]


def _p(value: float, before: str = "") -> str:
    return "< 0.001" if value < 0.001 else f"{before}{value:.2g}"


def _numbers(finding: Finding | None) -> dict[str, Any]:
    if finding is None:
        return {"mean": math.nan, "low": math.nan, "high": math.nan, "unit": "", "claimed": ""}
    mean, side = finding.mean, _SIDES[finding.claimed]
    claimed = f"{side} {finding.null:g}" if finding.claimed else side
    return {"mean": mean.mean, "low": mean.low, "high": mean.high, "unit": finding.unit, "claimed": claimed}


def _claim_part(claim: Claim, where: str) -> Part:
    told = _WORDS[claim.verdict].format(p=_p(claim.p, "= "), seeds=counted(claim.seeds, "seed"))
    note = [f"{claim.note[:1].upper()}{claim.note[1:]}."] if claim.note else []
    table = [Shown(claim.name, findings_table(claim))] if claim.findings else []
    contexts = (f"The paper says: {claim.says}", f"It prints, of other data and sizes: {claim.prints}")
    return Part(f"{claim.title}{where}", contexts, (told, *note, *table))


def findings_table(claim: Claim) -> Table:
    """What was found about a claim, with intervals over seeds, and how many seeds it takes to see more."""
    rows = []
    for finding in claim.findings:
        mean = finding.mean
        without = f", {mean.left_out} without a number" if mean.left_out else ""
        needed = seeds_needed(finding.printed, mean.deviation)
        rows.append(
            {
                "finding": finding.what,
                **_numbers(finding),
                "paper": finding.printed,
                "seeds": f"{mean.seeds}{without}",
                "detectable": detectable(mean.deviation, mean.seeds),
                "seeds for the paper's": "" if math.isnan(finding.printed) else str(needed or "> 10,000"),
            }
        )
    return Table(pd.DataFrame(rows).set_index("finding"), _FINDINGS)


def _explored(evidence: Evidence) -> Part:
    found = [finding for claim in judge(evidence) for finding in claim.findings]
    rows = [{"finding": f.what, **_numbers(f), "paper": f.printed, "seeds": f.mean.seeds} for f in found]
    title = f"The same at T = {evidence.setting.timesteps}, explored"
    context = f"{evidence.setting}. No verdicts: those stand for the longest T alone."
    if not rows:
        return Part(title, (context,), ("Nothing of it is measured.",))
    table = Table(pd.DataFrame(rows).set_index("finding"), (_HERE, _PAPER, Column("seeds")))
    return Part(title, (context,), (Shown(f"explored-T{evidence.setting.timesteps}", table),))


def _figures(family: Sequence[Evidence]) -> dict[str, tuple[str, list[Result]]]:
    # Of what each figure and table of the paper is made here: pictures of one seed, tables of all.
    first = family[0]
    shared = [seed for seed in first.seeds if all(seed in first.methods.get(name, {}) for name in (SDT, TET))]
    seed = shared[0] if shared else -1

    def of_seed(what: str, *methods: str) -> list[Result]:
        found = [first.results(method, what).get(seed) for method in methods]
        return [result for result in found if result is not None]

    def of_all(evidence: Sequence[Evidence], plain: bool = False) -> list[Result]:
        chosen = [(each, name) for each in evidence for name in each.methods if not plain or _is_plain(name)]
        return [result for each, name in chosen for result in each.results(name, "scaling").values()]

    tet = [r for each in reversed(family) for r in [each.results(TET, "scaling").get(seed)] if r is not None]
    weighted = [r for r in of_all([first], plain=True) if "TET" in method_of(r) or "TOTAL" in method_of(r)]
    smooth = [r for r in of_all([first]) if method_of(r).partition(", k = ")[0] in (SDT, TET)]
    both = of_seed("scaling", SDT, TET)
    return {
        "fig2": ("Figure 2: loss surfaces", of_seed("surface", SDT, TET)),
        "fig3": ("Figure 3: a change of the loss", of_seed("history", SDT, SWITCHED)),
        "fig4a": ("Figure 4A: accuracy against T", [*tet, *of_seed("scaling", INHERITED)]),
        "fig4b": ("Figure 4B: accuracy against energy", of_seed("energy", SDT, TET)),
        "fig5": ("Figure 5: loss surfaces in 3-D", of_seed("surface", SDT, TET)),
        "fig6": ("Figure 6: accuracy against lambda", weighted),
        "fig7": ("Figure 7: accuracy of runs and of their steps", of_all([first], plain=True)),
        "fig8": ("Figure 8: accuracy at many T", both),
        "table1": ("Table 1: accuracy by loss", of_all(family, plain=True)),
        "table2": ("Table 2: smooth neurons and spikes", smooth),
        "table3": ("Table 3, own rows: accuracy", of_all(family)),
        "table4": ("Table 4: accuracy of single steps", both),
    }


def _seeds_of(results: Sequence[Result]) -> str:
    seeds = sorted({int(training_of(result.provenance)["seed"]) for result in results})
    return f"Here: networks of seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}." if seeds else ""


def _is_plain(method: str) -> bool:
    return method.partition(", lambda ")[0] in (SDT, TET, "TOTAL") and method.count(",") < 2


def _drawn(name: str, results: Sequence[Result]) -> Iterator[str | Shown]:
    if not results:
        yield "Not measured by this plan."
        return
    try:
        drawn = draw_named(name, results)
    except ResultError as error:
        yield f"Not drawn: {error}."
        return
    yield Shown(name, drawn)
    yield drawn.caption.partition("\n\n")[0]
