"""Cost models: the published constants, the interpolation of memory, files, and lines of break-even."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wording import refuses

from tetviz.errors import TetvizError
from tetviz.summaries import COSTS, MEMORIES, CostModel, MemoryModel, break_even, crossover_rate, load_cost
from tetviz.summaries.costs import quantised_bits, quantised_mac, with_memory

MODEL = """
name = "22nm"
source = "our own"
mac = 0.2
ac = 0.05
mul = 0.15
add = 0.05
compare = 0
weight_bits = 8
state_bits = 16
"""
MEMORY = """
[memory]
name = "dram"
source = "a data sheet"
access_bits = 64
sizes = [0]
pj = [1300]
"""


@pytest.mark.parametrize(
    ("name", "mac", "ac", "spikes"),
    [
        ("45nm-fp32", 4.6, 0.9, 5.11),
        ("45nm-fp16", 1.5, 0.4, 3.75),
        ("45nm-int32", 3.2, 0.1, 32.0),
        ("45nm-int8", 0.23, 0.03, 7.67),
        ("45nm-int8-acc32", 0.30, 0.1, 3.0),
    ],
)
def test_the_presets_are_those_of_horowitz(name, mac, ac, spikes):
    cost = load_cost(name)
    assert (cost.name, cost.mac, cost.ac, cost.memory) == (name, mac, ac, None)
    assert cost.mac == pytest.approx(cost.mul + cost.add, abs=1e-15)
    assert round(break_even(cost), 2) == spikes
    assert "Horowitz" in cost.source


def test_memory_costs_what_its_size_says_and_half_for_half_the_word():
    """PMC8934428 charges 5 pJ for 32 bits of 8 KB; SpikingJelly's preset the full 10."""
    kilobytes = np.array([0, 4, 8, 20, 32, 528, 1024, 4096])
    per_64_bits = 64 * MEMORIES["sram"].pj_per_bit(1024 * kilobytes)
    np.testing.assert_allclose(per_64_bits, [0, 5, 10, 15, 20, 60, 100, 100], rtol=1e-12)
    assert 32 * MEMORIES["sram"].pj_per_bit(8 * 1024) == pytest.approx(5)
    np.testing.assert_allclose(8 * MEMORIES["flat"].pj_per_bit([0, 1e3, 1e9]), 24.96)


@given(st.floats(0, 1e8), st.floats(0, 1e8))
def test_a_larger_memory_never_costs_less(one, other):
    small, large = MEMORIES["sram"].pj_per_bit(sorted((one, other)))
    assert 0 <= small <= large <= 100 / 64


@given(st.integers(1, 2**20))
def test_activations_of_an_equivalent_ann_hold_every_spike_count(timesteps):
    bits = quantised_bits(timesteps)
    assert 2**bits >= timesteps + 1 > 2 ** (bits - 1)


def test_the_crossover_is_that_of_the_reproduction_of_yan():
    rates = [round(100 * crossover_rate(t), 2) for t in range(5, 11)]
    assert rates == [7.50, 6.25, 5.36, 6.25, 5.56, 5.00]
    assert crossover_rate(5, weight_bits=3) == pytest.approx(1 / 5)


def test_a_quantised_mac_is_that_of_int8_at_eight_bits():
    assert quantised_mac(8) == pytest.approx(COSTS["45nm-int8-acc32"].mac)
    assert quantised_mac(1) == pytest.approx(0.125)
    # The rule reproduces the 32-bit multiplication of the same source: 0.2 pJ * (32 / 8)^2.
    assert pytest.approx(COSTS["45nm-int32"].mul, rel=0.04) == 0.2 * (32 / 8) ** 2


