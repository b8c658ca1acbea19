"""Verdicts: their rule, and how often they are found where nothing is."""

import math

import numpy as np
import pytest

from tetviz.summaries.seeds import mean_over_seeds
from tetviz.summaries.verdicts import CONTRADICTED, FEW, OPEN, SUPPORTED, UNMEASURED, Claim, Finding, judged

CLEAR = [2.0, 2.1, 1.9, 2.05, 1.95]
NOTHING = [0.4, -0.3, 0.1, -0.5, 0.2]


def finding(values: object, claimed: int = 1) -> Finding:
    return Finding("difference", mean_over_seeds(dict(enumerate(map(float, np.asarray(values))))), "points", claimed)


def claim(*findings: Finding, name: str = "one") -> Claim:
    return Claim(name, "", "", "", findings)


def verdict(*findings: Finding) -> str:
    return judged([claim(*findings)])[0].verdict


def test_all_findings_have_to_hold_and_one_against_is_enough() -> None:
    clear, against, nothing = finding(CLEAR), finding(-np.array(CLEAR)), finding(NOTHING)
    assert verdict(clear, clear) == SUPPORTED
    assert verdict(clear, nothing) == OPEN
    assert verdict(clear, against) == CONTRADICTED
    assert verdict(finding(-np.array(CLEAR), -1)) == SUPPORTED


def test_what_is_explored_decides_nothing() -> None:
    assert verdict(finding(CLEAR), finding(-np.array(CLEAR), 0)) == SUPPORTED


def test_no_verdict_without_findings_seeds_or_numbers() -> None:
    assert verdict() == UNMEASURED
    assert verdict(finding(CLEAR[:2])) == FEW
    assert verdict(finding([math.nan] * 5)) == FEW


def test_a_claim_has_the_largest_p_value_of_its_findings_and_holm_adjusts_claims() -> None:
    first, second = finding(CLEAR), finding([1.0, 2.0, 0.5, 1.5, 1.2])
    both = claim(first, second)
    assert both.p_alone == pytest.approx(2 * max(first.p_for, second.p_for))
    assert both.weakest is second
    found = judged([both, claim(first, name="two"), claim(finding(NOTHING), name="three")])
    assert found[1].p == pytest.approx(3 * 2 * first.p_for)
    assert found[0].p == pytest.approx(2 * both.p_alone)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_a_null_study_finds_nothing_at_the_stated_rate(seeds: int, shared: float) -> None:
    """Two groups of networks that do not differ: claims of one and of several findings, independent and not."""
    generator, studies = np.random.default_rng(seeds), 1000
    found = 0
    for _ in range(studies):
        common = generator.normal(size=seeds)
        claims = []
        for number, size in enumerate([1, 1, 1, 1, 1, 1, 2, 2, 2, 8]):
            draws = shared * common + math.sqrt(1 - shared**2) * generator.normal(size=(size, seeds))
            claims.append(claim(*map(finding, draws), name=str(number)))
        found += any(each.verdict in (SUPPORTED, CONTRADICTED) for each in judged(claims))
    assert found / studies < 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)
    if not shared:
        assert found > 0  # the rate is used, not only kept
