"""The plan of a study: a TOML file that names networks, runs of training, seeds, and what is measured."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import click

from tetviz.commands import LazyGroup
from tetviz.commands.study_seconds import MEASURING
from tetviz.commands.toml import read_toml
from tetviz.errors import TetvizError, unknown

SHIPPED = ("quick", "cifar", "paper")
_PLAN_KEYS = ("title", "about", "seeds", "train", "networks", "runs", "measure")
_MEASURE_KEYS = ("command", "runs", "networks", "trained-at")
_TEXTS = (("title", str), ("about", str))
_TIMESTEPS = (4,)
_STAGED = ("timesteps", "epochs", "networks")
_OWN = ("output", "force", "wait", "config")  # what the study sets itself
_OWN_OF_TRAIN = ("seed", "resume", *_OWN)

Options = Mapping[str, Any]


class PlanError(TetvizError):
    """A plan that cannot be read, or that asks for what no command takes."""


@dataclass(frozen=True)
class Measure:
    """What is measured of networks.

    Attributes:
        name: what stands in the names of its files.
        command: the command that measures.
        options: its options.
        runs: names of the runs that it is measured of; all where there is none.
        networks: likewise, of the networks.
        trained_at: the T of training that it is measured of; all where there is none.
    """

    name: str
    command: str
    options: Options
    runs: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    trained_at: tuple[int, ...] = ()

    def takes(self, network: str, run: str, timesteps: int) -> bool:
        """Whether it is measured of a run."""
        asked = ((self.networks, network), (self.runs, run), (self.trained_at, timesteps))
        return all(not chosen or each in chosen for chosen, each in asked)


@dataclass(frozen=True)
class Plan:
    """What a study trains and measures.

    Attributes:
        name: of the plan, such as ``quick``.
        title: heading of the page.
        about: a sentence about its data and sizes.
        seeds: of training.
        networks: by name, options of training; one without a name where the plan names none.
        runs: by name, options of training that go before those of the network. ``timesteps`` is a list here, of T that
            are trained with.
        measures: what is measured.
    """

    name: str
    title: str
    about: str
    seeds: tuple[int, ...]
    networks: Mapping[str, Options]
    runs: Mapping[str, Options]
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Job:
    """One command of a study: a training, or a measurement of what one gave.

    Attributes:
        words: the command line behind ``tetviz``.
        target: the result file that tells whether it is done.
        checkpoint: what is trained or measured.
        needs: the training that a measurement needs.
    """

    words: tuple[str, ...]
    target: Path
    checkpoint: Path
    needs: "Job | None" = field(default=None, repr=False)

    @property
    def command(self) -> str:
        """Its name."""
        return self.words[0]

    def context(self) -> click.Context:
        """The command line, read."""
        return command_named(self.command).make_context(self.command, list(self.words[1:]))


def command_named(name: str) -> click.Command:
    """A command of tetviz."""
    command = LazyGroup().get_command(click.Context(click.Command("tetviz")), name)
    assert command is not None, name
    return command


def read_plan(named: str) -> Plan:
    """Reads a shipped plan by its name, or a file.

    Raises:
        PlanError: the plan is unknown or cannot be read, or one of its keys or values is not what it has to be.
    """
    if named in SHIPPED:
        with as_file(files("tetviz.commands") / "plans" / f"{named}.toml") as shipped:
            return _plan(named, read_toml(shipped, PlanError), named)
    path = Path(named)
    if path.suffix != ".toml":
        raise PlanError(f"{unknown('plan', named, SHIPPED)}; a plan of your own is a file that ends in .toml")
    return _plan(path.stem, read_toml(path, PlanError), str(path))


def _plan(name: str, table: Options, where: str) -> Plan:
    _check_keys(where, table, _PLAN_KEYS)
    for key, kind in (("train", dict), ("networks", dict), ("runs", dict), ("measure", dict), *_TEXTS):
        if not isinstance(table.get(key, kind()), kind):
            raise PlanError(f"{where}: {key} = {table[key]!r}: expected a {'text' if kind is str else 'table'}")
    common = table.get("train", {})
    networks, runs, measured = (_tables(where, group, table) for group in ("networks", "runs", "measure"))
    if not runs:
        raise PlanError(f'{where}: names no run to train; add a table such as [runs.tet] with loss = "tet"')
    for options in (common, *networks.values(), *runs.values()):
        _check_own(where, "a run", options, _OWN_OF_TRAIN)
        if "timesteps" in options:
            _numbers(where, "timesteps", options["timesteps"])
    for run, options in runs.items():
        _chosen(where, f"runs.{run}", "network", options.get("networks", []), networks)
    return Plan(
        name=name,
        title=table.get("title", name),
        about=table.get("about", ""),
        seeds=_numbers(where, "seeds", table.get("seeds")),
        networks={key: {**common, **own} for key, own in networks.items()} or {"": common},
        runs=runs,
        measures=tuple(_measure(where, key, own, runs, networks) for key, own in measured.items()),
    )


def _tables(where: str, group: str, table: Options) -> dict[str, Options]:
    for name, value in table.get(group, {}).items():
        if not isinstance(value, dict):
            raise PlanError(f"{where}: [{group}] {name} = {value!r}: expected a table [{group}.{name}]")
        if not name or set(name) & set("/\\. "):
            raise PlanError(
                f"{where}: [{group}.{name!r}]: the name becomes part of names of files; use letters, digits and -"
            )
    return dict(table.get(group, {}))


def _chosen(where: str, at: str, what: str, names: Any, known: Iterable[str]) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise PlanError(f"{where}: [{at}] {what}s = {names!r}: expected a list of names")
    for name in names:
        if name not in known:
            raise PlanError(f"{where}: [{at}] {unknown(what, str(name), known)}")
    return tuple(names)


def _measure(
    where: str, name: str, table: Options, runs: Mapping[str, Options], networks: Mapping[str, Options]
) -> Measure:
    command = table.get("command", name)
    if command not in MEASURING:
        raise PlanError(f"{where}: [measure.{name}] {unknown('command', str(command), MEASURING)}")
    chosen = _chosen(where, f"measure.{name}", "run", table.get("runs", []), runs)
    on = _chosen(where, f"measure.{name}", "network", table.get("networks", []), networks)
    trained_at = _numbers(where, f"[measure.{name}] trained-at", table["trained-at"]) if "trained-at" in table else ()
    options = {key: value for key, value in table.items() if key not in _MEASURE_KEYS}
    _check_own(where, f"[measure.{name}]", options, _OWN)
    return Measure(name, command, options, chosen, on, trained_at)


def _check_keys(where: str, table: Options, known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            raise PlanError(f"{where}: {unknown('key', key, known)}")


def _check_own(where: str, what: str, options: Options, own: Sequence[str]) -> None:
    for key in own:
        if key in options:
            raise PlanError(f"{where}: {key}: no option of {what} here; the study sets it")


def _numbers(where: str, key: str, value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)
    if not whole or not value or len(set(value)) < len(value):
        raise PlanError(f"{where}: {key} = {value!r}: expected a list of different whole numbers such as [0, 1, 2]")
    return tuple(value)


def jobs_of(plan: Plan, folder: Path, data_root: Path | None = None) -> list[Job]:
    """All commands of a study, in order: seed by seed all runs of training, then the measurements of that seed.

    Every command stands for itself but for a measurement, which takes the training before it: whoever runs them may run
    several at once.

    Raises:
        PlanError: an option that the command does not take.
    """
    made: list[Job] = []
    for seed in plan.seeds:
        trained = [
            ((network, run, timesteps), _training(folder, data_root, seed, network, run, timesteps, options))
            for network, run in itertools.product(plan.networks, plan.runs)
            if network in plan.runs[run].get("networks", plan.networks)
            for timesteps, options in _variants({**plan.networks[network], **plan.runs[run]})
        ]
        made += [job for _, job in trained]
        made += [
            _measurement(measure, job, seed)
            for what, job in trained
            for measure in plan.measures
            if measure.takes(*what)
        ]
        for measure in plan.measures:
            if not any(measure.takes(*what) for what, _ in trained):
                raise PlanError(
                    f"plan {plan.name}: [measure.{measure.name}] takes no network that is trained; mend its networks, "
                    "runs or trained-at"
                )
    _check_commands(plan, made)
    return made


def _variants(options: Options) -> Iterator[tuple[int, Options]]:
    # A run for each T; one in stages says T and epochs itself.
    stages = options.get("stage")
    if stages:
        last = str(stages[-1] if isinstance(stages, list) else stages).partition(":")[0]
        yield int(last) if last.isdecimal() else 0, {k: v for k, v in options.items() if k not in _STAGED}
        return
    for timesteps in options.get("timesteps", _TIMESTEPS):
        yield timesteps, {k: v for k, v in options.items() if k != "networks"} | {"timesteps": timesteps}


def _training(
    folder: Path, data_root: Path | None, seed: int, network: str, run: str, timesteps: int, options: Options
) -> Job:
    if data_root is not None:
        options = {**options, "data-root": str(data_root / options.get("data-root", ""))}
    output = folder / network / f"seed-{seed}" / f"{run}-T{timesteps}.pt"
    words = ("train", *words_of(options), "--seed", str(seed), "-o", str(output))
    return Job(words, output.with_name(f"{output.stem}.epochs.h5"), output)


def _measurement(measure: Measure, training: Job, seed: int) -> Job:
    checkpoint = training.checkpoint
    options = dict(measure.options)
    if any(param.name == "seed" for param in command_named(measure.command).params):
        options.setdefault("seed", seed)  # planes are nested in networks: those of another seed have others
    target = checkpoint.with_name(f"{checkpoint.stem}.{measure.name}.h5")
    words = (measure.command, str(checkpoint), *words_of(options), "-o", str(target))
    return Job(words, target, checkpoint, training)


def words_of(options: Options) -> Iterator[str]:
    """Options as words of a command line; a list repeats its option."""
    for key, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not False:
                yield f"--{key.replace('_', '-')}"
            if not isinstance(each, bool):
                yield str(each)


def _check_commands(plan: Plan, jobs: Sequence[Job]) -> None:
    for job in jobs:
        at = f"run {job.checkpoint.stem}" if job.command == "train" else f"measure {job.target.suffixes[-2][1:]}"
        known = [name for param in command_named(job.command).params for name in param.opts if name.startswith("-")]
        for word in job.words:
            if word.startswith("--") and word not in known:
                options = [name.removeprefix("--") for name in known if name.startswith("--")]
                raise PlanError(f"plan {plan.name}, {at}: {unknown('option', word.removeprefix('--'), options)}")
        try:
            job.context().close()
        except click.UsageError as error:
            raise PlanError(f"plan {plan.name}, {at}: {error.format_message()}") from error
