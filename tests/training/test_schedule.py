"""Stages, switches and learning rates."""

import math

import pytest
from wording import refuses

from tetviz.training.schedule import Stage, Switch, plan_epochs


@pytest.mark.parametrize("text", ["2:300", "6:50@0.0001", "1:1@2.0"])
def test_stages_read_what_they_print(text):
    assert str(Stage.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "6", "6:", ":5", "0:5", "6:0", "-1:2", "a:b", "6:5@", "6:5@0", "6:5@nan", "6:5@inf"]
)
def test_wrong_stages_are_refused(text):
    with refuses(ValueError, "T:EPOCHS@LR"):
        Stage.parse(text)


@pytest.mark.parametrize("text", ["tet", "tet@", "tet@0", "mae@3", "tet@-1", "tet@1.5"])
def test_wrong_switches_are_refused(text):
    with refuses(ValueError, "tet@200"):
        Switch.parse(text)


def test_the_papers_inheritance_run():
    plan = plan_epochs([Stage(2, 300), Stage(6, 50, 1e-4)], "tet", 1e-3)
    assert sum(p.timesteps for p in plan) == 900
    assert [i for i, p in enumerate(plan) if p.starts_stage] == [0, 300]
    assert (plan[0].lr, plan[300].lr) == (1e-3, 1e-4)
    assert plan[150].lr == pytest.approx(5e-4)
    assert plan[299].lr == pytest.approx(1e-3 * (1 + math.cos(math.pi * 299 / 300)) / 2)


def test_the_papers_switch():
    plan = plan_epochs([Stage(4, 300)], "sdt", 1e-3, "constant", Switch.parse("tet@200"))
    assert [p.loss for p in plan] == ["sdt"] * 200 + ["tet"] * 100
    assert {p.lr for p in plan} == {1e-3}


def test_a_switch_after_the_end_and_an_unknown_schedule_are_refused():
    with refuses(ValueError, "5 epochs"):
        plan_epochs([Stage(2, 5)], "sdt", 1.0, switch=Switch("tet", 5))
    with refuses(ValueError, "cosine constant"):
        plan_epochs([Stage(2, 5)], "sdt", 1.0, "linear")
