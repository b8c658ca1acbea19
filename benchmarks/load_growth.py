"""How time and memory grow with what tetviz is given: results of a report, checkpoints, layers, bytes of a file.

    python benchmarks/load_growth.py [CASE ...]

Each case runs at n, 2n and 4n, each in a process of its own, after a small run that loads what is loaded once.
Time is that of the CPU, memory the growth of the peak of resident memory. A ratio of 2 is linear growth.
"""

import argparse
import contextlib
import dataclasses
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import numpy as np
import torch
from planted_isometry import planted_isometry
from planted_results import planted_counts, planted_curve, planted_history, planted_sharpness, planted_surface

from tetviz.cli import main as tetviz
from tetviz.models import ModelSpec, build
from tetviz.results import Result, save
from tetviz.training import Checkpoint, DataSpec

SMALL = 8
KINDS: tuple[Callable[..., Result], ...] = (
    planted_surface,
    planted_curve,
    planted_counts,
    planted_history,
    planted_sharpness,
    planted_isometry,
)
Run = Callable[[], object]


def untrained(path: Path, seed: int, name: str, **options: Any) -> Path:
    """A checkpoint of a small network for the digits."""
    torch.manual_seed(seed)
    spec = ModelSpec(name, num_classes=10, in_channels=1, image_size=8, **options)
    return Checkpoint(spec, build(spec).state_dict(), 2, data=DataSpec("digits").to_dict()).save(path)


def command(*arguments: Any) -> Run:
    """A command line, whose words are not shown."""

    def run() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            tetviz([*map(str, arguments), "--force"], standalone_mode=False)

    return run


def report(folder: Path, size: int) -> Run:
    """A page of results of six kinds, each of another network."""
    return _report(folder, size, KINDS)


def report_of_one_kind(folder: Path, size: int) -> Run:
    """A page of scaling curves alone, which stand in one section."""
    return _report(folder, size, (planted_curve,))


def report_apart(folder: Path, size: int) -> Run:
    """A page of scaling curves that do not compare, each in a section of its own."""
    return _report(folder, size, (planted_curve,), lambda at: f"data{at}")


def _report(
    folder: Path, size: int, kinds: tuple[Callable[..., Result], ...], data: Callable[[int], str] = lambda at: "cifar10"
) -> Run:
    files = []
    for at in range(size):
        result: Any = kinds[at % len(kinds)](label=f"network {at}")
        origin = dataclasses.replace(result.provenance, checkpoint_sha256=f"{at:064x}", dataset=data(at))
        files.append(folder / f"{size}-{at}.h5")
        save(files[-1], dataclasses.replace(result, provenance=origin))
    return command("report", *files, "-o", folder / "report.html")


def scale(folder: Path, size: int) -> Run:
    """`tetviz scale` of so many checkpoints."""
    network: dict[str, Any] = {"name": "cifar-resnet", "width": 0.125, "options": {"depth": 8}}
    checkpoints = [untrained(folder / f"{size}-{at}.pt", at, **network) for at in range(size)]
    (folder / str(size)).mkdir()
    return command("scale", *checkpoints, "--tmax", 8, "--samples", 100, "-o", folder / str(size))


def energy(folder: Path, size: int) -> Run:
    """`tetviz energy` of a network of so many convolutions."""
    depth = max(8, size // 6 * 6 + 2)
    checkpoint = untrained(folder / f"{size}.pt", 0, "cifar-resnet", width=0.125, options={"depth": depth})
    return command("energy", checkpoint, "--tmax", 2, "--samples", 2, "-o", folder / f"{size}.h5")


def surface(folder: Path, size: int) -> Run:
    """`tetviz report` and `tetviz plot` of a surface whose file has so many MB."""
    side = int((size * 1e6 / 8 / 7 / 4) ** 0.5)
    path = save(folder / f"{size}.h5", planted_surface(size=side))

    def run() -> None:
        command("report", path, "-o", folder / "report.html")()
        command("plot", path, "-o", folder / "figure.png")()

    return run


CASES: dict[str, tuple[Callable[[Path, int], Run], int]] = {
    "report": (report, 75),
    "report-of-one-kind": (report_of_one_kind, 75),
    "report-apart": (report_apart, 75),
    "scale": (scale, 13),
    "energy": (energy, 500),
    "surface": (surface, 16),
}


def peak() -> float:
    """Peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(case: str, size: int) -> tuple[float, float]:
    """Seconds of the CPU and MiB of a run in this process."""
    prepare, _ = CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), SMALL if size > SMALL else 1)()
        run = prepare(Path(folder), size)
        before, begin = peak(), time.process_time()
        run()
        return time.process_time() - begin, peak() - before


def in_a_process(case: str, size: int) -> tuple[float, float]:
    """The same in a process of its own."""
    told = subprocess.run(
        [sys.executable, __file__, case, "--size", str(size)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ).stdout.split()
    return float(told[0]), float(told[1])


def main() -> None:
    """Prints seconds and memory at n, 2n and 4n, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.size:
        print(*measured(arguments.cases[0], arguments.size))
        return
    for case in arguments.cases or CASES:
        sizes = [CASES[case][1] * factor for factor in (1, 2, 4)]
        seconds, memory = np.transpose([in_a_process(case, size) for size in sizes])
        print(
            f"{case} of {', '.join(map(str, sizes))}: "
            f"{' '.join(f'{each:.2f}' for each in seconds)} s, x {' '.join(f'{r:.2f}' for r in growth(seconds))}; "
            f"{' '.join(f'{each:.0f}' for each in memory)} MiB, x {' '.join(f'{r:.2f}' for r in growth(memory))}",
            flush=True,
        )


def growth(values: Any) -> Any:
    """The ratios of each value to the one before."""
    return values[1:] / np.maximum(values[:-1], 1e-9)


if __name__ == "__main__":
    main()
