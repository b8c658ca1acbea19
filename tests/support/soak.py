"""Long commands killed at random moments and given again until they end: the files of a run that nobody killed.

``python tests/support/soak.py --count 1000`` does it at length (``make soak``); the suite takes a share. Trial number n
of a command draws the same moments on every machine, as parts of the time that the command takes there.
"""

import argparse
import dataclasses
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from data_sets import write_digits
from killed_runs import Server, serving
from moved_run import COMMANDS
from PIL import Image

from tetviz.errors import TetvizError
from tetviz.results import load
from tetviz.results.hdf5 import _write, hdf5_image
from tetviz.training import Checkpoint

SMALL = ("--samples", 20)
TRAIN = (
    *("train", "--model", "snn5", "--width", 0.0625, "--data", "npz", "--data-root", "DATA", "--lr", 0.01),
    *("--stage", "1:2", "--stage", "2:4@0.02", "--switch", "sdt@3", "--augment", "flip", "--batch-size", 32),
    *("--keep-every", 1, "-o", "tet.pt"),
)
INPUTS = {"TET": "tet.pt", "OTHER": "tet.kept/epoch-0005.pt", "EARLY": "tet.kept/epoch-0004.pt"}
LONG: dict[str, tuple[Any, ...]] = {
    "train": TRAIN,
    **{name: (name, *args, "--allow-chance") for name, args in COMMANDS.items()},
    "scale": ("scale", "TET", "--tmax", 8, "--exit", "margin", "--per-class", *SMALL),
    "energy": ("energy", "TET", "--tmax", 4, *SMALL),
    "isometry": ("isometry", "TET", "--probes", 2, *SMALL),
    "training-energy": ("training-energy", "TET", *SMALL),
}
# What asks for other files of the same names, which --force replaces.
OTHERS: dict[str, tuple[Any, ...]] = {"train": ("--seed", 9)}


@dataclass
class Course:
    """A command, what it writes when nobody kills it, and how long that takes."""

    command: list[Any]
    inputs: Path
    whole: Path
    earlier: Path  # what the same command has written with other settings
    seconds: float

    def files(self, folder: Path) -> set[str]:
        """Names of what the command has written there."""
        given = {str(path.relative_to(self.inputs)) for path in self.inputs.rglob("*")}
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        return names - given - {"stdout", "stderr"}

    @property
    def main(self) -> str:
        """The file that a stopped command goes on with."""
        return next(name for name in sorted(self.files(self.whole)) if name.endswith((".last.pt", ".h5")))


@dataclass
class Soak:
    """Kills so far, and what was found."""

    server: Server
    seed: int
    home: Path
    kills: Counter[str] = field(default_factory=Counter)

    def run(self, folder: Path, *args: Any, **how: Any) -> int:
        return self.server.run(folder, *args, **how)

    def courses(self, names: list[str]) -> dict[str, Course]:
        """The commands, each run once without a kill, and once with other settings."""
        none, run, places = self.home / "none", self.home / "run", INPUTS | {"DATA": str(self.home / "small.npz")}
        none.mkdir()
        write_digits(self.home / "small.npz", train=160, test=40)
        found = {"train": self._course("train", [places.get(each, each) for each in LONG["train"]], none)}
        shutil.copytree(found["train"].whole, run, ignore=shutil.ignore_patterns("std*", "*.h5"))
        for name in names:
            if name != "train":
                command = [places.get(each, each) for each in LONG[name]]
                found[name] = self._course(name, command, run)
        return {name: found[name] for name in names}

    def _course(self, name: str, command: list[Any], inputs: Path) -> Course:
        folders = [self.home / f"{name} {which}" for which in ("whole", "earlier")]
        for folder, more in zip(folders, ((), OTHERS.get(name, ("--samples", 19))), strict=True):
            shutil.copytree(inputs, folder)
            begin = time.monotonic()
            code = self.run(folder, *command, *more)
            assert code == 0, (folder / "stderr").read_text()
            seconds = time.monotonic() - begin
        return Course(command, inputs, *folders, seconds)

    def trial(self, name: str, course: Course, number: int, most: int) -> Iterator[str]:
        """Kills a command up to so many times, and gives it again until it ends."""
        draw = random.Random(f"{self.seed} {name} {number}")
        folder, force = self.home / f"{name} {number}", draw.random() < 0.3
        shutil.copytree(course.earlier if force else course.inputs, folder)
        before = course.files(folder)
        for _ in range(min(draw.choice([1, 2, 3, 4]), most)):
            how = draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
            code = self.run(folder, *self._again(course, folder, force), stop=moment(draw, course, folder), how=how)
            self.kills["struck" if code else "ended before"] += 1
            said = (folder / "stderr").read_text()
            if code not in (0, -how, 128 + how):
                yield f"ended with {code} after {how.name}: {said.strip().splitlines()[-1:]}"
            yield from self._amiss(course, folder, how if code > 0 else 0)
            present = course.files(folder)
            if name != "train" and before - present:
                yield f"lost {before - present}"
            before = {each for each in present if not Path(each).name.startswith(".")}
        code = self.run(folder, *self._again(course, folder, force))
        if code:
            yield f"cannot go on: {(folder / 'stderr').read_text().strip().splitlines()[-1:]}"
        else:
            yield from differences(course, folder)
        shutil.rmtree(folder)

    def _again(self, course: Course, folder: Path, force: bool) -> tuple[Any, ...]:
        # What is there from before is replaced until a first file of this run stands in its place.
        main, resume = folder / course.main, ("--resume",) if course.command[0] == "train" else ()
        mine = main.exists() and not (force and main.read_bytes() == (course.earlier / course.main).read_bytes())
        return (*course.command, *(resume if mine else ("--force",) if force else ()))

    def _amiss(self, course: Course, folder: Path, stopped: int) -> Iterator[str]:
        for name in sorted(course.files(folder)):
            path = folder / name
            if path.name.startswith("."):
                self.kills[path.suffix] += 1
                if stopped or not (path.name.startswith(".tetviz-") and path.suffix in (".lock", ".partial")):
                    yield f"left {name}"
            elif why := unreadable(path):
                yield f"{name} is unreadable: {why}"
        if "Traceback" in (folder / "stderr").read_text():
            yield "a traceback"
        for path in course.inputs.rglob("*"):
            if path.is_file() and (folder / path.relative_to(course.inputs)).read_bytes() != path.read_bytes():
                yield f"changed {path.name}"


