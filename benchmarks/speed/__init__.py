"""Speed as ratios against peers, each in one run: ``python -m benchmarks.speed`` writes ``docs/benchmarks.md``.

One file a section: what it measures (``measure``), its targets in rows, and why a target is missed (``WHY``).
``measuring`` times contestants in turns, ``fresh`` calls in processes of their own, ``store`` keeps what was found,
``page`` judges and writes, ``pictures`` draws.
"""
