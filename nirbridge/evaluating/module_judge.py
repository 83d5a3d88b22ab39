"""The analog network that a graph came from, as a judge."""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from nirbridge.errors import InputError
from nirbridge.evaluating.judges import Decided
from nirbridge.evaluating.samples import Batch
from nirbridge.reports import shape_text
from nirbridge.runtime import Array


class ModuleJudge:
    """The torch module that a graph came from: of still images it takes [B, *shape], of frames [T, B, *shape].

    Args:
        name: how reports call it.
        spec: ``file.py:callable``, as of ``nirbridge export``.
        weights: a checkpoint to load.
    """

    def __init__(self, name: str, spec: str, weights: str | None = None) -> None:
        self.name, self.spec, self.weights = name, spec, weights
        self._module: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_module": None}

    @property
    def identity(self) -> list[Any]:
        """See ``Judge``: files by their size and time, a module of Python by its name."""
        return [
            self.name,
            self.spec,
            *(_state_of(path) for path in (self.spec.rpartition(":")[0], self.weights) if path),
        ]

    def close(self) -> None:
        """See ``Judge``."""
        self._module = None

    def decide(self, batch: Batch) -> Decided:
        """See ``Judge``; of an output [T, B, classes] the mean over the steps counts."""
        import torch

        where = f"baseline '{self.spec}'"
        if len(batch.x) > 1:
            found = f"takes one input, the graph has {', '.join(batch.x)}"
            raise InputError(where, found, "Give a graph as the baseline")
        if len(np.unique(batch.steps)) > 1:
            found = "takes frames of one length, and the recordings differ"
            raise InputError(where, found, "Give --steps, to which recordings are cut or filled")
        (x,) = batch.x.values()
        with redirect_stdout(sys.stderr):  # results go to stdout, and what the user's code prints is none
            self._load()
            started = time.perf_counter()
            output = self._output(where, np.array(x[0] if batch.still else x, dtype=np.float32))
            seconds = time.perf_counter() - started
        tensor = isinstance(output, torch.Tensor)
        if not tensor or output.ndim not in (2, 3) or output.shape[-2] != len(batch):
            given = shape_text(output.shape) if tensor else f"a {type(output).__name__}"
            found = f"gives {given} for {len(batch)} samples, expected [B, classes] or [T, B, classes]"
            raise InputError(where, found, "Give a module that classifies")
        scores = output.detach().double().numpy()
        return Decided(scores.mean(axis=0) if scores.ndim == 3 else scores, seconds=seconds)

    def _load(self) -> None:
        if self._module is None:
            from nirbridge.exporting import load_module, load_weights

            self._module = load_module(self.spec).eval()
            if self.weights is not None:
                load_weights(self._module, self.weights)

    def _output(self, where: str, x: Array) -> Any:
        import torch

        with torch.no_grad():
            try:
                return self._module(torch.from_numpy(x))
            except Exception as error:  # the user's code
                raise InputError(where, f"raises {error}", "Give the network of this data") from error


def _state_of(path: str) -> list[Any]:
    place = Path(path)
    if not place.is_file():
        return [path]
    state = place.stat()
    return [path, state.st_size, state.st_mtime_ns]
