"""What a block costs beside its points, in seconds of a core: block_size and many_workers.py rest on it.

    python benchmarks/block_cost.py 2 4 8 16

For each number of workers: what a task that does nothing takes of the process that has the scheduler, and of a worker.
Seconds are those that a core computes, so that others who use the machine do not count.
"""

import sys
import time

TASKS = 400


def nothing(number: int) -> int:
    """A task that costs nothing but itself."""
    return number


def costs(count: int) -> tuple[float, float]:
    """Seconds of the scheduler's process a task, and of a worker's."""
    with local_workers(count) as workers:
        client = workers.client
        client.gather(client.map(nothing, range(TASKS), pure=False))
        before, begin = sum(client.run(time.process_time).values()), time.process_time()
        client.gather(client.map(nothing, range(TASKS), pure=False))
        own = time.process_time() - begin
        return own / TASKS, (sum(client.run(time.process_time).values()) - before) / TASKS


if __name__ == "__main__":  # workers import this file: they need no torch for nothing
    from tetviz.landscape.workers import local_workers

    print("workers  scheduler (ms a task)  worker (ms a task)")
    for number in map(int, sys.argv[1:]):
        scheduler, worker = costs(number)
        print(f"{number:7d}  {1e3 * scheduler:21.2f}  {1e3 * worker:18.2f}", flush=True)
