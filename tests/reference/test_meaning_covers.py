"""Every primitive has an oracle of its own, in floating point and, where it has an integer form, in integers."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from nirbridge.primitives import BUILT_IN
from tests.reference.judging import JUDGED


def test_every_primitive_is_judged() -> None:
    """By a test with ``@judges``, which fails where it does not run what it names."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        import_module(f"tests.reference.{path.stem}")
    asked = {(spec.node, "float") for spec in BUILT_IN}
    asked |= {(spec.node, "fixed") for spec in BUILT_IN if spec.integers is not None}
    missing = sorted(f"{kind.__name__} in {precision}" for kind, precision in asked - JUDGED)
    assert not missing, f"no test in tests/reference judges {', '.join(missing)}"
