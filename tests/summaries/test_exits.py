"""Early exit: laws, and a run that looks at its mean output after every step."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_results import planted_curve
from wording import refuses

import reference
from tetviz.summaries import exit_curve, exit_timesteps, wilson
from tetviz.summaries.exits import RULES, table_points

IMPOSSIBLE = {"margin": 1.01, "entropy": -0.01}
TRIVIAL = {"margin": 0.0, "entropy": 1.0}


def curve_of(logits_TBK, labels_B):
    """A curve whose confidences are those of given outputs, computed by plain loops."""
    T, B, K = logits_TBK.shape
    prediction, margin, entropy = (np.zeros((B, T)) for _ in range(3))
    for t in range(T):
        means = reference.mean_output(logits_TBK[: t + 1])
        for b in range(B):
            p = np.array(reference.softmax(means[b]))
            prediction[b, t] = means[b].argmax()
            margin[b, t] = np.sort(p)[-1] - np.sort(p)[-2]
            entropy[b, t] = -sum(q * np.log(q) for q in p if q > 0) / np.log(K)
    return dataclasses.replace(
        planted_curve(tmax=T, t_train=1, sample=np.arange(B)),
        label=labels_B,
        prediction=prediction.astype(np.int16),
        margin=margin.astype(np.float32),
        entropy=entropy.astype(np.float32),
        accuracy=(prediction == labels_B[:, None]).mean(0),
        num_classes=K,
    )


def outputs(seed, steps=5, samples=12, classes=4):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, samples)
    return generator.normal(size=(steps, samples, classes)) + 1.5 * np.eye(classes)[labels], labels


@given(st.integers(0, 10_000), st.sampled_from(RULES), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_every_sample_stops_where_a_run_that_looks_at_itself_stops(seed, rule, threshold):
    logits, labels = outputs(seed)
    curve = curve_of(logits, labels)
    stops, hits = reference.early_exit(logits, labels, rule, threshold)
    assert exit_timesteps(curve, rule, threshold).tolist() == stops
    found = exit_curve(curve, rule, [threshold])
    assert found.mean_timesteps[0] == pytest.approx(np.mean(stops))
    assert found.accuracy[0] == pytest.approx(np.mean(hits))


@given(st.integers(0, 10_000), st.sampled_from(RULES))
@settings(max_examples=20, deadline=None)
def test_the_ends_of_the_curve_are_the_first_and_the_last_step(seed, rule):
    curve = curve_of(*outputs(seed))
    none, all_of_them = (exit_curve(curve, rule, [at[rule]]) for at in (IMPOSSIBLE, TRIVIAL))
    assert (none.mean_timesteps[0], none.accuracy[0], none.unsure[0]) == (5, curve.accuracy[-1], 1)
    assert (all_of_them.mean_timesteps[0], all_of_them.accuracy[0]) == (1, curve.accuracy[0])
    assert all_of_them.unsure[0] == 0
    swept = exit_curve(curve, rule)
    assert (swept.mean_timesteps[0], swept.accuracy[0]) == (1, curve.accuracy[0])
    assert (swept.mean_timesteps[-1], swept.accuracy[-1]) == (5, curve.accuracy[-1])
    assert np.isinf(swept.threshold[-1])


@given(st.integers(0, 10_000), st.sampled_from(RULES))
@settings(max_examples=20, deadline=None)
def test_stricter_thresholds_never_stop_a_sample_sooner(seed, rule):
    curve = curve_of(*outputs(seed))
    swept = exit_curve(curve, rule)
    assert (np.diff(swept.mean_timesteps) >= 0).all() and (np.diff(swept.unsure) >= 0).all()
    order = np.diff(swept.threshold) if rule == "margin" else -np.diff(swept.threshold)
    assert (order > 0).all()
    stops = np.stack([exit_timesteps(curve, rule, threshold) for threshold in swept.threshold])
    assert (np.diff(stops, axis=0) >= 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_sweep_of_few_samples_has_every_mean_that_can_be_reached(rule):
    curve = curve_of(*outputs(1, steps=3, samples=4))
    confidence = curve.margin if rule == "margin" else curve.entropy
    every = {exit_timesteps(curve, rule, threshold).mean() for threshold in confidence.ravel().tolist()}
    assert set(exit_curve(curve, rule).mean_timesteps) == every | {1.0, 3.0}


@pytest.mark.parametrize("rule", RULES)
def test_a_sweep_grows_evenly_on_a_logarithmic_axis(rule):
    swept = exit_curve(planted_curve(), rule)
    assert 100 < len(swept.threshold) <= 201
    assert np.diff(np.log(swept.mean_timesteps)).max() < 4 * np.log(64) / 199
    low, high = wilson(swept.accuracy, 1000)
    np.testing.assert_array_equal([swept.low, swept.high], [low, high])


def test_planted_margins_stop_where_they_must():
    """Sample i is sure at (1 - i / N) (1 - 2^-T) >= 0.7003, so the first 67 at T = 2."""
    curve = planted_curve(tmax=4)
    stops = exit_timesteps(curve, "margin", 0.7003)
    i = np.arange(1000)
    expected = np.select([(1 - i / 1000) * (1 - 0.5**t) >= 0.7003 for t in (1, 2, 3)], [1, 2, 3], 4)
    np.testing.assert_array_equal(stops, expected)
    assert (stops == 2).sum() == 67
    np.testing.assert_array_equal(exit_timesteps(curve, "entropy", 0.3001), exit_timesteps(curve, "margin", 0.6999))


@pytest.mark.parametrize("rule", RULES)
def test_what_is_not_finite_is_never_sure(rule):
    curve = curve_of(*outputs(0))
    values = getattr(curve, rule).copy()
    values[3], values[4, :2] = np.nan, np.nan
    broken = dataclasses.replace(curve, **{rule: values})
    stops = exit_timesteps(broken, rule, TRIVIAL[rule])
    assert stops[3] == 5 and stops[4] == 3 and (np.delete(stops, [3, 4]) == 1).all()
    swept = exit_curve(broken, rule)
    assert np.isfinite(swept.threshold[:-1]).all() and swept.unsure[0] == pytest.approx(1 / 12)


@pytest.mark.parametrize("rule", RULES)
def test_a_single_step_leaves_no_choice(rule):
    swept = exit_curve(curve_of(*outputs(0, steps=1)), rule)
    assert swept.mean_timesteps.tolist() == [1] and table_points(swept) == [0]


def test_tables_show_points_of_round_mean():
    swept = exit_curve(planted_curve(), "margin")
    means = swept.mean_timesteps[table_points(swept)]
    np.testing.assert_allclose(means, [1, 1.1, 1.25, 1.5, 2, 3, 4, 6, 8, 16, 32, 64], rtol=0.03)


def test_an_unknown_rule_is_named():
    with refuses(ValueError, "'margn' 'margin'"):
        exit_curve(planted_curve(), "margn")
