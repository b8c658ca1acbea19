"""Wilson intervals, paired differences, classes: against scipy, enumeration and slow loops."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_results import origin, planted_curve
from scipy import stats
from wording import refuses

import reference
from tetviz.errors import ResultError
from tetviz.summaries import class_accuracy, compare_scaling, wilson
from tetviz.summaries.scaling import FEW_SPLIT, differences_from_first, paired_interval, table_timesteps


def curve_of(right, label="tet", **attributes):
    """A curve of which it is known which samples are right: right (sample, timestep)."""
    right = np.asarray(right, bool)
    samples, steps = right.shape
    labels = np.arange(samples) % 3
    curve = planted_curve(tmax=steps, t_train=min(2, steps), sample=np.arange(samples), label=label)
    accuracy = right.mean(0)
    return dataclasses.replace(
        curve,
        label=labels,
        prediction=(labels[:, None] + ~right) % 3,
        accuracy=accuracy,
        num_classes=3,
        **attributes,
    )


def pair(only_first, only_second, both, neither, steps=1):
    rows = [(1, 0)] * only_first + [(0, 1)] * only_second + [(1, 1)] * both + [(0, 0)] * neither
    columns = np.array(rows)
    return [curve_of(np.repeat(columns[:, [k]], steps, 1), name) for k, name in enumerate(("sdt", "tet"))]


# --- Wilson -------------------------------------------------------------------------------------------------


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_and_the_root_of_its_equation(counts):
    right, samples = counts
    found = wilson(right / samples, samples)
    expected = stats.binomtest(right, samples).proportion_ci(method="wilson")
    np.testing.assert_allclose(found, (expected.low, expected.high), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found, reference.wilson(right, samples, 1.959963984540054), rtol=1e-7, atol=1e-7)
    assert 0 <= found[0] <= right / samples <= found[1] <= 1
    mirrored = wilson(1 - right / samples, samples)
    np.testing.assert_allclose(mirrored, (1 - found[1], 1 - found[0]), atol=1e-12)


def test_wilson_takes_arrays_and_knows_what_is_missing():
    low, high = wilson([[0.5, np.nan], [0.0, 1.0]], [[10], [0]])
    assert low.shape == (2, 2)
    assert low[0, 0] < 0.5 < high[0, 0]
    assert np.isnan([low[0, 1], high[0, 1], *low[1], *high[1]]).all()


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_wilson_holds_the_share_about_as_often_as_it_says(share):
    draws = stats.binom(200, share)
    counts = np.arange(201)
    low, high = wilson(counts / 200, 200)
    assert 0.93 < draws.pmf(counts)[(low <= share) & (share <= high)].sum() < 0.98


# --- paired differences -------------------------------------------------------------------------------------


def test_the_mean_is_that_of_a_loop_over_samples():
    generator = np.random.default_rng(0)
    first, second = (curve_of(generator.random((40, 5)) < 0.7, name) for name in "ab")
    found = compare_scaling(first, second)
    for t in range(5):
        gaps = [
            int(second.prediction[i, t] == second.label[i]) - int(first.prediction[i, t] == first.label[i])
            for i in range(40)
        ]
        assert found.mean[t] == pytest.approx(sum(gaps) / 40)
        assert found.split[t] == sum(gap != 0 for gap in gaps)
    np.testing.assert_allclose(found.mean, second.accuracy - first.accuracy)
    assert (found.samples, found.timestep) == (40, 2)


@pytest.mark.parametrize("counts", [(3, 11, 20, 6), (20, 20, 100, 10), (0, 9, 30, 1)])
def test_the_interval_is_that_of_one_sample_more_on_either_side(counts):
    """Wald's interval of the differences of all samples and of two more, of which either network gets one right."""
    found = compare_scaling(*pair(*counts))
    gaps = np.repeat([-1.0, 1.0, 0.0], [counts[0] + 1, counts[1] + 1, counts[2] + counts[3]])
    half = 1.959964 * gaps.std() / np.sqrt(len(gaps))
    assert found.mean[0] == pytest.approx((counts[1] - counts[0]) / sum(counts))
    assert found.low[0] == pytest.approx(gaps.mean() - half, abs=1e-6)
    assert found.high[0] == pytest.approx(gaps.mean() + half, abs=1e-6)


