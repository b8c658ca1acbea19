"""Points on Dask workers: the same bytes as in one process, also where workers are killed."""

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from wording import refuses
from worker_networks import counted, runs

pytest.importorskip("distributed")

from distributed import KilledWorker
from distributed.scheduler import WorkerState

from tetviz.errors import CheckpointError, TetvizError
from tetviz.landscape import (
    Evaluator,
    RandomPlanes,
    Store,
    compute_curvature,
    compute_interpolation,
    compute_lines,
    compute_sharpness,
    grid_coordinates,
    surface_on,
)
from tetviz.landscape import (
    workers as tetviz_workers,
)
from tetviz.landscape.store import Part, Point
from tetviz.landscape.workers import (
    BLOCK_SECONDS,
    SCHEDULER_SECONDS,
    Workers,
    block_size,
    cut,
    local_workers,
    workers_of,
)
from tetviz.results.schema import array_fields
from tetviz.training import TemporalProfile

X = grid_coordinates(5)


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with local_workers(2) as workers:
        yield workers


def differing(first: Any, second: Any) -> list[str]:
    names = array_fields(type(first))
    return [name for name in names if getattr(first, name).tobytes() != getattr(second, name).tobytes()]


def surface(evaluator: Evaluator, store: Store) -> Any:
    return surface_on(evaluator, RandomPlanes(evaluator.model, 3, 2), X, X, "sdt", store)


def lines(evaluator: Evaluator, store: Store) -> Any:
    return compute_lines(evaluator, RandomPlanes(evaluator.model, 3, 2), X, "tet", store)


def sharpness(evaluator: Evaluator, store: Store) -> Any:
    return compute_sharpness(evaluator, RandomPlanes(evaluator.model, 3, 2), X, (0.01, 0.1), "sdt", store)


def curvature(evaluator: Evaluator, store: Store) -> Any:
    sizes = {"eigenvalues": 2, "trace_probes": 2, "lanczos_steps": 3, "bins": 8}
    return compute_curvature(evaluator, 2, (0.03, 0.3), **sizes, store=store)


def interpolation(evaluator: Evaluator, store: Store) -> Any:
    other = {name: tensor * 1.5 for name, tensor in evaluator.model.state_dict().items()}
    return compute_interpolation(evaluator, other, X, "sdt", store)


@pytest.mark.parametrize("compute", [surface, lines, sharpness, curvature, interpolation])
def test_workers_give_the_bytes_of_one_process(
    compute: Callable[[Evaluator, Store], Any], two: Workers, tmp_path: Path
) -> None:
    here = compute(counted(tmp_path / "here"), Store())
    measure = partial(two.measure, points=50, seconds=0.001)
    there = compute(counted(tmp_path / "there"), Store(tmp_path / "r.h5", pool=measure))
    assert differing(here, there) == []
    ran, expected = runs(tmp_path / "there"), runs(tmp_path / "here")
    assert sum(ran.values()) == sum(expected.values()) and len(ran) >= 2


def test_statistics_of_each_point_are_estimated_by_its_worker(two: Workers, tmp_path: Path) -> None:
    here = surface(counted(tmp_path / "log", bn="recalibrate"), Store())
    measure = partial(two.measure, points=50, seconds=0.001)
    assert differing(here, surface(counted(tmp_path / "log", bn="recalibrate"), Store(pool=measure))) == []


def test_killed_workers_cost_the_blocks_in_flight_and_change_no_byte(tmp_path: Path) -> None:
    log, points, seconds, kills = tmp_path / "log", 2 * X.size**2, 0.05, 3
    whole = surface(counted(tmp_path / "whole"), Store())
    killed: list[int] = []

    with local_workers(2) as workers:

        def strike(done: int, total: int) -> None:
            left = [pid for pid in runs(log) if pid not in killed and Path(f"/proc/{pid}").exists()]
            if done >= 8 * (len(killed) + 1) and len(killed) < kills and left:
                os.kill(left[-1], signal.SIGKILL)
                killed.append(left[-1])

        measure = partial(workers.measure, points=points, seconds=seconds)
        found = surface(counted(log, seconds), Store(tmp_path / "s.h5", progress=strike, pool=measure))
    assert len(killed) == kills
    assert differing(whole, found) == []
    again = sum(runs(log).values()) - points
    # Of each killed worker the block that it computed, and one whose points were on their way.
    assert 0 <= again <= kills * 2 * block_size(points, 2, seconds)


