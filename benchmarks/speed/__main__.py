"""Measures and writes the page.

python -m benchmarks.speed [--only NAME] [--quick] [--redraw] [--page docs/benchmarks.md]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from nirbridge.errors import NirbridgeError

from .fresh import FailedError, fresh
from .page import SECTIONS, write_page
from .store import write_section


def measure(names: tuple[str, ...], folder: Path, quick: bool) -> list[str]:
    """Measures sections, each in a process of its own, and writes each when it is done; those that failed."""
    failed = []
    for number, name in enumerate(names, start=1):
        say(f"[{number}/{len(names)}] {name} ...", end=" ")
        start = time.perf_counter()
        try:
            section = fresh(f"{SECTIONS[name].__name__}:measure", quick=quick)
        except FailedError as error:
            say(f"failed: {error}")
            failed.append(name)
            continue
        took = time.perf_counter() - start
        write_section(folder, name, section, took, quick)
        say(f"{took:.0f} s")
    return failed


def say(text: str, end: str = "\n") -> None:
    """Progress, on standard error."""
    print(text, end=end, file=sys.stderr, flush=True)


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="Measure this section; repeatable.")
@click.option("--quick", is_flag=True, help="Try the machinery at tiny sizes; the numbers mean nothing.")
@click.option("--redraw", is_flag=True, help="Draw the page from what is kept; measure nothing.")
@click.option(
    "--page", default="docs/benchmarks.md", show_default=True, type=click.Path(dir_okay=False, path_type=Path),
    help="The page; JSON and pictures go to the folder of its name beside it.",
)  # fmt: skip
def main(only: tuple[str, ...], quick: bool, redraw: bool, page: Path) -> None:
    """Measure speed against peers and write the page of benchmarks."""
    failed: list[str] = []
    interrupted = False
    try:
        if not redraw:
            try:
                failed = measure(only or tuple(SECTIONS), page.with_suffix(""), quick)
            except KeyboardInterrupt:
                interrupted = True
                say("interrupted; the page shows what is measured")
        write_page(page)
    except NirbridgeError as error:
        say(f"Error: {error}")
        sys.exit(2)
    print(f"wrote {page}")
    sys.exit(130 if interrupted else int(bool(failed)))


if __name__ == "__main__":
    main()