@pytest.mark.parametrize("samples", [30, 100, 300])
@pytest.mark.parametrize("shares", [(0.02, 0.02), (0.1, 0.1), (0.02, 0.08), (0.05, 0.2), (0.4, 0.3)])
def test_the_interval_holds_the_difference_at_least_as_often_as_it_says(samples, shares):
    """Over all outcomes of N samples, by their multinomial probability."""
    p, q = shares
    b, c = (each.ravel() for each in np.indices((samples + 1, samples + 1)))
    b, c = b[b + c <= samples], c[b + c <= samples]
    chances = stats.multinomial(samples, [p, q, 1 - p - q]).pmf(np.stack([b, c, samples - b - c], 1))
    low, high = paired_interval(b, c, samples)
    assert chances[(low <= q - p) & (q - p <= high)].sum() > 0.945
    if samples * max(shares) > 25:
        assert chances[(low <= q - p) & (q - p <= high)].sum() < 0.96


@given(st.integers(0, 12), st.integers(0, 12), st.integers(2, 30))
@settings(max_examples=25, deadline=None)
def test_swapping_the_checkpoints_turns_the_interval_round(only_first, only_second, both):
    first, second = pair(only_first, only_second, both, 3)
    there, back = compare_scaling(first, second), compare_scaling(second, first)
    step = 1.01 / there.samples
    assert back.mean[0] == pytest.approx(-there.mean[0])
    assert back.low[0] == pytest.approx(-there.high[0], abs=step)
    assert back.high[0] == pytest.approx(-there.low[0], abs=step)
    assert there.low[0] <= there.mean[0] <= there.high[0]
    assert there.split[0] == only_first + only_second


def test_pairing_is_worth_it():
    """Two that agree but for a few samples: the difference is known far better than either accuracy."""
    found = compare_scaling(*pair(1, 12, 300, 100))
    low, high = wilson(found.first_accuracy, found.samples)
    assert found.high[0] - found.low[0] < 0.5 * (high[0] - low[0])
    assert found.is_resolved[0]
    assert found.first_accuracy[0] > wilson(found.second_accuracy, found.samples)[0][0]


def test_a_checkpoint_beside_itself_differs_by_nothing():
    curve = curve_of(np.random.default_rng(0).random((30, 3)) < 0.6)
    found = compare_scaling(curve, dataclasses.replace(curve, provenance=origin(label="b", **data())))
    assert not found.mean.any() and not found.split.any()
    # Of 30 other samples that agree nobody knows that the 31st would.
    np.testing.assert_allclose([-found.low, found.high], 1.959964 * np.sqrt(2) / 32, rtol=1e-6)
    assert found.sentence() == (
        "T = 2: accuracy of b minus tet: +0.00 points [-8.66, +8.66], within the noise of 30 samples"
    )


def data():
    return {"dataset": "cifar10", "split": "test"}


def test_words_say_what_the_interval_allows():
    clear = compare_scaling(*pair(2, 30, 60, 8))
    assert clear.words(1) == "" and clear.is_resolved[0]
    assert clear.sentence().startswith("T = 1: tet is more accurate than sdt by 28.00 points [")
    back = compare_scaling(*pair(30, 2, 60, 8))
    assert back.sentence().startswith("T = 1: sdt is more accurate than tet by 28.00 points [")
    low, high = (float(each) for each in back.sentence().split("[")[1].split("]")[0].split(", "))
    assert 0 < low < 28 < high
    even = compare_scaling(*pair(9, 10, 60, 8))
    assert even.words(1) == "within the noise of 87 samples" and "+1.15 points" in even.sentence()
    few = compare_scaling(*pair(0, FEW_SPLIT - 1, 12, 8))
    assert few.leaves_out_zero[0] and not few.is_resolved[0]
    assert few.words(1) == "only 5 samples tell them apart, too few"
    one = compare_scaling(*pair(0, 1, 0, 0))
    assert one.low[0] < 0 < one.high[0] == 1 and one.words(1) == "within the noise of 1 sample"


