"""Where the results of a command go: names of files, from those of checkpoints."""

from pathlib import Path

import click

from tetviz.errors import CheckpointError

LONGEST_NAME = 80


def checkpoint_name(path: Path, between: str = " ") -> str:
    """What a checkpoint is called."""
    folder = path.absolute().parent
    return f"{folder.stem}{between}{path.stem}" if folder.suffix == ".kept" else path.stem


def output_paths(checkpoints: tuple[Path, ...], output: Path | None, kind: str) -> list[Path]:
    """Where the results of some checkpoints go."""
    for path in checkpoints:
        if not path.name:
            raise CheckpointError(f"{path}: is a folder, expected a checkpoint")
    if output is None:
        paths = [path.with_name(f"{path.stem}.{kind}.h5") for path in checkpoints]
    elif len(checkpoints) > 1:
        if not output.is_dir():
            raise click.UsageError("-o: for several checkpoints leave it out, or name a folder that exists")
        paths = [output / f"{checkpoint_name(path, '-')}.{kind}.h5" for path in checkpoints]
    elif output.suffix not in (".h5", ".hdf5", ".nc"):
        raise click.UsageError(f"-o {output}: results are HDF5, name a file that ends in .h5")
    else:
        paths = [output]
    if len(set(checkpoints)) < len(checkpoints):
        raise click.UsageError("the same checkpoint is named twice")
    if len(set(paths)) < len(paths):
        raise click.UsageError("two checkpoints have the same name, and so would their results; leave out -o")
    return paths


def between_path(checkpoints: tuple[Path, Path], output: Path | None, kind: str) -> Path:
    """Where the result of two checkpoints goes."""
    first, second = checkpoints
    if not first.name:
        raise CheckpointError(f"{first}: is a folder, expected a checkpoint")
    pair = first.with_name(f"{first.stem}-{second.stem}.pt")
    return output_paths((pair,), output, kind)[0]


def overlay_path(checkpoints: tuple[Path, ...], output: Path | None, kind: str) -> Path | None:
    """What the figure of several checkpoints is named after."""
    if len(checkpoints) < 2:
        return None
    if output is not None:
        return output / f"{kind}.h5"
    parts = [checkpoint_name(path, "-") for path in checkpoints]
    names = "-".join(parts)
    if len(names) > LONGEST_NAME:
        names = f"{parts[0]}-and-{len(checkpoints) - 1}-others"
    return checkpoints[0].with_name(f"{names}.{kind}.h5")
