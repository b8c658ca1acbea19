"""A study from its plan to its page, at a size of seconds."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from cli_runs import bytes_in, refused, tetviz
from click.testing import Result
from moved_run import same_datasets

import tetviz.commands.study_runs as study_runs
from tetviz.errors import CheckpointError
from tetviz.results import ScalingCurve, TrainingHistory, load

PLAN = """
title = "A study of seconds"
about = "Some digits."
seeds = [0, 1, 2]

[train]
data = "npz"
data-root = "small.npz"
width = 0.0625
timesteps = [2]
epochs = 1
batch-size = 64

[runs.sdt]
loss = "sdt"

[runs.tet]
loss = "tet"

[measure.scale]
tmax = 4
"""


@pytest.fixture(scope="module")
def plan(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "seconds.toml"
    path.write_text(PLAN, encoding="utf-8")
    return path


def study(plan: Path, data: Path, folder: Path, *more: str, code: int = 0) -> Result:
    return tetviz("study", plan, "--data-root", data.parent, "-o", folder, *more, code=code)


@pytest.fixture(scope="module")
def done(plan: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "seconds"
    study(plan, data, folder)
    return folder


class Runs:
    """Runs commands as a study does, keeps count, and does something else at one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int = -1, error: BaseException | None = None) -> None:
        self.names: list[str] = []
        self.at, self.error, self.run = at, error, study_runs.run_command
        patch.setattr(study_runs, "run_command", self)

    def __call__(self, words: Sequence[str]) -> None:
        self.names.append(words[0])
        if self.error is not None and len(self.names) == self.at:
            raise self.error
        self.run(words)


def test_every_training_and_measurement_is_a_file_of_the_command_that_made_it(done: Path, data: Path) -> None:
    names = {str(path.relative_to(done)) for path in done.rglob("*.h5")}
    assert names == {
        f"seed-{n}/{run}-T2.{kind}.h5" for n in range(3) for run in ("sdt", "tet") for kind in ("epochs", "scale")
    }
    curve = load(done / "seed-1/tet-T2.scale.h5", ScalingCurve)
    assert curve.provenance.command.startswith(f"tetviz scale {done}/seed-1/tet-T2.pt --tmax 4 -o ")
    assert curve.provenance.training["seed"] == 1
    assert len(load(done / "seed-2/sdt-T2.epochs.h5", TrainingHistory).epoch) == 1


def test_the_page_says_each_claim_with_its_interval(done: Path) -> None:
    text = (done / "study.md").read_text(encoding="utf-8")
    assert "| accuracy, TET minus SDT |" in text
    assert "Not measured by this plan." in text
    accuracies = [
        [load(done / f"seed-{n}/{run}-T2.scale.h5", ScalingCurve).accuracy[1] for n in range(3)]
        for run in ("sdt", "tet")
    ]
    mean = 100 * (sum(accuracies[1]) - sum(accuracies[0])) / 3
    assert f"| accuracy, TET minus SDT | {mean:#.3g} [" in text
    assert "unfinished" not in text
    page = (done / "study.html").read_text(encoding="utf-8")
    assert "More accurate at every step" in page and "Plotly" not in page.split("<script>")[0]


def test_nothing_is_trained_or_measured_twice(
    plan: Path, data: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, before = Runs(monkeypatch), bytes_in(done)
    assert "12 of 12 are done" in study(plan, data, done).stderr
    assert runs.names == []
    after = bytes_in(done)
    assert {name for name in before if before[name] != after[name]} <= {"study.html"}  # says when it was written


def test_a_stopped_study_goes_on_and_gives_the_same(
    plan: Path, data: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "seconds"
    with monkeypatch.context() as patch:
        Runs(patch, 4, click.exceptions.Exit(130))
        assert "go on with the same command" in study(plan, data, folder, code=130).stderr
    runs = Runs(monkeypatch)
    study(plan, data, folder)
    assert runs.names == ["scale", *("train", "train", "scale", "scale") * 2]
    for path in sorted(folder.rglob("*.scale.h5")):
        same_datasets(path, done / path.relative_to(folder))


def test_the_page_follows_from_the_results_alone(
    plan: Path, data: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in done.rglob("*.h5"):
        (tmp_path / path.relative_to(done)).parent.mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / path.relative_to(done))
    runs = Runs(monkeypatch)
    study(plan, data, tmp_path, "--page-only")
    assert (tmp_path / "study.md").read_bytes() == (done / "study.md").read_bytes()
    study(plan, data, tmp_path)  # without its checkpoints, of which nothing is left to be measured
    assert runs.names == []


def test_what_failed_stops_what_needs_it_alone(
    plan: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, runs = tmp_path / "seconds", Runs(monkeypatch, 1, CheckpointError("no such thing"))
    said = study(plan, data, folder, code=1).stderr
    assert "failed: no such thing" in said
    assert "2 of 12 commands failed" in said.splitlines()[-1]
    assert runs.names[:4] == ["train", "train", "scale", "train"]
    assert "unfinished: 2 of its 12 commands are not done" in (folder / "study.md").read_text(encoding="utf-8")


def test_results_of_another_plan_are_refused(plan: Path, data: Path, done: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(PLAN.replace("epochs = 1", "epochs = 2"), encoding="utf-8")
    assert "is there already, made by" in refused(done, "study", other, "--data-root", data.parent, "-o", done)


def test_a_dry_run_says_what_is_left_and_writes_nothing(plan: Path, data: Path, tmp_path: Path) -> None:
    result = study(plan, data, tmp_path / "no", "--dry-run")
    assert "6 trainings and 6 measurements, 0 of 12 are done" in result.stderr
    assert "what is left takes about " in result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(" tetviz ")[1].split()[0] for line in lines[:4]] == ["train", "train", "scale", "scale"]
    assert not (tmp_path / "no").exists()


def test_a_page_of_nothing_is_refused(plan: Path, data: Path, tmp_path: Path) -> None:
    line = refused(tmp_path, "study", plan, "--data-root", data.parent, "-o", tmp_path, "--page-only")
    assert "no finished result" in line


def test_workers_train_and_measure_the_same(plan: Path, data: Path, done: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    said = study(plan, data, tmp_path / "seconds", "--workers", "2").stderr
    assert "on 2 workers" in said and "[12/12] tetviz" in said
    for path in sorted(done.rglob("*.scale.h5")):
        same_datasets(path, tmp_path / "seconds" / path.relative_to(done))
    for path in sorted(done.rglob("*T2.pt")):
        assert path.read_bytes() == (tmp_path / "seconds" / path.relative_to(done)).read_bytes()


def test_what_a_worker_cannot_train_stops_what_needs_it_alone(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    path = tmp_path / "one.toml"
    text = PLAN.replace("seeds = [0, 1, 2]", "seeds = [0]").replace("[runs.tet]", "[runs.tet]\nlr = 1e20")
    path.write_text(text, encoding="utf-8")
    said = study(path, data, tmp_path / "one", "--workers", "1", code=1).stderr
    assert said.count("failed: the network holds or gives values that are not finite") == 1, said
    assert (tmp_path / "one/seed-0/sdt-T2.scale.h5").exists()
    assert "2 of 4 commands failed" in said
