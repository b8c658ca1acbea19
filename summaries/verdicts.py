"""What is found about a claim over training seeds, and its verdict, at a rate that holds for all claims together.

A claim is a set of findings, each a mean over training seeds that the paper says is above (or below) a number. All of
them have to hold, so it is supported as far as the least of them is: its p-value is the largest of theirs, one-sided
(an intersection-union test, which needs no correction). It is contradicted as far as any of them goes the other way:
the smallest p-value of the other side times their number (Bonferroni). Twice the smaller of both is the p-value of the
claim, and those of all claims of a network are adjusted by Holm's method: where two losses do not differ at all, some
verdict is found in at most one study of twenty.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tetviz.summaries.intervals import CONFIDENCE, holm
from tetviz.summaries.seeds import FEW_SEEDS, SeedMean

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not resolved"
FEW, UNMEASURED = "too few seeds", "not measured by this plan"
RATE = 1 - CONFIDENCE


@dataclass(frozen=True)
class Finding:
    """A mean over training seeds that a claim is about.

    Attributes:
        what: such as ``step t = 3``.
        mean: the mean with its interval.
        unit: of the mean.
        claimed: 1 where the paper says that it is above ``null``, -1 where below, 0 where it is only explored.
        null: what it is tested against.
        printed: the same number of the paper, on other data and sizes; NaN where it prints none.
    """

    what: str
    mean: SeedMean
    unit: str
    claimed: int = 1
    null: float = 0.0
    printed: float = math.nan

    @property
    def p_for(self) -> float:
        """P-value for the side that the paper says."""
        return self.mean.p_above if self.claimed > 0 else self.mean.p_below

    @property
    def p_against(self) -> float:
        """P-value for the other side."""
        return self.mean.p_below if self.claimed > 0 else self.mean.p_above


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and what comes of it here.

    Attributes:
        name: a key of :data:`CLAIMS`.
        title: a few words for it.
        says: what the paper says, in a sentence.
        prints: what it prints of it, of which networks and data.
        findings: what was found; none where it is not measured.
        verdict: one of the verdicts of this module.
        p: its p-value, adjusted for the number of claims; NaN without a verdict.
        note: what else a reader has to know.
    """

    name: str
    title: str
    says: str
    prints: str
    findings: tuple[Finding, ...]
    verdict: str = UNMEASURED
    p: float = math.nan
    note: str = ""

    @property
    def tested(self) -> list[Finding]:
        """The findings that the verdict rests on."""
        return [finding for finding in self.findings if finding.claimed]

    @property
    def weakest(self) -> Finding | None:
        """The finding that speaks least for the claim."""
        known = [finding for finding in self.tested if not math.isnan(finding.p_for)]
        return max(known, key=lambda finding: finding.p_for) if known else None

    @property
    def seeds(self) -> int:
        """The fewest seeds of a finding that counts."""
        return min((finding.mean.seeds for finding in self.tested), default=0)

    @property
    def p_alone(self) -> float:
        """Its p-value before the adjustment; NaN where one of its findings has none."""
        tested = self.tested
        supported = max(finding.p_for for finding in tested)
        against = min(1.0, len(tested) * min(finding.p_against for finding in tested))
        if any(math.isnan(finding.p_for) for finding in tested):
            return math.nan
        return min(1.0, 2 * min(supported, against))

    @property
    def leans_for(self) -> bool:
        """Whether the findings are on the side of the paper rather than on the other."""
        tested = self.tested
        return max(f.p_for for f in tested) < min(1.0, len(tested) * min(f.p_against for f in tested))


def judged(claims: Sequence[Claim]) -> list[Claim]:
    """Claims with their verdicts, from the findings of all of them."""
    ready = [claim for claim in claims if claim.tested and claim.seeds >= FEW_SEEDS and not math.isnan(claim.p_alone)]
    adjusted = holm(np.array([claim.p_alone for claim in ready])).tolist()
    told = {claim.name: (_verdict(claim, p), p) for claim, p in zip(ready, adjusted, strict=True)}
    nothing = {claim.name: (FEW if claim.tested else UNMEASURED, math.nan) for claim in claims}
    verdicts = nothing | told
    return [replace(claim, verdict=verdicts[claim.name][0], p=verdicts[claim.name][1]) for claim in claims]


def _verdict(claim: Claim, p: float) -> str:
    if p >= RATE:
        return OPEN
    return SUPPORTED if claim.leans_for else CONTRADICTED