def test_what_workers_have_measured_is_gone_on_with_in_one_process(two: Workers, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    path, log = tmp_path / "s.h5", tmp_path / "log"
    measure = partial(two.measure, points=50, seconds=0.001)
    with pytest.raises(KeyboardInterrupt):
        surface(counted(log), Store(path, progress=stop, pool=measure))
    time.sleep(0.3)  # what a worker had begun with comes to its end
    before = sum(runs(log).values())
    again = surface(counted(log), Store(path))
    assert sum(runs(log).values()) - before == 50 - 12
    assert differing(surface(counted(tmp_path / "whole"), Store()), again) == []


def test_workers_of_a_scheduler_that_runs_already(two: Workers, tmp_path: Path) -> None:
    with workers_of(two.client.scheduler.address) as workers:
        assert workers.count() == 2
        measure = partial(workers.measure, points=50, seconds=0.001)
        found = surface(counted(tmp_path / "log"), Store(pool=measure))
    assert differing(surface(counted(tmp_path / "here"), Store()), found) == []


def test_torch_has_as_many_threads_in_a_worker_as_are_asked_for(two: Workers) -> None:
    assert two.start(torch.get_num_threads)() == 1
    assert Workers(two.client, 2).start(torch.get_num_threads)() == 2


def test_an_error_of_a_worker_is_raised_here(two: Workers, tmp_path: Path) -> None:
    def at(evaluator: Evaluator, point: Point) -> TemporalProfile:
        raise CheckpointError(f"no such place: {point}")

    with pytest.raises(CheckpointError, match=r"^no such place: \(0,\)$"):
        list(two.measure(counted(tmp_path / "log"), [Part(at, [(0,)])], points=1, seconds=1.0))


def test_a_worker_of_another_environment_is_refused(two: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tetviz_workers, "_versions", lambda: ("0.9", "2.6"))
    with pytest.raises(TetvizError, match=r"a worker has tetviz .* with torch .*, this process tetviz 0\.9 with torch"):
        two.start(os.getpid)()


def test_what_a_worker_cannot_import_is_a_line() -> None:
    payload = b"cno_such_package\nbuild\n."
    with refuses(TetvizError, "no_such_package install"):
        tetviz_workers._unpacked(payload)


def test_points_that_end_every_worker_are_a_line() -> None:
    lost = KilledWorker("block", WorkerState.__new__(WorkerState), 10)
    with refuses(TetvizError, "out of memory --batch-size"), tetviz_workers._explained():
        raise lost


def test_without_dask_a_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    for opening in (local_workers(2), workers_of("tcp://127.0.0.1:8786")):
        with refuses(TetvizError, "pip install 'tetviz[distributed]'"), opening:
            pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "foo://x:1"])
def test_where_no_scheduler_is_a_line_says_so_soon(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tetviz_workers, "_CONNECT_SECONDS", 0.5)
    begin = time.monotonic()
    line = f"^--scheduler {address}: no Dask scheduler answers there"
    with pytest.raises(TetvizError, match=line), workers_of(address):
        pass
    assert time.monotonic() - begin < 10


def test_blocks_are_as_large_as_costs_and_waits_make_them() -> None:
    # 10,000 points of 10 ms on 4 workers: sqrt(2 * 10000 * cost / (4 * 0.01))
    assert block_size(10_000, 4, 0.01) == round(math.sqrt(2 * 10_000 * BLOCK_SECONDS / 0.04))
    assert block_size(10_000, 4, 1000.0) == 1
    assert block_size(12, 2, 0.001) == 6  # an equal share, less than sqrt(48)
    assert block_size(10, 4, 0.0) == 3
    assert block_size(0, 4, 1.0) == 1
    # The scheduler hands out a block while all other workers compute one,
    assert block_size(10**9, 10_000, 0.1) == math.ceil(10_000 * SCHEDULER_SECONDS / 0.1)
    # unless so few points are left that the last block decides.
    assert block_size(100_000, 10_000, 0.1) == math.ceil(math.sqrt(100_000 * SCHEDULER_SECONDS / 0.1))


def test_cut_leaves_no_point_out() -> None:
    points = [(i,) for i in range(7)]
    assert cut(points, 3) == [points[:3], points[3:6], points[6:]]
    assert cut([], 3) == []
