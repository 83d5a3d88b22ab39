"""The page of results: how verdicts are reached, how runs are kept, and all of it end to end in small."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from nirbridge.errors import FileError, InputError
from training.configuration import checked

pytest.importorskip("norse")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from benchmarks.results import mnist, page, runner, trials
from benchmarks.results.__main__ import all_jobs, main
from benchmarks.results.jobs import Job
from benchmarks.results.machine import Workers
from benchmarks.results.markdown import claims_table
from benchmarks.results.plan import Plan
from benchmarks.results.recipes import BLOCKS, CANDIDATES, CHOSEN, DIGITS, LEVELS, NMNIST, level_neuron
from benchmarks.results.sources import code_digest
from benchmarks.results.statistics import Runs, Sample, mean_of
from benchmarks.results.store import Store, outcome, read_runs, write_runs
from benchmarks.results.verdicts import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    Finding,
    at_least,
    at_most,
    larger,
    within,
)


def job(seed: int = 0, **cell: int) -> Job:
    return Job("some", "digits", cell, seed, "train", {"epochs": 1})


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """The numbers of threads that runs set end with the test."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_sample_has_the_deviation_of_few_values() -> None:
    sample = Sample((90.0, 92.0, 94.0))
    assert (sample.mean, sample.spread, sample.text()) == (92.0, 2.0, "92.0 ± 2.0")
    assert Sample((5.0,)).spread == 0
    assert mean_of([sample, Sample((92.0, 90.0, 94.0))]).values == (91.0, 91.0, 94.0)
    with pytest.raises(ValueError, match="shorter"):
        sample.each(lambda a, b: a - b, Sample((1.0,)))


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ((92.0, 93.0, 94.0), (90.0, 90.5, 91.0), SUPPORTED),  # 2.5 apart, spread 1.12
        ((91.0, 93.0, 95.0), (90.0, 92.0, 94.0), UNDECIDED),  # 1 apart, spread 2.83
        ((90.0, 90.5, 91.0), (92.0, 93.0, 94.0), NOT_SUPPORTED),
        ((90.4, 90.4, 90.4), (90.0, 90.0, 90.0), UNDECIDED),  # less than one test sample apart
        ((90.0, 90.0, 90.0), (90.0, 90.0, 90.0), UNDECIDED),
    ],
)
def test_a_difference_counts_beyond_the_spread(a: tuple[float, ...], b: tuple[float, ...], verdict: str) -> None:
    assert larger(Sample(a), Sample(b), 0.5).verdict == verdict


def test_an_interval_of_three_seeds_is_that_of_student() -> None:
    """t(0.975, 2) = 4.3027 from printed tables."""
    assert Sample((90.0, 92.0, 94.0)).half_interval == pytest.approx(4.3027 * 2 / 3**0.5, rel=1e-4)
    assert Sample((90.0,)).half_interval == 0


def test_bounds_are_judged_by_the_spread_of_the_value() -> None:
    value = Sample((2.0, 3.0, 4.0))
    assert [at_least(value, bound).verdict for bound in (2.0, 2.5, 3.5, 4.0)] == [
        SUPPORTED,
        UNDECIDED,
        UNDECIDED,
        NOT_SUPPORTED,
    ]
    assert [at_most(value, bound).verdict for bound in (2.0, 3.5, 4.0)] == [NOT_SUPPORTED, UNDECIDED, SUPPORTED]
    assert at_least(Sample((2.0,)), 2.0).verdict == UNDECIDED, "at the bound there is no side"


def test_within_compares_means() -> None:
    assert within(Sample((89.0, 91.0)), Sample((91.0, 91.0)), 1.0).verdict == SUPPORTED
    assert within(Sample((88.9, 91.0)), Sample((91.0, 91.0)), 1.0).verdict == NOT_SUPPORTED


def test_a_reason_is_told_only_where_a_claim_fails() -> None:
    claims = [Claim("a", "b", Finding(verdict, "1"), "because") for verdict in (SUPPORTED, UNDECIDED, NOT_SUPPORTED)]
    assert claims_table(claims).count("because") == 2
    assert "Why not" not in claims_table(claims[:1])


def test_a_job_is_known_by_its_work() -> None:
    assert job(T=1, S=2).key == job(S=2, T=1).key
    others = [job(1, T=1), job(T=2), Job("some", "digits", {"T": 1}, 0, "train", {"epochs": 2})]
    assert len({job(T=1).key, *(other.key for other in others)}) == 4


def test_a_store_goes_on_behind_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    store = Store(path)
    store.add(outcome(job(0), 1.0, 0.5, {"accuracy": 0.5}))
    store.add(outcome(job(1), 1.0, 0.5, {"accuracy": 0.6}))
    whole = path.read_text()
    path.write_text(whole[:-30])
    cut = Store(path)
    assert list(cut.outcomes) == [job(0).key]
    cut.add(outcome(job(2), 1.0, 0.5, {"accuracy": 0.7}))
    assert list(Store(path).outcomes) == [job(0).key, job(2).key]