def test_a_file_gives_its_numbers(tmp_path):
    path = tmp_path / "chip.toml"
    path.write_text(MODEL)
    assert load_cost(path) == load_cost(str(path)) == CostModel("22nm", "our own", 0.2, 0.05, 0.15, 0.05, 0, 8, 16)
    path.write_text(MODEL + MEMORY)
    assert load_cost(path).memory == MemoryModel("dram", "a data sheet", 64, (0.0,), (1300.0,))
    assert load_cost(path).memory.pj_per_bit(77) == pytest.approx(1300 / 64)
    path.write_text(MODEL + 'memory = "flat"')
    assert load_cost(path).memory is MEMORIES["flat"]
    path.write_text(MODEL + MEMORY + "potential_per_operation = true")
    assert load_cost(path).memory.potential_per_operation


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MODEL.replace("mac = 0.2", ""), "missing mac"),
        ("", "mul weight_bits state_bits"),
        (MODEL + "comparison = 1", "'comparison' 'compare'"),
        (MODEL.replace("0.2", "-0.2"), "finite 0 -0.2"),
        (MODEL.replace("0.2", "nan"), "0 nan"),
        (MODEL.replace("0.2", "inf"), "0 inf"),
        (MODEL.replace("0.2", "'0.2'"), "finite 0 '0.2'"),
        (MODEL.replace("0.2", "true"), "0 True"),
        (MODEL.replace("ac = 0.05", "ac = 0"), "finite 0"),
        (MODEL.replace("compare = 0", "compare = -1"), "compare 0 -1"),
        (MODEL.replace("weight_bits = 8", "weight_bits = 8.0"), "weight_bits number 1"),
        (MODEL.replace("state_bits = 16", "state_bits = 0"), "state_bits number 1"),
        (MODEL.replace('"our own"', "3"), "source 3"),
        (MODEL.replace('"22nm"', '" "'), "name text"),
        (MODEL + 'memory = "flt"', "'flt' 'flat'"),
        (MODEL + "memory = [1]", "unknown memory"),
        (MODEL + MEMORY.replace("[1300]", "[1, 2]"), "each 1 2"),
        (MODEL + MEMORY.replace("[1300]", "[]"), "list numbers"),
        (MODEL + MEMORY.replace("[1300]", "1300"), "numbers 1300"),
        (MODEL + MEMORY.replace("[1300]", "[-1]"), "finite 0 -1"),
        (MODEL + MEMORY.replace("[0]", "[5, 5]").replace("[1300]", "[1, 2]"), "sizes ascending"),
        (MODEL + MEMORY + "potential_per_operation = 1", "potential_per_operation 1"),
        (MODEL + MEMORY + "size = 1", "'memory.size'"),
        (MODEL + MEMORY.replace("access_bits = 64", ""), "memory.access_bits"),
        ("mac = ", "TOML"),
    ],
    ids=itertools.count(),
)
def test_a_file_that_is_wrong_is_told_where(tmp_path, text, says):
    path = tmp_path / "chip.toml"
    path.write_text(text)
    with refuses(TetvizError, f"{path}: {says}"):
        load_cost(path)


def test_what_is_no_model_is_told_what_is(tmp_path):
    with refuses(TetvizError, "'45nm-fp23' '45nm-fp32'"):
        load_cost("45nm-fp23")
    with refuses(TetvizError, "chip.toml 45nm-fp32"):
        load_cost(tmp_path / "chip.toml")
    (tmp_path / "folder.toml").mkdir()
    with refuses(TetvizError, "TOML"):
        load_cost(tmp_path / "folder.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with refuses(TetvizError, "TOML"):
        load_cost(tmp_path / "binary.toml")


def test_memory_can_be_changed_and_taken_away():
    cost = with_memory(COSTS["45nm-fp32"], "sram")
    assert cost.memory is MEMORIES["sram"]
    assert with_memory(cost, "none") == COSTS["45nm-fp32"]
    with refuses(TetvizError, "'dram'"):
        with_memory(cost, "dram")


def test_python_callers_get_value_errors():
    with refuses(ValueError, "finite 0"):
        dataclasses.replace(COSTS["45nm-fp32"], mac=math.nan)
    with refuses(ValueError, "access_bits"):
        MemoryModel("own", "own", 0, (0,), (1,))
