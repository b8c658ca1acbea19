"""Where a command computes: in so many threads, here, on workers of its own, or on those of a Dask scheduler."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import torch

from tetviz.commands.console import SCHEDULER, THREADS, WORKERS
from tetviz.landscape.workers import Workers, local_workers, workers_of

_OPENED = "tetviz.opened_workers"


def workers_asked_for() -> Workers | None:
    """The workers that the command line asks for, from the first call until the command ends; None where it does not.

    From then on this process computes in as many threads as they do.
    """
    context = click.get_current_context()
    if _OPENED not in context.meta:
        context.meta[_OPENED] = _open(context)
    workers: Workers | None = context.meta[_OPENED]
    return workers


def _open(context: click.Context) -> Workers | None:
    count, address, threads = (context.meta.get(name) for name in (WORKERS, SCHEDULER, THREADS))
    device = context.params.get("device")
    if count and address:
        raise click.UsageError("--workers starts a scheduler of its own, leave out --scheduler")
    if (count or address) and str(device).startswith("cuda:"):
        raise click.UsageError(f"--device {device}: with workers take cuda, each has a GPU of its own")
    if threads or count or address:
        context.with_resource(_torch_threads(threads or 1))
    if count:
        return context.with_resource(local_workers(count, threads or 1))
    return context.with_resource(workers_of(address, threads or 1)) if address else None


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
