"""The tutorials run, block by block, as a reader would run them."""

from __future__ import annotations

import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.pages import Block, Reader, blocks_of

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
WITH_LAVA = ("train_and_export", "loihi_and_lava")
"""The second goes on with the files of the first."""
ALONE = ("bring_a_network", "convert_an_ann", "live_camera")


@pytest.mark.parametrize("pages", [WITH_LAVA, *((page,) for page in ALONE)], ids="+".join)
def test_what_a_page_runs_prints_what_it_shows(
    pages: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("norse")
    pytest.importorskip("sklearn")
    if find_spec("lava") is None:
        pages = tuple(page for page in pages if "lava" not in page)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import norse.torch  # noqa: F401  (its own warnings)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests", target_is_directory=True)  # a clone has the recorded networks
    for page in pages:
        reader = Reader()
        for block in blocks_of(TUTORIALS / f"{page}.md"):
            reader.run(block)


def test_every_tutorial_is_run() -> None:
    pages = {page.stem for page in TUTORIALS.glob("*.md")}
    assert pages == {*WITH_LAVA, *ALONE, "index"}
    assert all(len(list(blocks_of(TUTORIALS / f"{page}.md"))) >= 4 for page in pages - {"index"})


def test_every_block_of_code_runs_or_says_why_not() -> None:
    for page in TUTORIALS.glob("*.md"):
        openings = re.findall(r"^```(?:python|sh)(.*)$", page.read_text(), re.MULTILINE)
        assert all(not rest or rest.startswith(' title="') for rest in openings), page.name


def _block(kind: str, code: str, output: str = "") -> Block:
    return Block(kind, code, output, "here")


def test_a_reader_sees_what_differs() -> None:
    reader = Reader()
    reader.run(_block("python", "x = 2"))
    reader.run(_block("python", "print(x, 0.25)", "2 0...\n"))
    with pytest.raises(AssertionError, match="expected"):
        reader.run(_block("python", "print(x)", "3\n"))


def test_a_reader_runs_commands_and_wants_their_exit_code() -> None:
    reader = Reader()
    reader.run(_block("sh", "nirbridge --version\n", "...0...\n"))
    with pytest.raises(AssertionError, match="nowhere"):
        reader.run(_block("sh", "nirbridge show nowhere.nir\n"))
    with pytest.raises(AssertionError, match="no other program"):
        reader.run(_block("sh", "rm file\n"))
