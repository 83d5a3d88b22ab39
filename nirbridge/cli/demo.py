"""nirbridge demo: the main job end to end on embedded data."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nirbridge.cli.output import echo

if TYPE_CHECKING:
    from nirbridge.demo.run import Streamed


@click.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder for the model and the picture; it is made if missing.",
)
@click.option("--digits", "count", type=click.IntRange(1, 500), default=40, show_default=True, help="Digits to stream.")
def command(out: Path, count: int) -> None:
    """Export a trained network, check it, run it on every runtime, and stream events through the Lava simulator.

    Digits of scikit-learn are moved in front of a simulated event sensor; the weights ship with nirbridge.

    \b
    Example:
      nirbridge demo --out demo-out
    """
    from time import perf_counter

    import numpy as np

    from nirbridge.demo.picture import draw
    from nirbridge.demo.run import run_demo
    from nirbridge.errors import ExecutionError, FileError

    start = perf_counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"folder '{out}'", f"cannot be made ({error.strerror})", "Choose another place") from error

    def progress(digits: Iterable[Streamed]) -> list[Streamed]:
        with click.progressbar(digits, length=count, label="   streaming", file=sys.stderr) as bar:
            return list(bar)

    result = run_demo(out, count, echo, progress)
    if not result.comparison.agrees:
        raise ExecutionError("runtimes", "they disagree about the demo's network", "Please report this")
    wrong = [digit for digit in result.streamed if digit.decision != digit.label]
    decisions = " ".join(f"{d.decision}{'' if d.decision == d.label else f'({d.label})'}" for d in result.streamed)
    p50, p99 = np.percentile(result.latencies, (50, 99))
    echo(f"4. stream   {count} digits, 9 windows of 10 ms each, through '{result.runtime}'")
    echo(f"   decisions, the truth in brackets where they are wrong: {decisions}")
    echo(f"   accuracy  {result.accuracy:.1%} ({len(result.streamed) - len(wrong)} of {len(result.streamed)})")
    echo(f"   latency   p50 {p50:.2f} ms, p99 {p99:.2f} ms from the end of a window to its decision")
    draw(result, out / "demo.png")
    echo(f"5. picture  {out / 'demo.png'}")
    echo(f"done in {perf_counter() - start:.0f} s")