def moment(draw: random.Random, course: Course, folder: Path) -> Callable[[], bool]:
    """When to kill: at any moment, or as a file comes or goes, or a moment behind that."""
    begin, wait = time.monotonic(), draw.uniform(0, course.seconds)
    at_change, behind = draw.random() < 0.6, draw.choice([0, 0.0005, 0.002, 0.01])

    def listed() -> list[tuple[str, int]]:
        return sorted((path.name, path.stat().st_ino) for path in folder.rglob("*") if path.exists())

    def come() -> bool:
        if time.monotonic() - begin < wait:
            return False
        now, until = listed() if at_change else [], time.monotonic() + course.seconds
        while at_change and time.monotonic() < until:
            try:
                if listed() != now:
                    break
            except FileNotFoundError:
                break
        time.sleep(behind)
        return True

    return come


def unreadable(path: Path) -> str:
    """Why a file is none that a user can open; "" for one that is."""
    try:
        if path.suffix == ".h5":
            load(path)
        elif path.suffix == ".pt":
            Checkpoint.load(path)
        elif path.suffix == ".png":
            Image.open(path).load()
    except (TetvizError, OSError, SyntaxError) as error:
        return str(error)
    return ""


def differences(course: Course, folder: Path) -> Iterator[str]:
    """What is not as a run has left it that nobody killed."""
    names, wanted = course.files(folder), course.files(course.whole)
    if names != wanted:
        yield f"left {sorted(names - wanted)}, lacks {sorted(wanted - names)}"
    for name in sorted(names & wanted):
        if content(folder / name) != content(course.whole / name):
            yield f"{name} differs"


def content(path: Path) -> bytes:
    """A file without the date in it, and without the options that a command which goes on has besides."""
    if path.suffix != ".h5":
        return path.read_bytes()
    result = load(path)
    command = result.provenance.command.replace(" --resume", "").replace(" --force", "")
    origin = dataclasses.replace(result.provenance, created="", command=command)
    return hdf5_image(lambda file: _write(file, dataclasses.replace(result, provenance=origin)))


def findings(count: int, names: list[str], seed: int = 0, start: int = 0) -> Iterator[str]:
    """What is amiss after so many kills, in turn over commands; behind that, how many were what."""
    with serving() as server, tempfile.TemporaryDirectory() as home:
        soak = Soak(server, seed, Path(home))
        courses = soak.courses(names)
        for at, name in enumerate(cycle(courses)):
            left = count - soak.kills["struck"] - soak.kills["ended before"]
            if left <= 0:
                break
            number = start + at // len(courses)
            for finding in soak.trial(name, courses[name], number, left):
                yield f"{name} {number}: {finding}"
        print(dict(soak.kills), file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="kills, over all commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first trial of each command")
    parser.add_argument("--commands", nargs="*", default=list(LONG))
    given = parser.parse_args()
    found = 0
    for finding in findings(given.count, given.commands, given.seed, given.start):
        print(finding, flush=True)
        found += 1
    print(f"{found} findings in {given.count} kills", file=sys.stderr)
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
