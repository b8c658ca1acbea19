"""Long commands killed at random moments and given again until they end: the files of a run that nobody killed.

``python tests/support/soak.py --count 1000`` does it at length (``make soak``); the suite takes a share. Trial number n
of a command draws the same moments on every machine, as parts of the time that the command takes there.
"""

import argparse
import dataclasses
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from data_sets import write_digits
from killed_runs import Server, serving
from moved_run import COMMANDS
from PIL import Image

from tetviz.errors import TetvizError
from tetviz.results import Result, load
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
        ending = ".last.pt" if self.command[0] == "train" else ".h5"
        return next(name for name in self.files(self.whole) if name.endswith(ending))


@dataclass
class Soak:
    """Kills so far, and what was found."""

    server: Server
    seed: int
    home: Path
    kills: Counter[str]

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
        course = Course(command, inputs, self.home / f"{name} whole", self.home / f"{name} earlier", seconds=0)
        begin = time.monotonic()
        self._finish(course.whole, course)
        return dataclasses.replace(course, seconds=time.monotonic() - begin)

    def _finish(self, folder: Path, course: Course, *more: Any) -> None:
        shutil.copytree(course.inputs, folder)
        code = self.server.run(folder, *course.command, *more)
        assert code == 0, (folder / "stderr").read_text()

    def trial(self, name: str, course: Course, number: int, most: int) -> Iterator[str]:
        """Kills a command up to so many times, and gives it again until it ends."""
        draw = random.Random(f"{self.seed} {name} {number}")
        folder, force = self.home / f"{name} {number}", draw.random() < 0.3
        if force and not course.earlier.exists():
            self._finish(course.earlier, course, *OTHERS.get(name, ("--samples", 19)))
        shutil.copytree(course.earlier if force else course.inputs, folder)
        for _ in range(min(draw.choice([1, 2, 3, 4]), most)):
            how, before = draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]), course.files(folder)
            again = self._again(course, folder, force)
            code = self.server.run(folder, *again, stop=moment(draw, course, folder), how=how)
            self.kills["struck" if code else "ended before"] += 1
            if code not in (0, -how, 128 + how):
                yield f"ended with {code} after {how.name}: {last_words(folder)}"
            yield from self._amiss(course, folder, before, killed=code < 0)
        code = self.server.run(folder, *self._again(course, folder, force))
        if code:
            yield f"cannot go on: {last_words(folder)}"
        else:
            yield from differences(course, folder)
        shutil.rmtree(folder)

    def _again(self, course: Course, folder: Path, force: bool) -> tuple[Any, ...]:
        # What is there from before is replaced until a first file of this run stands in its place.
        main, resume = folder / course.main, ("--resume",) if course.command[0] == "train" else ()
        mine = main.exists() and not (force and main.read_bytes() == (course.earlier / course.main).read_bytes())
        return (*course.command, *(resume if mine else ("--force",) if force else ()))

    def _amiss(self, course: Course, folder: Path, before: set[str], *, killed: bool) -> Iterator[str]:
        present = course.files(folder)
        for name in sorted(present):
            path = folder / name
            if not path.name.startswith("."):
                if why := unreadable(path):
                    yield f"{name} is unreadable: {why}"
            elif name not in before:
                self.kills[path.suffix] += 1
                if not (killed and path.name.startswith(".tetviz-") and path.suffix in (".lock", ".partial")):
                    yield f"left {name}"
        lost = {name for name in before - present if not Path(name).name.startswith(".")}
        if lost and course.command[0] != "train":  # which removes with --force what it is to replace
            yield f"lost {sorted(lost)}"
        if "Traceback" in (words := said(folder)):
            yield f"a traceback: {words}"
        for path in course.inputs.rglob("*"):
            if path.is_file() and (folder / path.relative_to(course.inputs)).read_bytes() != path.read_bytes():
                yield f"changed {path.name}"


def moment(draw: random.Random, course: Course, folder: Path) -> Callable[[], bool]:
    """When to kill: at any moment, or as a file comes or goes, or a moment behind that."""
    begin, wait = time.monotonic(), draw.uniform(0, 0.8 * course.seconds)
    at_change, behind = draw.random() < 0.6, draw.choice([0, 0.0005, 0.002, 0.01])

    def come() -> bool:
        if time.monotonic() - begin < wait:
            return False
        now, until = listed(folder), time.monotonic() + course.seconds
        while at_change and listed(folder) == now and time.monotonic() < until:
            pass
        time.sleep(behind)
        return True

    return come


def listed(folder: Path) -> set[tuple[str, int]]:
    """Names and inodes of files, as they come and go."""
    return {(entry.path, entry.inode()) for each in (folder, *folder.glob("*.kept")) for entry in os.scandir(each)}


def said(folder: Path) -> str:
    """What a command has printed to stderr; nothing where it was killed before it could."""
    path = folder / "stderr"
    return path.read_text() if path.exists() else ""


def last_words(folder: Path) -> str:
    return "".join(said(folder).strip().splitlines()[-1:])


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
    result: Result = load(path)
    command = result.provenance.command.replace(" --resume", "").replace(" --force", "")
    origin = dataclasses.replace(result.provenance, created="", command=command)
    return hdf5_image(lambda file: _write(file, dataclasses.replace(result, provenance=origin)))


def findings(
    count: int, names: list[str], *, seed: int = 0, start: int = 0, kills: Counter[str] | None = None
) -> Iterator[str]:
    """What is amiss after so many kills that came before the end of a command, in turn over commands.

    Args:
        kills: takes down how many there were, and what they left beside the outputs.
    """
    with serving() as server, tempfile.TemporaryDirectory() as home:
        soak = Soak(server, seed, Path(home), Counter() if kills is None else kills)
        courses = soak.courses(names)
        for at, name in enumerate(cycle(courses)):
            if (left := count - soak.kills["struck"]) <= 0:
                break
            number = start + at // len(courses)
            for finding in soak.trial(name, courses[name], number, left):
                yield f"{name} {number}: {finding}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="kills, over all commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first trial of each command")
    parser.add_argument("--commands", nargs="*", default=list(LONG))
    given = parser.parse_args()
    found, kills = 0, Counter[str]()
    try:
        for finding in findings(given.count, given.commands, seed=given.seed, start=given.start, kills=kills):
            print(finding, flush=True)
            found += 1
    finally:  # also of a soak that is stopped
        print(f"{found} findings; {dict(kills)}", file=sys.stderr)
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
