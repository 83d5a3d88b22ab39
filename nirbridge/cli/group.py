"""The ``nirbridge`` program: finds the command by its name and loads nothing else."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from nirbridge.cli import failures
from nirbridge.cli.output import echo_text, guard_streams
from nirbridge.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "export": ("nirbridge.cli.export", "Turn a torch module into a graph file."),
    "import": ("nirbridge.cli.import_", "Turn a network that lava-dl trained into a graph file."),
    "show": ("nirbridge.cli.show", "Show nodes, shapes, levels, parameters and edges of a graph; draw it."),
    "check": ("nirbridge.cli.check", "Find everything that is wrong with a graph."),
    "diff": ("nirbridge.cli.diff", "Find what differs between two graphs."),
    "run": ("nirbridge.cli.run", "Run a graph on data with one runtime."),
    "plot": ("nirbridge.cli.plot", "Draw spikes, membranes, rates and the decision of one sample over time."),
    "compare": ("nirbridge.cli.compare", "Run a graph on several runtimes and compare them node by node."),
    "evaluate": ("nirbridge.cli.evaluate", "Run a graph on a whole data set: accuracy, decisions, spikes, energy."),
    "energy": ("nirbridge.cli.energy", "Estimate the energy of every layer, and of the same network as an ANN."),
    "frontier": ("nirbridge.cli.frontier", "Compare networks by accuracy, energy and latency; draw the frontier."),
    "quantize": ("nirbridge.cli.quantize", "Turn a graph into integers for Loihi-style execution."),
    "expand": ("nirbridge.cli.expand", "Turn extension primitives into core NIR, or into what one platform runs."),
    "convert": ("nirbridge.cli.convert", "Turn a trained analog network into a spiking graph."),
    "info": ("nirbridge.cli.info", "Say what event recordings hold: rates, sensor, cameras, hot pixels."),
    "encode": ("nirbridge.cli.encode", "Turn an event recording into frames."),
    "stream": ("nirbridge.cli.stream", "Stream events through a graph and print its decisions."),
    "runtimes": ("nirbridge.cli.runtimes", "List the runtimes, their versions and what they lack."),
    "conformance": ("nirbridge.cli.conformance", "Judge a runtime by the suite that nirbridge's own pass."),
    "demo": ("nirbridge.cli.demo", "See the whole path work on embedded data, in under a minute."),
}
"""Command → its module and the one line that the overview shows, so that the overview loads no command."""

_EPILOG = """\b
Exit codes:
  0  done
  1  the answer is no (check, compare, diff, conformance)
  2  bad input or usage: one line for each problem on stderr
  3  internal error, a defect of nirbridge itself
  130 interrupted, 141 the reader of the output went away, 143 terminated

\b
Example:
  nirbridge show model.nir
  nirbridge run model.nir -i frames.npy -o out.npz --runtime norse
"""


class Program(click.Group):
    """A group whose commands are loaded when they run, and whose errors are one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads one command and gives it the options that all have."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        if not any(parameter.name == "debug" for parameter in command.params):
            command.params.append(_debug_option())
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Runs the program; where it is the process's own, its streams and signals become its concern."""
        if sys.stdout is sys.__stdout__:
            guard_streams()
            failures.end_on_sigterm()
        return super().main(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Reads the options of the program itself, of which --help and --version print."""
        with _exits(None):
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        with _exits(ctx), failures.warnings_as_lines():
            return super().invoke(ctx)


@contextmanager
def _exits(ctx: click.Context | None) -> Iterator[None]:
    """Whatever the block raises becomes lines on stderr and an exit code."""
    try:
        yield
    except click.ClickException as error:
        # Click's own default is 1, which means "the answer is no" here.
        text = io.StringIO()
        error.show(file=text)
        echo_text(text.getvalue().rstrip("\n"), err=True)
        raise click.exceptions.Exit(failures.BAD_INPUT) from error
    except (click.exceptions.Exit, click.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:
        debug = ctx is not None and bool(ctx.meta.get(failures.DEBUG))
        raise click.exceptions.Exit(failures.report(error, debug)) from error


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help="Show the traceback of an error.",
        callback=_remember_debug,
    )


def _remember_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[failures.DEBUG] = True


@click.command(cls=Program, epilog=_EPILOG, params=[_debug_option()])
@click.version_option(__version__, prog_name="nirbridge")
def main() -> None:
    """Take trained multi-level spiking neural networks to neuromorphic execution.

    A network is a NIR graph in a file.  Data go to stdout, progress and errors to stderr; output files are written
    whole or not at all.  'nirbridge COMMAND --help' explains a command.
    """