def test_runs_of_other_code_are_done_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.jsonl")
    store.add(outcome(job(0), 1.0, 0.5, {}) | {"code": "older"})
    store.add(outcome(job(1), 1.0, 0.5, {}))
    assert list(Store(store.path, code_digest()).outcomes) == [job(1).key]
    assert list(Store(store.path).outcomes) == [job(0).key, job(1).key]


def test_runs_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    content = {"command": "c", "machine": {}, "runs": [outcome(job(), 1.0, 0.5, {"accuracy": 0.5})]}
    write_runs(path, content)
    assert read_runs(path) == content
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_runs(path, content | {"runs": [{"numbers": object()}]})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"runs": [1]}', '{"runs": [{"key": "x"}], "machine": {}, "command": ""}']
)
def test_what_is_no_file_of_runs_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "runs.json"
    with pytest.raises(FileError, match="cannot be read"):
        read_runs(path)
    path.write_text(text)
    with pytest.raises(FileError, match=r"runs.json.*--redraw"):
        read_runs(path)


def test_numbers_are_asked_for_by_setting() -> None:
    runs = Runs([outcome(job(seed, T=t), 1.0, 0.5, {"accuracy": seed / 4 + t}) for t in (1, 2) for seed in (1, 0)])
    assert runs.accuracy("some", "digits", T=2).values == (200.0, 225.0)
    assert runs.cells("some", "digits") == [{"T": 1}, {"T": 2}]
    for cell in ({"T": 3}, {}):
        with pytest.raises(InputError, match="some"):
            runs.accuracy("some", "digits", **cell)


def test_every_experiment_has_seeds_before_sweeps() -> None:
    jobs = all_jobs(Plan(), ())
    assert len({entry.key for entry in jobs}) == len(jobs)
    assert [entry.seed for entry in jobs] == sorted(entry.seed for entry in jobs)
    fewer = {entry.key for entry in all_jobs(Plan(seeds=1), ())}
    more = [entry.seed for entry in jobs if entry.key in fewer and entry.seed > 0]
    assert fewer >= {entry.key for entry in jobs if entry.seed == 0}
    assert more == [seed for seed in range(1, 1 + mnist.UNSEEN) for _ in mnist.NETWORKS], "those that nobody looked at"
    cells = [(entry.cell["T"], entry.cell["S"]) for entry in jobs if entry.experiment == "lanes" and entry.seed == 0]
    assert {(t, s) for t in (1, 2, 3, 5, 10) for s in (1, 2, 3, 4)} == set(cells)
    assert len(cells) == 40, "both data sets"


@pytest.mark.parametrize("quick", [True, False])
def test_every_training_is_one_that_the_configuration_takes(quick: bool) -> None:
    """No experiment sets a key that its recipe does not read."""
    for found in all_jobs(Plan(1, quick=quick), ()):
        if "configuration" in found.work or "recipe" in found.work:
            assert checked(found.work.get("configuration", found.work), str(found)).epochs > 0


def test_a_failed_run_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.jsonl")
    bad = Job("some", "digits", {"T": 1}, 0, "train", {"epochs": "many"})
    good = Job("some", "digits-graph", {}, 0, "convert-nodes", TINY_GRAPH)
    with pytest.raises(InputError, match=r"some on digits, T=1, seed 0.*failed with"):
        runner.run_jobs([good, bad], store, Workers(1))
    assert list(store.outcomes) == [good.key]


TINY_GRAPH = {
    "graph": {"nodes": 60, "neighbours": 4},
    "training": {"width": 4, "known": 2, "epochs": 3, "learning_rate": 0.02, "weight_decay": 0.0},
    "settings": [{"phases": 4}],
    "energy": [0],
}


