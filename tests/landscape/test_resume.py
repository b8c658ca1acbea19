"""Results that are killed while they are written, and files that hold something else.

Run as a script, this file measures into a file and is killed, over and over, by a process that was forked from it:
interpreters would take seconds to start, and a pytest worker has threads, which do not survive a fork.
"""

import copy
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset
from wording import refuses

from tetviz.errors import ResultError
from tetviz.landscape import (
    Evaluator,
    RandomPlanes,
    Store,
    compute_lines,
    compute_sharpness,
    compute_surface,
    grid_coordinates,
)
from tetviz.models import LIF
from tetviz.results import load, open_result
from tetviz.results.schema import array_fields, attribute_fields

KINDS = ("surface", "lines", "sharpness")
KILLED = ("surface", "sharpness")  # a sharpness is lines and more
FILES, KILLS = 5, 20


class Small(nn.Module):
    """A spiking network of one hidden layer, so that a point takes less than a millisecond."""

    timesteps = 2

    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.neuron = nn.Linear(16, 6), nn.BatchNorm1d(6), LIF()
        self.readout = nn.Linear(6, 4)

    def forward(self, x, timesteps):
        current_TB = torch.stack([self.hidden(x.flatten(1)) * (t + 1) for t in range(timesteps)])
        spikes_TB = self.neuron(self.norm(current_TB.flatten(0, 1)).view_as(current_TB) + 0.5)
        return self.readout(spikes_TB)


def spiking():
    torch.manual_seed(0)
    return Small(), TensorDataset(torch.randn(12, 1, 4, 4), torch.arange(12) % 4)


def run(kind, model, data, path, progress=None, **changes):
    """A measurement of any kind, of 12 to 20 points at least."""
    given = {
        "seed": 3,
        "planes": 2,
        "norm": "filter",
        "orthogonal": False,
        "grid": 3,
        "timesteps": 2,
        "loss": "sdt",
        "rho": (0.01, 0.1),
        "indices": np.arange(8),
        "batch_size": 8,
        "bn": "frozen",
        "calibration": data,
        "calibration_indices": np.arange(8, 12),
        "force": False,
        **changes,
    }
    names = ("indices", "batch_size", "bn", "calibration", "calibration_indices")
    settings = {name: given[name] for name in names}
    planes = RandomPlanes(model, given["seed"], given["planes"], given["norm"], orthogonal=given["orthogonal"])
    store = Store(path, given["force"], None, progress)
    if kind == "surface":
        where = {"path": path, "progress": progress, "force": given["force"]}
        return compute_surface(
            model, data, planes, given["grid"], given["timesteps"], loss=given["loss"], **settings, **where
        )
    evaluator, x = Evaluator(model, data, given["timesteps"], **settings), grid_coordinates(given["grid"])
    if kind == "lines":
        return compute_lines(evaluator, planes, x, given["loss"], store)
    return compute_sharpness(evaluator, planes, x, given["rho"], given["loss"], store)


def differences(first, second):
    """Names of the arrays and attributes that are not the same bytes."""
    kind = type(first)
    assert type(second) is kind
    arrays = [n for n in array_fields(kind) if getattr(first, n).tobytes() != getattr(second, n).tobytes()]
    return arrays + [n for n in attribute_fields(kind) if getattr(first, n) != getattr(second, n)]


def points_done(result):
    flags = [getattr(result, n) for n in array_fields(type(result)) if n.endswith("done")]
    return sum(int(f.sum()) for f in flags), sum(f.size for f in flags)


# --- killed -------------------------------------------------------------------------------------------------


