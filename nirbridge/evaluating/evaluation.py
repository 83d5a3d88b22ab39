"""What an evaluation found."""

from __future__ import annotations

import os
from typing import Any

from nirbridge.errors import InputError
from nirbridge.evaluating.drawing import draw_evaluation
from nirbridge.evaluating.figures import Figures
from nirbridge.evaluating.text import evaluation_text


class Evaluation(Figures):
    """One network on a data set: its figures, as text and as a picture."""

    def table(self) -> str:
        """What was found, as text."""
        return evaluation_text(self)

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Draws the confusion matrix, and the accuracy over the steps.

        Raises:
            InputError: labels are not known.
            FileError: the file cannot be written.
        """
        require_known(self.labels)
        draw_evaluation(self, path)


def require_known(labels: Any) -> None:
    """Refuses to draw decisions that nobody can call right or wrong.

    Raises:
        InputError: there are no labels.
    """
    if labels is None:
        raise InputError("labels", "are not known, so there is no confusion to draw", "Give --labels")
