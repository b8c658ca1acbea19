"""What is found about each claim, against planted differences worked out by hand."""

import math

import numpy as np
import pytest
from planted_results import planted_counts
from planted_study import planted_accuracy, planted_study, trained

from tetviz.results import Result
from tetviz.summaries.claims import CLAIMS, energy_gain, judge
from tetviz.summaries.evidence import Evidence, evidence_of
from tetviz.summaries.printed import FIGURES, PRINTED, printed_size
from tetviz.summaries.verdicts import CONTRADICTED, SUPPORTED, UNMEASURED, Claim


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    (found,) = evidence_of(planted_study())
    return found


@pytest.fixture(scope="module")
def claims(evidence: Evidence) -> dict[str, Claim]:
    return {claim.name: claim for claim in judge(evidence)}


def means(claim: Claim) -> list[float]:
    return [finding.mean.mean for finding in claim.findings]


def test_every_claim_is_measured_of_a_whole_study(claims: dict[str, Claim]) -> None:
    assert list(claims) == list(CLAIMS) == list(PRINTED)
    assert all(claim.findings for claim in claims.values())


def test_the_gain_in_accuracy_is_found(claims: dict[str, Claim]) -> None:
    gain = 10 * 1.02  # points, mean over seeds 0 to 4
    assert means(claims["accuracy"]) == pytest.approx([gain])
    assert claims["accuracy"].verdict == SUPPORTED
    assert claims["accuracy"].findings[0].printed == 3.25
    ripple = 100 * 0.9 * np.array([0, 0, 0, 0, 0.03, -0.03, 0.03, -0.03])
    assert means(claims["steps"]) == pytest.approx(gain - ripple)
    assert claims["steps"].verdict == SUPPORTED
    assert means(claims["mean of steps"]) == pytest.approx([gain, 0], abs=1e-9)


def test_variance_over_time_is_compared_by_its_logarithm(claims: dict[str, Claim]) -> None:
    assert means(claims["variance"]) == pytest.approx([math.log10(0.1**2)])
    assert printed_size("variance", 4) == pytest.approx(math.log10(0.08 / 4.04))


def test_inheritance_is_held_to_a_point_and_says_its_cost(claims: dict[str, Claim]) -> None:
    claim = claims["inheritance"]
    assert means(claim) == pytest.approx([0.2])
    assert claim.verdict == SUPPORTED
    assert claim.note == "it costs 58 timestep-epochs, training from scratch 120: 0.48 of it"


@pytest.mark.parametrize("name", ["flat planes", "flat planes, statistics re-estimated"])
def test_planes_are_averaged_within_a_network(claims: dict[str, Claim], evidence: Evidence, name: str) -> None:
    claim = claims[name]
    assert [finding.mean.seeds for finding in claim.findings] == [5, 5]
    result = evidence.results("SDT", "sharpness")[0]
    at, centre = np.isclose(np.abs(result.x), 0.5), result.x == 0
    for finding, loss in zip(claim.findings, ("sdt", "tet"), strict=True):
        values = getattr(result, f"{loss}_loss")[..., 3] / 5.0
        rise = float((values[:, at].mean(1) - values[:, centre][:, 0]).mean())
        assert finding.mean.mean == pytest.approx(-2 * rise)


def test_the_switch_lowers_both_losses_of_the_last_epoch(claims: dict[str, Claim], evidence: Evidence) -> None:
    plain, switched = (evidence.results(name, "history")[0] for name in ("SDT", "SDT, then TET"))
    expected = [getattr(switched, f"test_{x}_loss")[-1] - getattr(plain, f"test_{x}_loss")[-1] for x in ("sdt", "tet")]
    assert means(claims["switch"]) == pytest.approx(expected)


def test_smooth_neurons_have_a_tenth_of_the_gap(claims: dict[str, Claim]) -> None:
    assert means(claims["smooth neurons"]) == pytest.approx([0.9 * 10.2, 0.1 * 10.2])


def test_accuracy_is_compared_at_the_same_energy() -> None:
    cheap, dear = planted_counts(accuracy=np.array([0.5, 0.6, 0.7, 0.8])), planted_counts(accuracy=np.full(4, 0.5))
    assert energy_gain(dear, dear) == 0
    # Both spend the same, so the gain is the mean of a line from 0 to 30 points over energies that rise unevenly.
    assert 10 < energy_gain(dear, cheap) < 20
    assert math.isnan(energy_gain(dear, planted_counts(not_counted=("custom op",))))


def test_the_opposite_is_contradicted() -> None:
    (evidence,) = evidence_of(planted_study(gain=-0.1))
    verdicts = {claim.name: claim.verdict for claim in judge(evidence)}
    assert verdicts["accuracy"] == verdicts["steps"] == verdicts["efficiency"] == CONTRADICTED


def test_what_a_plan_does_not_train_has_no_verdict() -> None:
    made: list[Result] = [trained(planted_accuracy(0.5 + 0.01 * seed), "sdt", seed) for seed in range(5)]
    (evidence,) = evidence_of(made)
    assert {claim.verdict for claim in judge(evidence)} == {UNMEASURED}


def test_a_null_study_of_networks_finds_nothing_at_the_stated_rate() -> None:
    """Two groups of networks of the same loss: accuracies of all steps drawn from one distribution."""
    generator, studies, found = np.random.default_rng(0), 200, 0
    for _ in range(studies):
        made: list[Result] = []
        for loss in ("sdt", "tet"):
            for seed in range(4):
                steps = np.clip(0.6 + 0.02 * generator.normal() + 0.02 * generator.normal(size=8), 0, 1)
                growth = 0.01 * generator.normal(size=8)
                curve = planted_accuracy(
                    float(steps.mean()), step_accuracy=steps, relative_growth=growth, sample=np.arange(10)
                )
                made.append(trained(curve, loss, seed))
        (evidence,) = evidence_of(made)
        found += any(claim.verdict in (SUPPORTED, CONTRADICTED) for claim in judge(evidence))
    assert found / studies < 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


def test_figures_of_the_paper_are_named_as_those_of_tetviz() -> None:
    numbers = ["fig2", "fig3", "fig4a", "fig4b", "fig5", "fig6", "fig7", "fig8"]
    assert list(FIGURES) == [*numbers, "table1", "table2", "table3", "table4"]
