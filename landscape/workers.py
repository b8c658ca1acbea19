"""Dask workers that measure: blocks of points, or whole results, in other processes and on other machines.

Dask starts workers, hands out the work, moves it away from slow ones and computes anew what a dead one had. A network,
its data and its directions go to each worker once, from the scheduler or from another worker. Nothing but this process
writes the file of a result.
"""

import contextlib
import logging
import math
import multiprocessing.resource_tracker
import os
import pickle
import signal
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch

import tetviz
from tetviz.errors import TetvizError, reason
from tetviz.landscape.evaluator import Evaluator
from tetviz.landscape.store import Measured, Part, Point
from tetviz.training import TemporalProfile

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

# What a block costs besides its points, in seconds: its worker, and the scheduler, which hands out one after the other.
# benchmarks/block_cost.py measures both.
BLOCK_SECONDS = 0.004
SCHEDULER_SECONDS = 0.002

MISSING = "workers need Dask: pip install 'tetviz[distributed]'"
_CONNECT_SECONDS = 10
_SILENT = logging.CRITICAL + 1
_SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "1 TiB",  # networks and data travel in a task, once
    "distributed.scheduler.allowed-failures": 10,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
_alone = threading.Lock()


def block_size(points: int, workers: int, seconds: float) -> int:
    """How many points go to a worker at once.

    A block costs its worker c = :data:`BLOCK_SECONDS`, which asks for large ones, and at the end of the work a worker
    waits for half of another's block, which asks for small ones. With P points of s seconds on W workers the sum of
    both is least at sqrt(2 P c / (W s)), and more than P / W would leave workers without any. The scheduler hands out
    a block every h = :data:`SCHEDULER_SECONDS`: below W h / s workers wait for it, and where it alone decides, the sum
    of P h / b and of a last block b s is least at sqrt(P h / s). ``benchmarks/many_workers.py`` simulates it.

    Args:
        points: P, in all.
        workers: W.
        seconds: s, that a point takes a worker.

    Returns:
        The number.
    """
    share = max(1, math.ceil(points / workers))
    if seconds <= 0:
        return share
    of_workers = min(share, round(math.sqrt(2 * points * BLOCK_SECONDS / (workers * seconds))))
    of_scheduler = min(workers * SCHEDULER_SECONDS / seconds, math.sqrt(points * SCHEDULER_SECONDS / seconds))
    return max(1, of_workers, min(points, math.ceil(of_scheduler)))


class Workers:
    """The workers of a Dask scheduler.

    Args:
        client: of the scheduler.
        threads: of torch, in each worker.
    """

    def __init__(self, client: "Client", threads: int = 1) -> None:
        self.client, self.threads = client, threads

    def count(self) -> int:
        """How many there are, once there is one."""
        self.client.wait_for_workers(1)
        return len(self.client.scheduler_info(n_workers=-1)["workers"])

    def measure(
        self, evaluator: Evaluator, parts: Iterable[Part], *, points: int, seconds: float
    ) -> Iterator[Measured]:
        """Measures points in blocks, each given back as soon as it is done; a pool of a Store.

        Args:
            evaluator: what is measured.
            parts: what to measure, asked for as workers run out of work: each may hold directions of the whole network.
            points: how many there are in all.
            seconds: that a point takes.

        Yields:
            Each point with its part and its profile, as they are finished.

        Raises:
            TetvizError: what a worker raises; or the workers or their scheduler are lost.
        """
        from distributed import as_completed

        with _explained():
            workers, network, waiting = self.count(), self._sent(evaluator), iter(parts)
            running: dict[Future[Any], tuple[Part, Sequence[Point]]] = {}
            finished = as_completed(loop=self.client.loop, with_results=True)
            while True:
                while len(running) <= 2 * workers and (part := next(waiting, None)):
                    blocks = cut(part.points, block_size(points, workers, seconds))
                    for future, block in zip(self._blocks(network, part, blocks), blocks, strict=True):
                        running[future] = part, block
                        finished.add(future)
                if not running:
                    return
                future, profiles = next(finished)
                if isinstance(profiles, CancelledError):
                    raise profiles
                part, block = running.pop(future)
                yield from ((part, point, profile) for point, profile in zip(block, profiles, strict=True))

    def start(self, call: Callable[[], T]) -> Callable[[], T]:
        """Hands a call to a worker.

        Returns:
            What waits for its value.
        """
        sent = self._sent(call)
        future = self.client.submit(_call, _versions(), self.threads, sent, pure=False)

        def wait() -> T:
            with _explained():
                return cast(T, future.result())

        return wait

    def run(
        self, calls: Sequence[Callable[[], T]], after: Sequence[int | None]
    ) -> Iterator[tuple[int, T | TetvizError]]:
        """Hands calls to workers, each as soon as the one that it comes after has ended well.

        Args:
            calls: what to call.
            after: for each the position of an earlier one, or None.

        Yields:
            Positions as they are finished, with the value or the error; of a call whose earlier one has failed that
            error.
        """
        from distributed import as_completed

        futures: list[Future[Any]] = []
        for call, before in zip(calls, after, strict=True):
            needed = None if before is None else futures[before]
            sent = self._sent(call)
            futures.append(self.client.submit(_call, _versions(), self.threads, sent, needed, pure=False))
        positions = {future.key: position for position, future in enumerate(futures)}
        for future in as_completed(futures, loop=self.client.loop):
            try:
                with _explained():
                    yield positions[future.key], future.result()
            except TetvizError as error:
                yield positions[future.key], error

    def _blocks(self, network: "Future[Any]", part: Part, blocks: Sequence[Sequence[Point]]) -> "list[Future[Any]]":
        # A name of their own makes a group of them, whose tasks wait at the scheduler for the next idle worker.
        name, how = f"block-{uuid.uuid4().hex}", self._sent(part.at)
        return [
            self.client.submit(_measure, _versions(), self.threads, network, how, block, key=(name, number))
            for number, block in enumerate(blocks)
        ]

    def _sent(self, value: Any) -> "Future[Any]":
        # A task, and no scattered data: these would be lost with the workers that hold them.
        import cloudpickle

        return self.client.submit(_as_it_is, cloudpickle.dumps(value), key=f"sent-{uuid.uuid4().hex}")


