"""The command line: the group, and the one place where errors become exit codes."""

import os
import sys
from typing import Any

import click

import tetviz
from tetviz.commands import LazyGroup
from tetviz.commands.console import COMMAND_LINE
from tetviz.errors import TetvizError


class _Group(LazyGroup):
    """Remembers the command line, and turns a user's errors into one line and exit code 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[COMMAND_LINE] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TetvizError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            # Whoever read the output, such as head, has had enough; nothing more may be flushed into the pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}; choose another file or folder") from error
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            raise click.ClickException(f"{str(error).partition('. ')[0]}; lower --batch-size") from error
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            raise click.exceptions.Exit(130) from None


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
    tetviz report *.h5 -o report.html         all of it in one page for a browser
    """
