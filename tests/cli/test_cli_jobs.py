"""``--jobs`` and ``--cluster``, on a command that only says what it was given."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from nirbridge.cli.jobs_options import jobs_options
from nirbridge.errors import InputError
from nirbridge.workers import all_cores


@click.command()
@jobs_options
def command(jobs: int, cluster: str | None) -> None:
    click.echo(repr((jobs, cluster)))


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], (1, None)),
        (["--jobs", "3"], (3, None)),
        (["--jobs", "0"], (all_cores(), None)),
        (["--jobs", "all", "--cluster", "local"], (all_cores(), "local")),
        (["--cluster", "tcp://10.0.0.1:8786"], (1, "tcp://10.0.0.1:8786")),
    ],
)
def test_who_works(arguments: list[str], given: tuple[int, str | None]) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.output == f"{given!r}\n"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--jobs", "-1"], r"option --jobs: '-1' is no number of processes"),
        (["--jobs", "two"], r"option --jobs: 'two' is no number of processes"),
        (["--cluster", "10.0.0.1:8786"], r"cluster '10\.0\.0\.1:8786': is neither 'local' nor the address"),
    ],
)
def test_what_is_neither_is_refused(arguments: list[str], found: str) -> None:
    with pytest.raises(InputError, match=found):
        CliRunner().invoke(command, arguments, catch_exceptions=False)
