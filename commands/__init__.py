"""The commands, a file each: options, help, and what is called with them.

Help and completion have to answer at once, so a command is imported when it is named, and imports nothing heavy
itself: it names what it calls in full, such as ``tetviz.training.load_data``, which is loaded when it is called. The
modules in ``_LOADED_WHEN_USED`` hold what several commands do, and may import anything.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from tetviz.errors import unknown

if TYPE_CHECKING:  # what __getattr__ gives
    from tetviz.commands import ablation_runs as ablation_runs
    from tetviz.commands import demonstration as demonstration
    from tetviz.commands import epochs as epochs
    from tetviz.commands import measure as measure
    from tetviz.commands import movable as movable
    from tetviz.commands import pair as pair
    from tetviz.commands import progress as progress
    from tetviz.commands import report_server as report_server
    from tetviz.commands import session as session
    from tetviz.commands import study_runs as study_runs

_LOADED_WHEN_USED = (
    *("ablation_runs", "demonstration", "epochs", "measure", "movable", "pair", "progress", "report_server", "session"),
    "study_runs",
)

# The name of a command: where it is, and what the list of commands says of it.
COMMANDS = {
    "train": ("train:train", "Train a spiking network with surrogate gradients."),
    "ablation": ("ablation:ablation", "Train smooth and spiking neurons with both losses."),
    "import": ("importing:import_weights", "Make a checkpoint of weights of someone else's."),
    "doctor": ("doctor:doctor", "Examine whether a checkpoint is fit to be measured."),
    "landscape": ("landscape:landscape", "Measure both losses on random planes."),
    "sharpness": ("sharpness:sharpness", "Measure how flat the loss is, with intervals."),
    "compare": ("compare:compare", "Compare checkpoints from their results."),
    "line": ("line:line", "Measure both losses along random lines."),
    "interpolate": ("interpolate:interpolate", "Measure the straight line between two checkpoints."),
    "connect": ("connect:connect", "Train a curve of low loss between two checkpoints."),
    "trajectory": ("trajectory:trajectory", "Measure the plane of a training run, with its path."),
    "plane": ("trajectory:plane", "Measure the plane through three checkpoints."),
    "curvature": ("curvature:curvature", "Measure curvature: surrogate Hessian, finite radii."),
    "history": ("history:history", "Write down how a training run went."),
    "scale": ("scale:scale", "Measure accuracy and losses at every T."),
    "energy": ("energy:energy", "Count what a network computes at every T; price it."),
    "training-energy": ("training_energy:training_energy", "Count what training computes; price it."),
    "isometry": ("isometry:isometry", "Measure what each block does to gradients."),
    "compress": ("compress:compress", "Prune, quantise and quieten a network."),
    "attack": ("attack:attack", "Change the input until a network errs."),
    "smoothness": ("smoothness:smoothness", "Measure how alike the nodes of a graph become."),
    "plot": ("plot:plot", "Draw result files: figures and tables."),
    "report": ("report:report", "Gather result files in one page for a browser."),
    "export": ("export:export", "Write a result file for another program."),
    "info": ("info:info", "Say what a file is and how it was made."),
    "study": ("study:study", "Train, measure and judge all claims of the TET paper."),
    "demo": ("demo:demo", "Tell the whole story on bundled data, in minutes."),
}


def __getattr__(name: str) -> ModuleType:
    if name in _LOADED_WHEN_USED:
        return import_module(f"tetviz.commands.{name}")
    raise AttributeError(f"module 'tetviz.commands' has no attribute {name!r}")


class LazyGroup(click.Group):
    """Imports a command when it is named; lists and completes the names without."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"tetviz.commands.{module}"), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not (args[0] in COMMANDS or args[0].startswith("-") or ctx.resilient_parsing):
            ctx.fail(unknown("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [(name, about) for name, (_, about) in COMMANDS.items() if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=about) for name, about in named), *options]
