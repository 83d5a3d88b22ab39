"""What every sink of lines does."""

from __future__ import annotations

from typing import Protocol, TypeVar

S = TypeVar("S")


class Sink(Protocol):
    """Takes lines; a ``with`` block closes it.

    Attributes:
        name: how messages name it.
    """

    name: str

    def put(self, line: str) -> None:
        """Takes a line, without its end.

        Raises:
            FileError: it cannot be written.
        """

    def close(self) -> None:
        """Ends it; harmless when repeated."""

    def notes(self) -> list[str]:
        """What was lost, one sentence each."""

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
