"""The program itself: the overview, loading on demand, exit codes and tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

import nirbridge
from nirbridge.cli import COMMANDS, main
from tests.cli.conftest import Invoke, assert_one_line

INSTALLED = [name for name, (module, _) in COMMANDS.items() if find_spec(module)]


def _modules_after(arguments: list[str]) -> set[str]:
    code = (
        "import sys, json\n"
        "from nirbridge.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_overview_loads_no_command_and_no_library() -> None:
    loaded = _modules_after(["--help"])
    assert "click" in loaded
    assert not loaded & {"torch", "nir", "numpy", "h5py", "norse", "lava", "importlib.metadata", "nirbridge.ir"}
    assert {module for module in loaded if module.startswith("nirbridge.cli.")} == {
        "nirbridge.cli.group",
        "nirbridge.cli.failures",
        "nirbridge.cli.output",
    }


@pytest.mark.parametrize("command", INSTALLED)
def test_the_help_of_a_command_loads_no_torch(command: str) -> None:
    assert not _modules_after([command, "--help"]) & {"torch", "norse", "lava", "nir", "numpy"}


def test_show_and_check_need_only_nir(graph_file: Path) -> None:
    for command in ("show", "check"):
        loaded = _modules_after([command, str(graph_file)])
        assert "nir" in loaded
        assert not loaded & {"torch", "norse", "lava", "scipy", "matplotlib", "nirtorch"}


def test_the_overview_lists_every_command_and_the_exit_codes(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.output
    assert "Exit codes:" in result.output


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help_with_an_example(command: str, invoke: Invoke) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0, result.output
    assert f"nirbridge {command}" in result.output.split("Example:")[1]
    assert "--debug" in result.output


def test_version(invoke: Invoke) -> None:
    assert invoke("--version").output == f"nirbridge, version {nirbridge.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("shw",), ("show",), ("show", "a", "--nonsense"), ("run", "a", "--precision", "x")]
)
def test_wrong_usage_exits_with_two_and_ends_with_the_error(arguments: tuple[str, ...], invoke: Invoke) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback_and_still_the_line(place: str, invoke: Invoke) -> None:
    arguments = ("--debug", "show", "no.nir") if place == "before" else ("show", "no.nir", "--debug")
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1] == "Error: file 'no.nir': does not exist. Check the path."


def _raising(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            2,
            "Error: library 'torch': is not installed. Run: pip install",
        ),
        (
            ModuleNotFoundError("No module named 'x'", name="x"),
            3,
            "Error: internal error (ModuleNotFoundError: No module",
        ),
        (RuntimeError("two\nlines"), 3, "Error: internal error (RuntimeError: two lines). Run it with --debug"),
        (MemoryError(), 2, "Error: memory: an allocation failed."),
        (click.ClickException("odd"), 2, "Error: odd"),
        (click.FileError("a.x", "odd"), 2, "Error: Could not open file 'a.x': odd"),
    ],
)
def test_other_exceptions_are_one_line(
    error: Exception, code: int, line: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nirbridge.cli.runtimes.command", _raising(error))
    result = invoke("runtimes")
    assert_one_line(result, line, code=code)


def test_an_interrupt_exits_with_130_and_says_nothing(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nirbridge.cli.runtimes.command", _raising(KeyboardInterrupt()))
    result = invoke("runtimes")
    assert (result.exit_code, result.output) == (130, "")


def test_a_reader_that_goes_away_is_no_error(graph_file: Path) -> None:
    code = "import sys; from nirbridge.cli import main; sys.stdin.read(); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "show", str(graph_file), "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


def test_control_characters_of_a_file_never_reach_the_terminal(invoke: Invoke) -> None:
    result = invoke("show", "a\x1b[31m\nb.nir")
    assert_one_line(result, "a\\x1b[31m b.nir")


def test_commands_are_named_command() -> None:
    context = click.Context(main)
    for name in INSTALLED:
        assert isinstance(main.get_command(context, name), click.Command)
