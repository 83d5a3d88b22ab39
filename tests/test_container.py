"""The image is not built here; what it is made of is there, and it runs without rights."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()


def test_what_is_copied_is_sent_to_the_daemon() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    copied = {name for line in LINES if line.startswith("COPY ") for name in line.split()[1:-1]}
    assert copied == sent
    assert all((ROOT / name).exists() for name in sent)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = re.findall(r'^  "((?:nirbridge|runtimes|datasets)[\w/]*)",$', project, re.M)
    assert len(packages) == 5
    assert {package.partition("/")[0] for package in packages} <= copied


def test_its_extras_exist_and_its_user_has_no_rights() -> None:
    (extras,) = (line.partition("=")[2] for line in LINES if line.startswith("ARG EXTRAS="))
    known = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.M)
    assert set(extras.split(",")) <= set(known)
    (user,) = (line.split()[1] for line in LINES if line.startswith("USER "))
    assert int(user) > 0
    assert LINES[-2:] == ['ENTRYPOINT ["nirbridge"]', 'CMD ["--help"]']
