"""The command line: the group, and the one place where errors become exit codes."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

import tetviz
from tetviz.commands import LazyGroup
from tetviz.commands.console import COMMAND_LINE, Terminated, exit_code, note, shown, signal_of
from tetviz.errors import TetvizError, printable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOWER = "lower --batch-size, --samples or --grid"


@contextmanager
def _terminable() -> Iterator[None]:
    # A batch system asks a job to end some seconds before it kills it, a terminal that is closed says that it is gone.
    # What runs under nohup ignores that, and goes on.
    asked = [signal.SIGTERM, signal.SIGHUP] if hasattr(signal, "SIGHUP") else [signal.SIGTERM]
    main_thread = threading.current_thread() is threading.main_thread()
    mine = [number for number in asked if main_thread and signal.getsignal(number) is signal.SIG_DFL]

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    def swallowed(found: "sys.UnraisableHookArgs") -> None:
        # Python goes on after what is raised in a destructor or a callback: a stop is asked for again a moment later.
        if isinstance(found.exc_value, KeyboardInterrupt):
            threading.Timer(0.01, signal.raise_signal, (signal_of(found.exc_value),)).start()
        else:
            before(found)

    before = sys.unraisablehook
    sys.unraisablehook = swallowed
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = before


@contextmanager
def _in_a_line() -> Iterator[None]:
    # A user's errors, in one line and with exit code 1.
    try:
        yield
    except TetvizError as error:
        raise click.ClickException(printable(str(error))) from error
    except click.UsageError as error:
        if shown(error.format_message()) == error.format_message():
            raise
        raise click.UsageError(shown(error.format_message()), error.ctx) from error
    except BrokenPipeError:
        # Whoever read the output, such as head, has had enough; nothing more may be flushed into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        cure = "make room" if error.errno in _FULL else "choose another file or folder"
        raise click.ClickException(printable(f"{where}{error.strerror or error}; {cure}")) from error
    except MemoryError as error:
        raise click.ClickException(f"this machine is out of memory; {_LOWER}") from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):  # torch, on the CPU
            raise click.ClickException(f"this machine is out of memory; {_LOWER}") from error
        if "out of memory" not in str(error):
            raise
        raise click.ClickException(printable(f"{str(error).partition('. ')[0]}; lower --batch-size")) from error
    except KeyboardInterrupt as stop:
        note("stopped")
        raise click.exceptions.Exit(exit_code(stop)) from None


class _Group(LazyGroup):
    """Remembers the command line, and tells a user's errors of it and of what it runs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[COMMAND_LINE] = list(args)
        with _in_a_line():  # --help and --version print here
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _in_a_line(), _terminable():
            return super().invoke(ctx)


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(f"tetviz, version {tetviz.__version__}")
        context.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Loss surfaces, time scalability and energy of directly trained spiking networks.

    \b
    tetviz demo                               the whole story on bundled data, in minutes
    tetviz train --data digits -o tet.pt      a network to look at
    tetviz import weights.pth ... -o net.pt   a network of your own, written in any library
    tetviz doctor tet.pt                      whether it is fit to be measured
    tetviz landscape tet.pt --loss sdt        how the loss looks around it
    tetviz sharpness sdt.pt tet.pt            how flat it is, with intervals; which is flatter
    tetviz scale tet.pt --tmax 64             how it does with fewer or more timesteps
    tetviz energy tet.pt --tmax 8             what it computes, and what that costs
    tetviz isometry tet.pt                    what its depth does to gradients
    tetviz attack tet.pt --method pgd         how little makes it err
    tetviz report *.h5 -o report.html         all of it in one page for a browser
    """
