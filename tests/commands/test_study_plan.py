"""Plans of studies: what they may say, and the commands that they become."""

import os
from pathlib import Path

import click
import pytest
from cli_runs import refused
from wording import refuses

from tetviz.cli import main
from tetviz.commands.study_plan import SHIPPED, PlanError, jobs_of, read_plan

PLAN = """
seeds = [3, 1]

[train]
data = "digits"
timesteps = [2, 4]
epochs = 5

[runs.sdt]
loss = "sdt"
augment = ["flip", "roll"]

[runs.tit]
loss = "tet"
stage = ["1:5", "4:1"]

[measure.scale]
tmax = 8

[measure.bent]
command = "curvature"
runs = ["sdt"]
trained-at = [4]
allow-chance = true
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(PLAN, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def context() -> object:
    with click.Context(main) as opened:
        yield opened


def changed(plan: Path, old: str, new: str) -> str:
    text = plan.read_text(encoding="utf-8")
    assert old in text
    plan.write_text(text.replace(old, new), encoding="utf-8")
    return str(plan)


def test_a_plan_becomes_commands_seed_by_seed(plan: Path) -> None:
    jobs = jobs_of(read_plan(str(plan)), Path("out"))
    half = len(jobs) // 2
    assert [job.command for job in jobs[:half]] == ["train"] * 3 + ["scale", "scale", "curvature", "scale"]
    assert [job.target.parent for job in jobs] == [Path("out/seed-3")] * half + [Path("out/seed-1")] * half
    assert jobs[1].words == (
        *("train", "--data", "digits", "--timesteps", "4", "--epochs", "5", "--loss", "sdt"),
        *("--augment", "flip", "--augment", "roll", "--seed", "3", "-o", "out/seed-3/sdt-T4.pt"),
    )
    assert jobs[2].words == (
        *("train", "--data", "digits", "--loss", "tet", "--stage", "1:5", "--stage", "4:1"),
        *("--seed", "3", "-o", "out/seed-3/tit-T4.pt"),
    )
    assert jobs[5].words == (
        *("curvature", "out/seed-3/sdt-T4.pt", "--allow-chance", "--seed", "3", "-o", "out/seed-3/sdt-T4.bent.h5"),
    )
    assert jobs[5].needs is jobs[1]


def test_networks_have_folders_and_data_are_in_the_root(plan: Path) -> None:
    changed(plan, "[runs.sdt]", '[networks.small]\nwidth = 0.5\ndata-root = "a.npz"\n\n[networks.large]\n\n[runs.sdt]')
    jobs = jobs_of(read_plan(str(plan)), Path("out"), Path("/data"))
    assert {job.target.parent for job in jobs[:6]} == {Path("out/small/seed-3"), Path("out/large/seed-3")}
    assert jobs[0].words[jobs[0].words.index("--data-root") + 1] == "/data/a.npz"
    assert jobs[3].words[jobs[3].words.index("--data-root") + 1] == "/data"


def test_a_pipe_is_no_plan(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan.toml")
    with refuses(PlanError, "no file of TOML"):
        read_plan(str(tmp_path / "plan.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_plans_are_commands(name: str) -> None:
    plan = read_plan(name)
    jobs = jobs_of(plan, Path("out"), Path("data"))
    assert len({job.target for job in jobs}) == len(jobs)
    assert len(plan.seeds) >= 3
    assert {"sdt", "tet"} <= set(plan.runs)
    assert plan.about


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("seeds = [3, 1]", "seeds = [1, 1]", "different whole numbers"),
        ("seeds = [3, 1]", "seed = [1]", "did you mean 'seeds'"),
        ("seeds = [3, 1]", "seeds = [", "read as TOML"),
        pytest.param("seeds = [3, 1]", "seeds = " + "[" * 5000, "read as TOML", id="brackets"),
        pytest.param("seeds = [3, 1]", "seeds = " + "9" * 5000, "read as TOML", id="digits"),
        ("seeds = [3, 1]", "seeds = [3, 1]\nabout = 3", "about = 3: expected a text"),
        ("timesteps = [2, 4]", "timesteps = 4", "expected a list"),
        ("epochs = 5", "epochz = 5", "did you mean 'epochs'"),
        ("epochs = 5", 'epochs = "many"', "--epochs"),
        ("epochs = 5", "seed = 5", "the study sets it"),
        ('loss = "sdt"', 'loss = "stt"', "sdt"),
        ("[measure.scale]", "[measure.scales]", "did you mean 'scale'"),
        ("tmax = 8", "tmin = 8", "unknown option"),
        ("tmax = 8", 'output = "a.h5"', "the study sets it"),
        ("trained-at = [4]", "trained-at = [3]", "takes no network"),
        ('runs = ["sdt"]', 'runs = ["std"]', "did you mean 'sdt'"),
        ("[measure.scale]", "[measure.'a/b']\ncommand = 'scale'", "names of files"),
        ('[runs.sdt]\nloss = "sdt"', '[runs]\nsdt = "sdt"\n[runs.tet]', "expected a table"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_in_a_line(plan: Path, old: str, new: str, word: str) -> None:
    with refuses(PlanError, word) as caught:
        jobs_of(read_plan(changed(plan, old, new)), Path("out"))
    assert "\n" not in str(caught.value)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    assert "did you mean 'quick'" in refused(tmp_path, "study", "quik", "-o", tmp_path / "out")
    assert "cannot be read" in refused(tmp_path, "study", tmp_path / "no.toml", "-o", tmp_path / "out")
    nothing = tmp_path / "empty.toml"
    nothing.write_text("seeds = [0]", encoding="utf-8")
    assert "names no run" in refused(tmp_path, "study", nothing, "-o", tmp_path / "out")
