"""How long the commands of a study are said to take."""

from pathlib import Path

import click
import pytest
from cli_runs import command_named

from tetviz.cli import main
from tetviz.commands.study_cost import Clock
from tetviz.commands.study_plan import jobs_of, read_plan
from tetviz.commands.study_seconds import MEASURING, Speed, measuring

SPEED = Speed(train=0.004, run=0.001, samples=(900, 100, 200), timesteps=4, stages=((1, 10), (4, 2)))


def options(command: str, *words: str) -> dict[str, object]:
    return command_named(command).make_context(command, ["net.pt", *words]).params


def test_a_training_passes_over_its_samples_in_every_epoch_of_every_stage() -> None:
    assert SPEED.training() == pytest.approx((1 * 10 + 4 * 2) * (900 * 0.004 + 300 * 0.001))


def test_measurements_take_points_times_samples_times_steps() -> None:
    assert measuring("scale", options("scale", "--tmax", "8"), SPEED) == pytest.approx(8 * 200 * 0.001)
    every_t = options("scale", "--tmax", "8", "--bn", "recalibrate", "--calibration", "100")
    assert measuring("scale", every_t, SPEED) == pytest.approx(36 * 300 * 0.001)
    landscape = options("landscape", "--grid", "9", "--planes", "2", "--samples", "50")
    assert measuring("landscape", landscape, SPEED) == pytest.approx(2 * 81 * 50 * 4 * 0.001)
    again = options("landscape", "--grid", "9", "--samples", "50", "--bn", "recalibrate", "--calibration", "100")
    assert measuring("landscape", again, SPEED) == pytest.approx(81 * 150 * 4 * 0.001)
    sharpness = options("sharpness", "--planes", "3", "--grid", "5", "--rho", "0.01,0.1", "--samples", "10")
    assert measuring("sharpness", sharpness, SPEED) == pytest.approx((3 * 12 + 2) * 10 * 4 * 0.001)


@pytest.mark.parametrize("command", MEASURING)
def test_more_samples_take_longer(command: str) -> None:
    few, many = (measuring(command, options(command, "--samples", n), SPEED) for n in ("10", "20"))
    assert 0 < few < many


def test_networks_are_timed_once_for_all_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[object] = []
    monkeypatch.setattr("tetviz.commands.study_cost.timed", lambda *what: timed.append(what) or (0.004, 0.001))
    with click.Context(main):
        jobs = jobs_of(read_plan("quick"), tmp_path)
        seconds = Clock().seconds(jobs)
    assert set(seconds) == set(jobs)
    assert min(seconds.values()) > 0
    assert len(timed) == 2  # spiking neurons and smooth ones