@pytest.mark.parametrize("split", [6, 8, 10, 15, 30])
def test_of_equal_checkpoints_few_are_told_apart(split):
    """Every way in which pure chance divides the samples that split two equally good networks."""
    wrong = 0.0
    for k in range(split + 1):
        found = compare_scaling(*pair(k, split - k, 400, 0))
        wrong += stats.binom(split, 0.5).pmf(k) * bool(found.is_resolved[0])
    assert wrong < 0.05


def test_what_was_not_measured_on_the_same_samples_is_not_compared():
    curve = planted_curve(tmax=4)
    samples = np.arange(1000)
    others = {
        "samples": planted_curve(tmax=4, sample=samples[::-1]),
        "samples (1,000 and 500)": planted_curve(tmax=4, sample=samples[:500]),
        "labels": dataclasses.replace(curve, label=samples[::-1] % 10),
        "data set": planted_curve(tmax=4, provenance=origin(dataset="cifar100", split="test")),
        "split": planted_curve(tmax=4, provenance=origin(dataset="cifar10", split="train")),
        "data settings": planted_curve(
            tmax=4, provenance=origin(dataset="cifar10", split="test", data_settings={"split_seed": 1})
        ),
    }
    for words, other in others.items():
        with refuses(ResultError, "measured on") as error:
            compare_scaling(curve, other)
        assert words in str(error.value)
    moved = planted_curve(tmax=4, provenance=origin(**data(), data_settings={"root": "elsewhere"}))
    assert (compare_scaling(curve, moved).mean == 0).all()


def test_runs_of_another_length_are_compared_as_far_as_both_go():
    found = compare_scaling(planted_curve(tmax=8), planted_curve(tmax=3, t_train=2, top=0.8))
    assert len(found.mean) == len(found.low) == len(found.first_accuracy) == 3 and found.timestep == 3


def test_several_are_compared_with_the_first_and_named_apart():
    curves = [planted_curve(tmax=4, top=top, label=name) for top, name in ((0.5, "a"), (0.7, "b"), (0.9, "b"))]
    found = differences_from_first(curves)
    assert [(each.first, each.second) for each in found] == [("a", "b #1"), ("a", "b #2")]
    assert found[0].mean[3] < found[1].mean[3]
    assert differences_from_first(curves[:1]) == []


# --- classes and tables -------------------------------------------------------------------------------------


def test_classes_are_counted_one_by_one():
    curve = curve_of(np.random.default_rng(3).random((31, 4)) < 0.5)
    table = class_accuracy(curve)
    assert table.index.tolist() == [0, 1, 2] and table.columns.tolist() == [1, 2, 3, 4]
    for each in range(3):
        members = [i for i in range(31) if curve.label[i] == each]
        for t in range(4):
            hits = sum(int(curve.prediction[i, t] == each) for i in members)
            assert table.loc[each, t + 1] == pytest.approx(hits / len(members))
    counts = np.bincount(curve.label)
    np.testing.assert_allclose(counts @ table.to_numpy() / 31, curve.accuracy)


def test_a_class_without_samples_is_missing():
    curve = dataclasses.replace(curve_of(np.ones((6, 2))), num_classes=5)
    assert class_accuracy(curve).isna().all(axis=1).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("tmax", "trained", "expected"),
    [(64, 4, [1, 2, 4, 8, 16, 32, 64]), (10, 6, [1, 2, 4, 6, 8, 10]), (3, 6, [1, 2, 3]), (1, 1, [1])],
)
def test_tables_have_the_powers_of_two_the_training_t_and_the_last(tmax, trained, expected):
    curve = planted_curve(tmax=tmax, t_train=0)
    assert table_timesteps(dataclasses.replace(curve, t_train=trained)) == expected
