"""What nirbridge tells a service: loggers below the name ``nirbridge``, silent until somebody listens.

INFO says what happens once, such as a compile, a first call, or a source that lost events; DEBUG what it was made of.
What a user must see, because a result depends on it, is a warning and no log.
"""

from __future__ import annotations

import logging

ROOT = "nirbridge"
logging.getLogger(ROOT).addHandler(logging.NullHandler())


def logger(name: str) -> logging.Logger:
    """The logger ``nirbridge.<name>``."""
    return logging.getLogger(f"{ROOT}.{name}")