def test_end_to_end_in_small(shared_data: Path, tmp_path: Path) -> None:
    """Every experiment; then gone on with behind an interruption; then drawn again from its runs."""
    arguments = ["--quick", "--seeds", "1", "--workers", "2", "--nmnist", str(shared_data / "nmnist-small")]
    arguments += ["--mnist", str(shared_data / "mnist")]
    arguments += ["--page", str(tmp_path / "results.md"), "--cache", str(tmp_path / "cache.jsonl")]
    done = CliRunner().invoke(main, [*arguments])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "results.md").read_text()
    for module in page.EXPERIMENTS.values():
        assert f"## {module.TITLE}" in text
    assert text.count("Not run.") == 1, "the trials alone"
    assert text.count("supported**") > 20
    for picture in (tmp_path / "results").glob("*.png"):
        assert f"results/{picture.name}" in text
        assert picture.read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "cache.jsonl").read_text().splitlines()
    runs = json.loads((tmp_path / "results" / "runs.json").read_text())["runs"]
    assert len(runs) == len(lines) > 20

    lines.sort(key=lambda line: json.loads(line)["seconds"], reverse=True)  # the quickest is done twice
    (tmp_path / "cache.jsonl").write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:40])
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    again = (tmp_path / "cache.jsonl").read_text().splitlines()
    assert again[: len(lines) - 1] == lines[:-1], "finished runs are not done again"
    assert len(again) == len(lines) + 1, "the cut line and its run"

    written = (tmp_path / "results.md").read_text()
    (tmp_path / "results.md").unlink()
    done = CliRunner().invoke(main, ["--redraw", "--page", str(tmp_path / "results.md")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "results.md").read_text() == written


def test_only_one_experiment_leaves_the_others_open(tmp_path: Path) -> None:
    arguments = ["--quick", "--seeds", "1", "--workers", "1", "--only", "conversion"]
    arguments += ["--page", str(tmp_path / "results.md"), "--cache", str(tmp_path / "cache.jsonl")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "results.md").read_text()
    assert text.count("Not run.") == len(page.EXPERIMENTS), "the trials among them"
    assert "One-Spike conversion" in text


def test_the_chosen_recipes_are_those_that_won() -> None:
    """On what was held back, of the trials whose outcome is part of the repository."""
    content = trials.read(Path(__file__).parents[2] / "docs" / "results")
    assert content is not None
    assert not content["quick"]
    runs = Runs(content["runs"])
    for group, candidates in CANDIDATES.items():
        assert trials.won(runs, group) == str(candidates[CHOSEN[group]]), group
    alike = [CANDIDATES[group][CHOSEN[group]] for group in (NMNIST, LEVELS[NMNIST])]
    assert len({(recipe.rate, recipe.epochs) for recipe in alike}) == 1, "one rate for all neurons of a data set"
    told = {job.key for job in trials.jobs(Plan())}
    assert {run["key"] for run in content["runs"]} == told, "the trials that the code asks for now"


def test_trials_run_the_settings_of_the_experiments_on_what_is_held_back() -> None:
    """But for what is held back, the chosen candidate is tried with the very work of the page's runs."""
    page_works = [job.work for job in all_jobs(Plan(seeds=1), ())]
    for job in trials.jobs(Plan()):
        data = dict(job.work["data"])
        assert data.pop("validation") == dict(trials.HELD)[job.data]
        if job.cell["recipe"] == str(CANDIDATES[job.experiment][CHOSEN[job.experiment]]):
            assert job.work | {"data": data} in page_works, job


def test_a_recipe_reaches_its_neurons() -> None:
    place = next(i for i, r in enumerate(CANDIDATES[BLOCKS[NMNIST]]) if (r.threshold, r.steepness) == (2.0, "V_th"))
    neuron = level_neuron(Plan(candidates=((BLOCKS[NMNIST], place),)), BLOCKS[NMNIST], 4)
    assert (neuron["threshold"], neuron["surrogate"]["alpha"]) == (2.0, 1.25)


def test_trials_need_something_held_back() -> None:
    from benchmarks.results.training import train_and_validate

    work = next(job.work for job in trials.jobs(Plan(quick=True)) if job.data == DIGITS)
    with pytest.raises(InputError, match="hold nothing back"):
        train_and_validate(work | {"data": {"name": "digits", "count": 40}}, 0)


def test_trials_in_small(shared_data: Path, tmp_path: Path) -> None:
    """They write their file beside the page and show a table; the page then shows it too."""
    arguments = ["--nmnist", str(shared_data / "nmnist-small"), "--page", str(tmp_path / "results.md")]
    arguments += ["--cache", str(tmp_path / "cache.jsonl"), "--workers", "1"]
    done = CliRunner().invoke(main, [*arguments, "--quick", "--trials"])
    assert done.exit_code == 0, done.output
    assert done.output.count("**chosen**") <= len(CANDIDATES)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["trials.json"]
    assert not (tmp_path / "results.md").exists()
    content = trials.read(tmp_path / "results")
    assert content is not None
    assert content["command"] == "python -m benchmarks.results --trials --quick"
    for group in CANDIDATES:
        assert f"| {group} |" in done.output
        assert f"| {group} |" in trials.section(content)
    assert "Not run." in trials.section(trials.read(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "--nmnist", "nowhere"], "nowhere"),
        (["--nmnist", "nowhere", "--mnist", "nowhere"], "folder 'nowhere': does not exist"),
        (["--only", "mnist", "--mnist", "nowhere"], "data set 'mnist' is expected there. Give it with --mnist"),
        (["--redraw", "--page", "nowhere/results.md"], "nowhere/results/runs.json"),
        (["--page", "nowhere/results.md"], "folder 'nowhere' does not exist"),
    ],
)
def test_bad_arguments_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    page_option = [] if "--page" in arguments else ["--page", "results.md"]
    done = CliRunner().invoke(main, [*arguments, *page_option])
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())
