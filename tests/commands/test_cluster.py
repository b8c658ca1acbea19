"""--workers, --scheduler and --threads of the measuring commands."""

from pathlib import Path

import pytest
import torch
from cli_runs import refused, tetviz
from moved_run import SAMPLES, same_datasets
from wording import heard

from tetviz.results import ScalingCurve, load

pytest.importorskip("distributed")

from tetviz.landscape.workers import local_workers

SMALL = ("--grid", 5, *SAMPLES, "--allow-chance")


@pytest.mark.parametrize("command", ["landscape", "trajectory"])
def test_a_result_of_workers_is_that_of_one_process(command: str, run: Path) -> None:
    here, there = run.with_name("here.h5"), run.with_name("there.h5")
    tetviz(command, run, *SMALL, "--threads", 1, "-o", here)
    said = tetviz(command, run, *SMALL, "--workers", 2, "-o", there).stderr
    assert "2 workers: about" in said and "resumed" not in said
    same_datasets(here, there)


def test_checkpoints_are_measured_side_by_side_on_a_scheduler_that_runs(run: Path) -> None:
    other, asked = run.with_name("other.pt"), ("--tmax", 3, *SAMPLES)
    for folder in ("here", "there"):
        run.with_name(folder).mkdir()
    with local_workers(2) as workers:
        address = workers.client.scheduler.address
        said = tetviz("scale", run, other, *asked, "--scheduler", address, "-o", run.with_name("there")).stderr
        heard(said.splitlines()[0], "2 checkpoints on 2 workers")
    tetviz("scale", run, other, *asked, "-o", run.with_name("here"))
    for name in ("tet", "other"):
        here, there = (run.with_name(folder) / f"{name}.scale.h5" for folder in ("here", "there"))
        same_datasets(here, there)
        assert load(there, ScalingCurve).provenance.request == load(here, ScalingCurve).provenance.request


def test_threads_are_those_of_before_afterwards(run: Path) -> None:
    before = torch.get_num_threads()
    tetviz("scale", run, "--tmax", 2, *SAMPLES, "--threads", before + 1)
    assert torch.get_num_threads() == before


def test_what_does_not_go_together_is_refused(run: Path) -> None:
    two = ("--workers", 2, "--scheduler", "tcp://127.0.0.1:1")
    heard(refused(run.parent, "landscape", run, *SMALL, *two, code=2), "--workers --scheduler")
    asked = ("--workers", 2, "--device", "cuda:1")
    heard(refused(run.parent, "landscape", run, *SMALL, *asked, code=2), "--device cuda:1")


def test_a_file_of_options_may_name_workers(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[scale]\nthreads = 0\n")
    assert "--threads" in tetviz("scale", run, "--config", file, code=2).stderr