def cut(points: Sequence[Point], size: int) -> list[Sequence[Point]]:
    """Blocks of so many points, the last of what is left."""
    return [points[start : start + size] for start in range(0, len(points), size)]


@contextlib.contextmanager
def local_workers(count: int, threads: int = 1) -> Iterator[Workers]:
    """Workers on this machine, each a process; of several GPUs each sees one.

    Args:
        count: how many.
        threads: of torch, in each.

    Raises:
        TetvizError: Dask is not installed.
    """
    with _dask():
        import dask
        from distributed import Client, Nanny, Scheduler, SpecCluster
    with (
        _quiet(),
        tempfile.TemporaryDirectory() as folder,
        dask.config.set(_SETTINGS | {"temporary-directory": folder}),
    ):
        near = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        options = {**near, "nthreads": 1, "memory_limit": 0, "silence_logs": _SILENT}
        workers = {i: {"cls": Nanny, "options": {**options, "env": _environment(i, threads)}} for i in range(count)}
        scheduler = {"cls": Scheduler, "options": {**near, "dashboard": False}}
        with _uninterrupted():
            cluster = SpecCluster(workers, scheduler, silence_logs=_SILENT)
        with cluster, Client(cluster) as client:
            yield Workers(client, threads)


@contextlib.contextmanager
def workers_of(address: str, threads: int = 1) -> Iterator[Workers]:
    """The workers of a scheduler that runs already.

    Args:
        address: such as ``tcp://node:8786``.
        threads: of torch, in each.

    Raises:
        TetvizError: Dask is not installed, or there is no scheduler.
    """
    with _dask():
        import dask
        from distributed import Client
    with _quiet(), dask.config.set(_SETTINGS):
        try:
            client = Client(address, timeout=_CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise TetvizError(
                f"--scheduler {address}: no Dask scheduler answers there ({reason(error)}); expected an address such "
                "as tcp://node:8786, which `dask scheduler` prints"
            ) from error
        with client:
            yield Workers(client, threads)


# --- in a worker ----------------------------------------------------------------------------------------------


def _as_it_is(payload: bytes) -> bytes:
    return payload


@lru_cache(maxsize=4)  # a network, and the directions of some parts
def _unpacked(payload: bytes) -> Any:
    try:
        return pickle.loads(payload)
    except (ImportError, AttributeError) as error:
        raise TetvizError(
            f"a worker cannot load the network or its data ({reason(error)}); install there what they import"
        ) from error


def _measure(
    versions: tuple[str, str], threads: int, network: bytes, how: bytes, points: Sequence[Point]
) -> list[TemporalProfile]:
    """The profiles of a block."""
    with _alone, _set_up(versions, threads):  # a worker of several threads shares the network among them
        evaluator, at = _unpacked(network), _unpacked(how)
        return [at(evaluator, point) for point in points]


def _call(versions: tuple[str, str], threads: int, call: bytes, _after: Any = None) -> Any:
    with _alone, _set_up(versions, threads):
        return pickle.loads(call)()


@contextlib.contextmanager
def _set_up(versions: tuple[str, str], threads: int) -> Iterator[None]:
    if versions != _versions():
        raise TetvizError(
            "a worker has tetviz {} with torch {}, this process tetviz {} with torch {}; start it from the same "
            "environment".format(*_versions(), *versions)
        )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _versions() -> tuple[str, str]:
    return tetviz.__version__, str(torch.__version__)


# --- around a cluster -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _dask() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise TetvizError(MISSING) from error


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Says in a line what happens to workers."""
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        yield
    except KilledWorker as error:
        raise TetvizError(
            "the same points ended several workers, one after the other: their machine may be out of memory; lower "
            "--batch-size, --samples or --workers"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise TetvizError(
            "the Dask scheduler is gone; every finished point is kept: start it again, and give the same command"
        ) from error
    except ImportError as error:
        raise TetvizError(f"a worker cannot run tetviz ({reason(error)}); start it from this environment") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(_SILENT)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Threads and processes that begin in here never see Ctrl-C, which a terminal sends to all; this process does."""
    multiprocessing.resource_tracker.ensure_running()  # unblocks the signal, where it is begun
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _environment(worker: int, threads: int) -> dict[str, str]:
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    seen = gpus.split(",") if gpus and torch.cuda.is_available() else []
    return {"OMP_NUM_THREADS": str(threads), **({"CUDA_VISIBLE_DEVICES": seen[worker % len(seen)]} if seen else {})}