def killed_once(measure, points, wait):
    """Starts a measurement in a process of its own, waits until so many points are done and a moment longer, kills it.

    Returns whether it was still running."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receive)
            measure(lambda *_: os.write(send, b"."))
            code = 0
        finally:
            os._exit(code)
    os.close(send)
    seen = 0
    while seen < points and (chunk := os.read(receive, 1)):
        seen += len(chunk)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(receive)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the measurement failed"
    return os.WIFSIGNALED(status)


def killed_over_and_over(folder, kind):
    """Every file is killed four times, at moments drawn from a seed, and finished; each against an unbroken run."""
    torch.set_num_threads(1)
    model, data = spiking()
    grid = {"surface": 5, "sharpness": 11}[kind]
    folder.mkdir()
    whole = run(kind, model, data, folder / "whole.h5", grid=grid)
    _, total = points_done(whole)
    draw, struck, partial, different, left = random.Random(f"{kind} 1"), 0, 0, [], []
    for trial in range(FILES):
        path = folder / f"{trial}.h5"
        for _ in range(KILLS // FILES):
            # A quarter of them before the first point: while the file is made and the network copied.
            points = draw.choice([0, *(draw.randrange(total // 4) for _ in range(3))])
            wait = 0.002 if points else 0.02
            running = killed_once(
                lambda progress, path=path: run(kind, model, data, path, progress, grid=grid),
                points,
                draw.uniform(0, wait),
            )
            struck += running
            if path.exists():
                done, _ = points_done(load(path))  # opens, whenever it was killed
                partial += 0 < done < total
        finished = run(kind, model, data, path, grid=grid)
        different += differences(whole, finished) + differences(whole, load(path))
        left += [p.name for p in folder.iterdir() if p.suffix != ".h5"]
    return {"struck": struck, "partial": partial, "different": different, "left": left}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, __file__, str(folder)]
    support = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "support")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, env=support)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KILLED)
def test_a_run_that_is_killed_twenty_times_ends_in_the_same_bytes(kind, killed):
    """The tool of Li et al. leaves a file that blocks the next run, or takes a point for done that is not."""
    found = killed[kind]
    assert found["different"] == []
    assert found["left"] == []
    assert found["struck"] >= KILLS // 2
    assert found["partial"] >= 3


# --- the same and another request ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    return spiking()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bn", ["frozen", "recalibrate"])
def test_two_runs_of_one_call_are_the_same_bytes_and_two_seeds_are_not(kind, bn, trained, tmp_path):
    first, second = (run(kind, *trained, tmp_path / name, bn=bn) for name in ("a.h5", "b.h5"))
    assert differences(first, second) == []
    assert first.provenance.request == second.provenance.request
    assert differences(first, run(kind, *trained, None, bn=bn)) == []
    assert points_done(first)[0] == points_done(first)[1]
    other = run(kind, *trained, tmp_path / "c.h5", bn=bn, seed=4)
    assert {"direction_seed", "sdt_loss", "tet_loss"} <= set(differences(first, other))
    assert other.provenance.request != first.provenance.request


CHANGES = {
    "bn": {"bn": "batch"},
    "recalibration": {"bn": "recalibrate"},
    "seed": {"seed": 4},
    "planes": {"planes": 3},
    "fewer planes": {"planes": 1},
    "norm": {"norm": "layer"},
    "orthogonal": {"orthogonal": True},
    "grid": {"grid": 5},
    "timesteps": {"timesteps": 3},
    "loss": {"loss": "tet"},
    "samples": {"indices": np.arange(1, 9)},
    "order of the samples": {"indices": np.arange(8)[::-1].copy()},
    "batch size": {"batch_size": 3},
}


def stop_at_three(done, _):
    if done == 3:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def files(trained, tmp_path_factory):
    """The bytes of a finished and of an unfinished file of every kind."""
    folder, written = tmp_path_factory.mktemp("files"), {}
    for kind in KINDS:
        run(kind, *trained, folder / f"{kind}.h5")
        with pytest.raises(KeyboardInterrupt):
            run(kind, *trained, folder / f"{kind} part.h5", stop_at_three)
        written |= {(kind, True): folder / f"{kind}.h5", (kind, False): folder / f"{kind} part.h5"}
    return {which: path.read_bytes() for which, path in written.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("finished", [True, False])
def test_another_request_in_the_same_file_is_refused_and_changes_no_byte(kind, finished, files, trained, tmp_path):
    """Others guess: a direction file without the expected group is truncated, a 1-D one broadcast to 2-D."""
    path, changes = tmp_path / "r.h5", CHANGES | ({"rho": {"rho": (0.01, 0.2)}} if kind == "sharpness" else {})
    path.write_bytes(files[kind, finished])
    for change, other in changes.items():
        with refuses(ResultError, "another"):
            run(kind, *trained, path, **other)
        assert path.read_bytes() == files[kind, finished], change
        assert [p.name for p in tmp_path.iterdir()] == ["r.h5"]


@pytest.mark.parametrize("kind", KINDS)
def test_other_calibration_samples_are_refused_where_they_count(kind, trained, tmp_path):
    path = tmp_path / "r.h5"
    run(kind, *trained, path, bn="recalibrate")
    before = path.read_bytes()
    for other in (np.arange(7, 11), np.array([9, 8, 10, 11]), np.arange(8, 11)):
        with refuses(ResultError, "another"):
            run(kind, *trained, path, bn="recalibrate", calibration_indices=other)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_result_is_refused(kind, trained, tmp_path):
    path = tmp_path / "r.h5"
    run(KINDS[KINDS.index(kind) - 1], *trained, path)
    before = path.read_bytes()
    with refuses(ResultError, kind):
        run(kind, *trained, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("bn", ["frozen", "recalibrate"])
def test_another_training_length_is_refused(bn, trained, tmp_path):
    """Statistics are estimated in runs of the training T, and the file records it: it decides the numbers."""
    model, data = trained
    path, longer = tmp_path / "r.h5", copy.deepcopy(model)
    longer.timesteps = 4
    run("surface", model, data, path, bn=bn)
    before = path.read_bytes()
    with refuses(ResultError, "T of training"):
        run("surface", longer, data, path, bn=bn)
    assert path.read_bytes() == before


def test_samples_and_calibration_samples_are_not_taken_for_each_other(trained, tmp_path):
    """Batches [a, b] calibrated on [c] are another request than [a] calibrated on [b, c]."""
    model, data = trained
    x, labels = data.tensors
    a, b, c = ((x[k : k + 4], labels[k : k + 4]) for k in (0, 4, 8))
    plane, path = RandomPlanes(model, 0, 1), tmp_path / "r.h5"
    first = compute_surface(model, [a, b], plane, 3, 2, bn="recalibrate", calibration=[c], path=path)
    second = compute_surface(model, [a], plane, 3, 2, bn="recalibrate", calibration=[b, c])
    assert (first.sdt_loss != second.sdt_loss).any()
    assert first.provenance.request != second.provenance.request
    with refuses(ResultError, "another"):
        compute_surface(model, [a], plane, 3, 2, bn="recalibrate", calibration=[b, c], path=path)


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_not_done_is_computed(kind, trained, tmp_path):
    """A finished file costs no forward pass; points are counted from those that are there."""
    path, calls = tmp_path / "r.h5", []
    whole = run(kind, *trained, path, lambda *at: calls.append(at))
    done, total = points_done(whole)
    assert done == total
    assert calls == [(k, total) for k in range(1, total + 1)]
    with open_result(path) as stored:
        stored.done[-1, -1] = 0
        stored.sdt_loss[-1, -1] = 99.0
        missing = stored.done.size - int(stored.done.sum())
    calls.clear()
    again = run(kind, *trained, path, lambda *at: calls.append(at))
    assert calls == [(k, total) for k in range(total - missing + 1, total + 1)]
    assert differences(whole, again) == []
    calls.clear()
    with open_result(path) as stored:
        stored.sdt_loss[0] = 7.0  # done: believed
    assert (run(kind, *trained, path, lambda *at: calls.append(at)).sdt_loss[0] == 7).all()
    assert calls == []
    assert differences(whole, run(kind, *trained, path, force=True)) == []


if __name__ == "__main__":
    print(json.dumps({kind: killed_over_and_over(Path(sys.argv[1]) / kind, kind) for kind in KILLED}))
