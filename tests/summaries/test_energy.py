"""Energy from counts: published numbers, a hand count, and laws on random counts."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_results import PLANTED_LAYERS, planted_counts
from wording import heard, refuses

from tetviz.errors import ResultError, TetvizError
from tetviz.results import OperationCounts
from tetviz.results.schema import array_fields
from tetviz.summaries import (
    CONVENTIONS,
    COSTS,
    baselines,
    break_even,
    convention,
    convention_table,
    energy_table,
    estimate_energy,
    layer_table,
    side_table,
    spike_table,
)
from tetviz.summaries.conventions import CHOICES, SIDE_COSTS
from tetviz.summaries.energy_tables import beside_anns, rate_estimate

LAYERS = len(PLANTED_LAYERS)
PER_STEP = [name for name, schema in array_fields(OperationCounts).items() if schema["dims"] == ("layer", "timestep")]
CLASSES = (
    "data",
    "data",
    "binary",
    "scaled",
    "ternary",
    "graded",
    "pooled",
    "analog",
    "mixed",
    "binary, pooled",
    "graded, data",
    "",
)


def rows(timesteps, values):
    """Totals of some layers as (layer, timestep): spread over the steps, the remainder on the first."""
    column = np.zeros((LAYERS, timesteps), dtype=int)
    for layer, total in values.items():
        column[layer] = total // timesteps
        column[layer, 0] += total - total // timesteps * timesteps
    return column


CONV1, CONV2, CONV3, CONV4, FC = (i for i, layer in enumerate(PLANTED_LAYERS) if layer[1] in ("Conv2d", "Linear"))


def bare(timesteps, samples, **columns):
    """Counts of nothing but the given columns."""
    empty = {name: np.zeros((LAYERS, timesteps), dtype=int) for name in PER_STEP}
    given = {name: rows(timesteps, values) for name, values in columns.items()}
    known = {layer: each for layer, each in columns.get("mac", {}).items() if layer in columns.get("unit_ac", {})}
    given["unit_mac"] = rows(timesteps, known)
    return planted_counts(timesteps=timesteps, samples=samples, t_train=timesteps, **{**empty, **given})


def random_counts(seed, timesteps, samples):
    """Counts without sense: any column, class and flag may be anything."""
    draw = np.random.default_rng(seed)
    columns = {name: draw.integers(0, 10**9, (LAYERS, timesteps)) for name in PER_STEP}
    columns |= {name: columns[name] * draw.integers(0, 2, (LAYERS, 1)) for name in ("dense_mac", "norm_mac", "mac")}
    columns["unit_mac"] = columns["mac"] * draw.integers(0, 2, (LAYERS, 1))
    return planted_counts(
        timesteps=timesteps,
        samples=samples,
        **columns,
        neurons=draw.integers(0, 3, LAYERS) * draw.integers(1, 10**6, LAYERS),
        weights=draw.integers(0, 10**6, LAYERS),
        static=draw.integers(0, 2, LAYERS),
        foldable=draw.integers(0, 2, LAYERS),
        inputs=tuple(draw.choice(CLASSES, LAYERS).tolist()),
    )


def cut(counts, timesteps):
    """The counts of a run of fewer steps."""
    shorter = {}
    for name, schema in array_fields(OperationCounts).items():
        if "timestep" in schema["dims"]:
            shorter[name] = getattr(counts, name)[..., :timesteps]
    return dataclasses.replace(counts, **shorter)


conventions = st.builds(
    convention,
    st.sampled_from(sorted(CONVENTIONS)),
    **{name: st.sampled_from(known) for name, known in CHOICES.items()},
)
counted = st.builds(random_counts, st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 4))


# Published numbers


def test_spikingformer_8_512():
    """346,816,512 MAC of the first convolution over 4 steps, 513,000 of the head, 6,517,540,940.76 AC: 7.46 mJ."""
    counts = bare(
        4,
        25,
        dense_mac={CONV1: 25 * 346_816_512, FC: 25 * 513_000},
        mac={CONV1: 25 * 346_816_512, FC: 25 * 513_000},
        ac={CONV2: round(25 * 6_517_540_940.76)},
    )
    counts = dataclasses.replace(counts, inputs=(*list(counts.inputs)[:-1], "analog"))
    report = estimate_energy(counts)
    assert report.total_mac[-1] == 347_329_512
    assert report.total_pj[-1] / 1e9 == pytest.approx(7.4635026, abs=5e-8)
    assert estimate_energy(counts, first_layer="once").total_pj[-1] / 1e9 == pytest.approx(6.2670, abs=5e-5)


def test_the_first_convolution_of_spikssd_alone():
    counts = bare(5, 1, dense_mac={CONV1: 5 * 4 * 64 * 49 * 120 * 152}, mac={CONV1: 5 * 4 * 64 * 49 * 120 * 152})
    assert estimate_energy(counts).total_pj[-1] / 1e9 == pytest.approx(5.262, abs=5e-4)


def tiny():
    """A network counted by hand: three convolutions, the third behind average pooling, and a linear layer."""
    dense = {CONV1: 27648, CONV2: 18432, CONV3: 4608, FC: 1280}
    inbounds = {CONV1: 23232, CONV2: 15488, CONV3: 2048, FC: 1280}
    return bare(
        4,
        1,
        dense_mac=dense,
        inbounds_mac=inbounds,
        mac={CONV1: 23232, CONV3: 1032},
        unit_ac={CONV3: 1584},
        ac={CONV2: 2416, FC: 350},
    )


def test_one_network_has_the_four_energies_of_its_hand_count():
    table = convention_table(tiny())
    assert table["energy (nJ)"].round(1).to_dict() == {
        "strict, per-step": 114.1,
        "strict, once": 34.0,
        "tet, per-step": 110.8,
        "tet, once": 30.6,
    }
    assert table["MAC"].tolist() == [24264, 6840, 23232, 5808]
    assert table["AC"].tolist() == [2766, 2766, 4350, 4350]


def test_the_ann_of_the_same_shapes_flips_the_verdict_with_the_convention():
    per_step, once = (
        baselines(estimate_energy(tiny(), convention="strict", first_layer=f)) for f in ("per-step", "once")
    )
    assert per_step["energy (nJ)"].round(1).tolist()[:2] == [59.8, 48.4]
    assert per_step["MAC"].tolist() == [12992, 10512, 10512]
    assert round(per_step["ANN/SNN"]["ANN, in-bounds"], 2) == 0.42
    assert round(once["ANN/SNN"]["ANN, in-bounds"], 2) == 1.42
    # T = 4 needs 3 bits; 0.2 * 3 / 8 + 0.1 pJ a MAC against 0.3 and 0.1 pJ of the SNN in the same arithmetic.
    quantised = once.loc["3-bit ANN, in-bounds"]
    assert quantised["energy (nJ)"] == pytest.approx(10512 * 0.175 / 1e3)
    assert quantised["SNN (nJ)"] == pytest.approx((6840 * 0.3 + 2766 * 0.1) / 1e3)


def test_an_snn_at_break_even_costs_what_the_ann_does():
    cost = COSTS["45nm-fp32"]
    counts = bare(4, 10, dense_mac={CONV2: 4 * 9000}, inbounds_mac={CONV2: 4 * 9000}, ac={CONV2: 46000})
    report = estimate_energy(counts, cost)
    assert layer_table(report)["spikes/synapse"].tolist() == pytest.approx([break_even(cost)] * 2)
    assert baselines(report)["ANN/SNN"]["ANN, in-bounds"] == pytest.approx(1)


# Against a slow re-implementation


def slow(counts, chosen):
    """MACs, ACs and side operations of every layer and step, one by one."""
    inputs = [entry.split(", ") for entry in list(counts.inputs)]
    weighted = [bool(counts.dense_mac[layer].any()) for layer in range(LAYERS)]
    first = next((layer for layer in range(LAYERS) if counts.neurons[layer]), LAYERS)
    once = [
        weighted[layer] and counts.static[layer] == 1 and (layer < first or inputs[layer] == ["data"])
        for layer in range(LAYERS)
    ]
    idle = any(once) and all(once[layer] for layer in range(first) if weighted[layer])
    become = {"pooled": chosen.pool == "fold", "graded": chosen.graded == "repeat"}
    mac, ac, side = {}, {}, {}
    for layer in range(LAYERS):
        others = [kind for kind in inputs[layer] if kind in become]
        additions = bool(others) and all(become[kind] for kind in others)
        is_norm = not weighted[layer] and counts.norm_mac[layer].any()
        for step in range(len(counts.timestep)):
            at = (layer, step)
            mac[at], ac[at] = int(counts.mac[at]), int(counts.ac[at])
            if additions:
                mac[at] -= int(counts.unit_mac[at])
                ac[at] += int(counts.unit_ac[at])
            side[at] = {name: int(getattr(counts, name)[at]) for name in SIDE_COSTS}
            if is_norm and chosen.norm == "charge":
                side[at]["bias_add"] = 0
            if is_norm and chosen.norm == "fold" and counts.foldable[layer]:
                side[at]["norm_mac"] = 0
            if chosen.first_layer == "once" and step > 0 and (once[layer] or (idle and layer < first)):
                mac[at], ac[at], side[at] = 0, 0, dict.fromkeys(SIDE_COSTS, 0)
    return mac, ac, side


@given(counted, conventions)
@settings(max_examples=40, deadline=None)
def test_a_report_is_that_of_loops_over_layers_and_steps(counts, chosen):
    report = estimate_energy(counts, "45nm-fp32", chosen)
    mac, ac, side = slow(counts, chosen)
    shape = (LAYERS, len(counts.timestep))
    assert report.mac.dtype == report.ac.dtype == np.int64
    for at in np.ndindex(shape):
        assert (report.mac[at], report.ac[at]) == (mac[at], ac[at])
        assert {name: column[at] for name, column in report.side.items()} == side[at]
        assert report.compute_pj[at] == pytest.approx(4.6 * mac[at] + 0.9 * ac[at])
        operations = side[at]
        adds = sum(operations[f"{name}_add"] for name in ("bias", "residual", "pool", "readout", "neuron"))
        compares = operations["neuron_compare"] + operations["neuron_reset"]
        expected = 4.6 * operations["norm_mac"] + 3.7 * operations["neuron_mul"] + 0.9 * (adds + compares)
        assert report.side_pj[at] == pytest.approx(expected)
    for t in counts.timestep:
        until = sum(4.6 * mac[at] + 0.9 * ac[at] for at in np.ndindex(shape) if at[1] < t)
        assert report.total_pj[t - 1] == pytest.approx(until / len(counts.sample))
        # The same number in every table.
        assert layer_table(report, t)["energy (nJ)"]["total"] == pytest.approx(report.total_pj[t - 1] / 1e3, rel=1e-14)
        assert energy_table(report)["energy (nJ)"][t] == report.total_pj[t - 1] / 1e3
        assert side_table(report, t)["side (nJ)"]["total"] == pytest.approx(report.total_side_pj[t - 1] / 1e3)


# Laws


@given(counted, conventions, st.data())
@settings(max_examples=30, deadline=None)
def test_a_shorter_run_gives_the_same_bits(counts, chosen, data):
    timesteps = data.draw(st.integers(1, len(counts.timestep)))
    long, short = (estimate_energy(each, None, chosen, memory="sram") for each in (counts, cut(counts, timesteps)))
    for name in ("mac", "ac", "compute_pj", "side_pj", "memory_low_pj", "memory_high_pj"):
        assert getattr(long, name)[:, :timesteps].tobytes() == getattr(short, name).tobytes(), name
    for name in ("total_mac", "total_ac", "total_pj", "total_side_pj", "total_memory_low_pj", "accuracy_per_joule"):
        assert getattr(long, name)[:timesteps].tobytes() == getattr(short, name).tobytes(), name


@given(counted, st.integers(0, 2**31), st.integers(1, 4), conventions)
@settings(max_examples=30, deadline=None)
def test_samples_add_up(counts, seed, samples, chosen):
    more = random_counts(seed, len(counts.timestep), samples)
    same = {name: getattr(counts, name) for name in ("neurons", "weights", "static", "foldable", "inputs")}
    shapes = {name: getattr(counts, name) for name in ("dense_mac", "norm_mac")}
    more = dataclasses.replace(more, **same, **shapes)
    both = dataclasses.replace(
        counts,
        sample=np.arange(len(counts.sample) + samples),
        **{name: getattr(counts, name) + getattr(more, name) for name in PER_STEP},
    )
    one, other, together = (estimate_energy(each, None, chosen) for each in (counts, more, both))
    for name in ("total_pj", "total_side_pj"):
        mean = (getattr(one, name) * one.samples + getattr(other, name) * other.samples) / together.samples
        np.testing.assert_allclose(getattr(together, name), mean, rtol=1e-12)


@given(counted, conventions, st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_energy_is_linear_in_the_constants(counts, chosen, factor):
    cost = COSTS["45nm-fp16"]
    prices = {name: factor * getattr(cost, name) for name in ("mac", "ac", "mul", "add", "compare")}
    report = estimate_energy(counts, cost, chosen)
    scaled = estimate_energy(counts, dataclasses.replace(cost, **prices), chosen)
    np.testing.assert_allclose(scaled.total_pj, factor * report.total_pj, rtol=1e-12)
    np.testing.assert_allclose(scaled.side_pj, factor * report.side_pj, rtol=1e-12)
    np.testing.assert_allclose(report.compute_pj.sum(0).cumsum() / report.samples, report.total_pj, rtol=1e-12)


@given(counted, conventions)
@settings(max_examples=30, deadline=None)
def test_once_never_costs_more_than_per_step_and_the_same_at_the_first(counts, chosen):
    per_step, once = (
        estimate_energy(counts, None, chosen, first_layer=first, memory="sram") for first in ("per-step", "once")
    )
    for name in ("compute_pj", "side_pj", "memory_low_pj", "memory_high_pj"):
        assert (getattr(once, name) <= getattr(per_step, name)).all()
        np.testing.assert_array_equal(getattr(once, name)[:, 0], getattr(per_step, name)[:, 0])


@given(counted, conventions, st.sampled_from(["flat", "sram"]))
@settings(max_examples=30, deadline=None)
def test_reuse_never_costs_more(counts, chosen, memory):
    report = estimate_energy(counts, None, chosen, memory=memory)
    assert (report.memory_low_pj >= 0).all()
    assert (report.memory_low_pj <= report.memory_high_pj).all()
    np.testing.assert_array_equal(report.compute_pj, estimate_energy(counts, None, chosen).compute_pj)


@given(counted, conventions)
@settings(max_examples=20, deadline=None)
def test_side_operations_and_norms_are_not_in_the_headline(counts, chosen):
    zeros = {name: np.zeros_like(counts.mac) for name in SIDE_COSTS}
    without = estimate_energy(dataclasses.replace(counts, **zeros), None, chosen)
    for norm in CHOICES["norm"]:
        np.testing.assert_array_equal(estimate_energy(counts, None, chosen, norm=norm).total_pj, without.total_pj)
    assert (without.side_pj == 0).all()


# Conventions


def test_tet_makes_additions_of_pooled_and_graded_inputs_and_strict_does_not():
    counts = planted_counts()
    tet, strict = (estimate_energy(counts, convention=name) for name in ("tet", "strict"))
    for layer in (CONV3, CONV4):
        np.testing.assert_array_equal(tet.ac[layer], counts.unit_ac[layer])
        assert not tet.mac[layer].any()
        np.testing.assert_array_equal(strict.mac[layer], counts.mac[layer])
        assert not strict.ac[layer].any()
    np.testing.assert_array_equal(strict.mac, counts.mac)
    np.testing.assert_array_equal(strict.ac, counts.ac)
    assert estimate_energy(counts, convention="tet", pool="mac").ac[CONV3].sum() == 0
    assert estimate_energy(counts, convention="tet", graded="mac").ac[CONV4].sum() == 0


def test_what_cannot_be_folded_stays_and_is_named():
    counts = planted_counts()
    counts = dataclasses.replace(counts, unit_mac=0 * counts.unit_mac)
    report = estimate_energy(counts, convention="tet")
    np.testing.assert_array_equal(report.mac, counts.mac)
    assert [note.split(" stays")[0] for note in report.notes] == ["conv3: its pooled input", "conv4: its graded input"]
    heard(layer_table(report).attrs["caption"], "conv3")
    assert estimate_energy(counts, convention="strict").notes == ()


def test_of_a_layer_called_with_several_kinds_of_input_what_is_pooled_is_folded():
    inputs = list(planted_counts().inputs)
    inputs[CONV3] = "binary, pooled"
    counts = planted_counts(inputs=tuple(inputs))
    assert not estimate_energy(counts).mac[CONV3].any()
    inputs[CONV3] = "pooled, data"
    report = estimate_energy(planted_counts(inputs=tuple(inputs), mac=counts.mac + 7))
    assert (report.mac[CONV3] == 7).all()
    np.testing.assert_array_equal(report.ac[CONV3], counts.ac[CONV3] + counts.unit_ac[CONV3])
    inputs[CONV3] = "pooled, graded"
    report = estimate_energy(planted_counts(inputs=tuple(inputs)), graded="mac")
    np.testing.assert_array_equal(report.mac[CONV3], counts.mac[CONV3])
    assert report.notes[0].startswith("conv3: its graded and pooled input stays MACs")


def test_once_is_for_data_and_what_lies_before_the_first_neuron():
    """A deeper input that does not change within this run is no reason: it may in a longer one."""
    report = estimate_energy(planted_counts(static=np.ones(LAYERS)), first_layer="once", norm="charge")
    assert (report.mac[CONV1] > 0).tolist() == [True, False, False, False]
    assert (report.side["norm_mac"][1] > 0).tolist() == [True, False, False, False]
    assert (report.ac[CONV2] > 0).all()
    assert (report.side["neuron_mul"][2] > 0).all()
    assert report.notes == ()


def test_what_lies_before_the_first_neuron_waits_for_all_weights_there():
    """A second convolution there that does not see static data keeps the normalisations computing."""
    counts = planted_counts()
    neurons = counts.neurons.copy()
    neurons[2] = 0
    report = estimate_energy(dataclasses.replace(counts, neurons=neurons), first_layer="once")
    assert (report.mac[CONV1] > 0).tolist() == [True, False, False, False]
    assert (report.side["bias_add"][1] > 0).all()


def test_once_without_a_static_input_changes_nothing_and_says_so():
    counts = planted_counts(static=np.zeros(LAYERS))
    once = estimate_energy(counts, first_layer="once")
    per_step = estimate_energy(counts)
    np.testing.assert_array_equal(once.mac, per_step.mac)
    np.testing.assert_array_equal(once.side_pj, per_step.side_pj)
    assert any("no layer sees the same data at every step" in note for note in once.notes)
    heard(convention_table(counts).attrs["caption"], "layer sees")


def test_a_norm_multiplies_or_adds_its_bias_and_never_both():
    counts = planted_counts()
    folded, charged = (estimate_energy(counts, norm=norm) for norm in ("fold", "charge"))
    # 256 + 128 + 32 normalised elements and the 10 biases of the linear layer, at 4 steps.
    assert folded.side["bias_add"].sum() == 4 * 100 * 426
    assert folded.side["norm_mac"].sum() == 0
    assert charged.side["bias_add"].sum() == 4 * 100 * 10
    assert charged.side["norm_mac"].sum() == 4 * 100 * 416


def test_a_norm_behind_no_weights_cannot_be_folded():
    foldable = planted_counts().foldable.copy()
    foldable[4] = 0
    report = estimate_energy(planted_counts(foldable=foldable))
    assert report.side["norm_mac"].sum() == 4 * 100 * 128
    (note,) = report.notes
    assert note.startswith("bn2 (") and note.endswith("): cannot be folded into weights before it, so it is charged")


def test_conventions_have_names_and_no_other_choices():
    assert convention("tet").label == "tet, per-step"
    assert convention("strict", first_layer="once", norm="charge").label == "strict, once, norm charge"
    with refuses(ValueError, "'ted' 'tet'"):
        convention("ted")
    with refuses(ValueError, "'max'"):
        convention("tet", pool="max")
    with refuses(ValueError, "first_layer 'Once' 'once'"):
        estimate_energy(planted_counts(), first_layer="Once")


def test_counts_are_priced_as_they_say_unless_told_otherwise():
    counts = planted_counts(convention="strict", first_layer="once", pool="fold", cost="45nm-int8")
    report = estimate_energy(counts)
    assert report.convention == convention("strict", first_layer="once", pool="fold")
    assert report.cost == COSTS["45nm-int8"]
    assert estimate_energy(counts, convention="tet").convention == CONVENTIONS["tet"]
    assert estimate_energy(counts, "45nm-fp16", pool="mac").convention == convention("strict", first_layer="once")
    with refuses(TetvizError, "unknown model"):
        estimate_energy(counts, "45nm")
    with refuses(ResultError, "'newer'"):
        estimate_energy(planted_counts(convention="newer"))


# Memory


def test_memory_is_what_a_hand_count_says():
    counts = planted_counts(timesteps=1, samples=10)
    flat = estimate_energy(counts, "45nm-fp32", memory="flat")
    word = 4 * 24.96
    # Of 10 samples at 3/20: 5808 of 38720 pairs of conv2 see a spike; its 288 weights would be read 10 times.
    assert counts.ac[CONV2, 0] == 5808
    assert flat.memory_high_pj[CONV2, 0] == pytest.approx(5808 * word)
    assert flat.memory_low_pj[CONV2, 0] == pytest.approx(2880 * word)
    # A linear layer has no reuse: it reads the weights of its spikes.
    assert flat.memory_low_pj[FC, 0] == flat.memory_high_pj[FC, 0] == pytest.approx(480 * word)
    lif1 = 2
    assert flat.memory_low_pj[lif1, 0] == flat.memory_high_pj[lif1, 0] == pytest.approx(2 * 10 * 256 * word)
    sram = estimate_energy(counts, "45nm-fp32", memory="sram")
    weight = 5 * (4 * 288) / 8192  # 32 of 64 bits of 10 pJ at 8 KB
    potential = 5 * (4 * 128) / 8192
    assert sram.memory_low_pj[CONV2, 0] == pytest.approx(2880 * weight)
    assert sram.memory_high_pj[CONV2, 0] == pytest.approx(5808 * (weight + 2 * potential))
    assert np.isnan(estimate_energy(counts, memory="none").memory_low_pj).all()


def test_a_layer_that_computes_once_reads_its_weights_once():
    report = estimate_energy(planted_counts(), first_layer="once", memory="flat")
    assert (report.memory_low_pj[CONV1] > 0).tolist() == [True, False, False, False]


# Tables


def test_spikes_are_those_of_a_hand_count():
    counts = planted_counts()
    table = spike_table(counts)
    # Rates 3, 4, 2, 3 twentieths.
    assert table["spikes/neuron"].tolist() == pytest.approx([0.6] * 5)
    assert table["rate (%)"].tolist() == pytest.approx([15] * 5)
    assert table.index.tolist() == ["lif1", "lif2", "lif3", "lif4", "total"]
    assert table["neurons"].tolist() == [256, 128, 32, 32, 448]
    assert table["never (%)"]["lif1"] == 100 * (256 // 7) / 256
    assert table["always (%)"]["total"] == 100 * (256 // 32 + 128 // 32 + 1 + 1) / 448
    assert spike_table(counts, 2)["spikes/neuron"].tolist() == pytest.approx([0.35] * 5)


def test_layers_are_those_with_weights_and_shares_add_up():
    report = estimate_energy(planted_counts())
    table = layer_table(report)
    assert table.index.tolist() == ["conv1", "conv2", "conv3", "conv4", "fc", "total"]
    assert table["share (%)"][:-1].sum() == pytest.approx(100)
    assert table["energy (nJ)"][:-1].sum() == pytest.approx(report.total_pj[-1] / 1e3)
    assert np.isnan(table["spikes/synapse"]["conv1"])
    assert table["spikes/synapse"]["conv2"] == pytest.approx(0.6)
    assert table["spikes/synapse"]["conv3"] == pytest.approx(0.9)
    heard(table.attrs["caption"], "4.6 MAC 0.9 AC")


def test_right_answers_per_joule():
    report = estimate_energy(planted_counts())
    expected = report.counts.accuracy / (report.total_pj * 1e-12)
    np.testing.assert_allclose(report.accuracy_per_joule, expected)
    np.testing.assert_allclose(energy_table(report)["right per uJ"], expected / 1e6)
    silent = estimate_energy(bare(2, 3))
    assert np.isnan(silent.accuracy_per_joule).all()
    assert layer_table(silent)["AC"].tolist() == [0]


def test_memory_has_columns_where_it_is_counted():
    counts = planted_counts()
    assert not [name for name in energy_table(estimate_energy(counts)) if "memory" in name]
    table = energy_table(estimate_energy(counts, memory="flat"))
    assert (table["memory low (nJ)"] < table["memory high (nJ)"]).all()
    assert "memory flat" in table.attrs["caption"]


def test_what_was_not_counted_is_said_everywhere():
    counts = planted_counts(not_counted=("attn: MultiheadAttention is not understood",))
    report = estimate_energy(counts)
    said = "incomplete: attn: MultiheadAttention is not understood"
    assert said in report.notes
    tables = [make(report) for make in (energy_table, layer_table, side_table, baselines)]
    for table in [*tables, spike_table(counts), convention_table(counts)]:
        assert table.attrs["caption"].count(said) == 1


def test_what_is_incomplete_stands_in_no_ratio_and_is_said_in_one_sentence():
    whole, part = (estimate_energy(planted_counts(not_counted=missing)) for missing in ((), ("fft: a", "prod: b")))
    assert part.notes == ("incomplete: fft: a; prod: b",)
    assert whole.complete and not part.complete
    assert np.isfinite(whole.accuracy_per_joule).all() and np.isnan(part.accuracy_per_joule).all()
    for report, known in ((whole, True), (part, False)):
        assert np.isfinite(beside_anns(report)["of the ANN (%)"]).all() == known
        assert np.isfinite(baselines(report)["ANN/SNN"]).all() == known
        assert np.isfinite(energy_table(report)["right per uJ"]).all() == known
    assert part.total_pj.tolist() == whole.total_pj.tolist()


def products():
    """A layer, and four products of two activations: spikes with both, scaled spikes, a gate, and none."""
    inputs = ("binary", "binary x analog", "scaled x scaled", "binary x binary", "analog x analog")
    modules = ("Linear", "matmul", "mul, summed", "mul", "matmul")
    steps = 2
    columns = {name: np.zeros((len(inputs), steps), int) for name in PER_STEP}
    columns |= {name: np.full((len(inputs), steps), 40) for name in ("dense_mac", "inbounds_mac")}
    columns["ac"] = np.array([[7, 8], [20, 30], [5, 6], [4, 3], [0, 0]])
    columns["mac"] = np.array([[0, 0]] * 4 + [[11, 12]])
    columns["active_inputs"], columns["input_elements"] = (np.full((len(inputs), steps), size) for size in (5, 20))
    flags = {name: np.zeros(len(inputs), int) for name in ("neurons", "static", "foldable")}
    texts = {"names": tuple("abcde"), "modules": modules, "inputs": inputs}
    return planted_counts(
        timesteps=steps,
        t_train=steps,
        samples=3,
        layer=np.arange(len(inputs)),
        weights=np.array([9, 0, 0, 0, 0]),
        **columns,
        **flags,
        **texts,
    )


PRICED = {
    "tet": ([7, 20, 5, 4, 0], [0, 0, 0, 0, 11]),
    "ssa": ([7, 20, 5, 4, 0], [0, 0, 0, 0, 11]),
    "sdsa": ([7, 20, 5, 0, 0], [0, 0, 0, 0, 11]),
    "strict": ([7, 20, 0, 4, 0], [0, 0, 5, 0, 11]),
}


@pytest.mark.parametrize("name", PRICED)
def test_products_of_activations_go_by_the_convention(name):
    report = estimate_energy(products(), convention=name)
    assert (report.ac[:, 0].tolist(), report.mac[:, 0].tolist()) == PRICED[name]
    changed = estimate_energy(products(), convention="tet", products=report.convention.products)
    assert changed.ac.tolist() == report.ac.tolist()


def test_conventions_of_products_have_rows_where_there_are_products():
    assert {"ssa, per-step", "sdsa, per-step"} <= set(convention_table(products()).index)
    assert len(convention_table(planted_counts())) == 4


def test_the_estimate_of_papers_is_rate_times_dense_macs():
    report, samples = estimate_energy(products(), convention="ssa"), len(products().sample)
    mac, ac, nj = rate_estimate(report, 2)
    assert (mac, ac) == (80 / samples, 4 * 2 * 0.25 * 40 / samples)
    assert nj == pytest.approx((mac * report.cost.mac + ac * report.cost.ac) / 1e3)
    assert rate_estimate(estimate_energy(planted_counts()), 2) is None  # of a file that holds no rates


def test_a_t_that_was_not_measured_is_refused():
    counts = planted_counts()
    report = estimate_energy(counts)
    for ask in (
        lambda: layer_table(report, 5),
        lambda: spike_table(counts, 0),
        lambda: convention_table(counts, None, 9),
    ):
        with refuses(ResultError, "counts 1 4"):
            ask()
