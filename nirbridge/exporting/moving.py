"""Functions that move values and compute nothing: they are done to the values' indices, by torch itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nirbridge.exporting.call import Call, Handler, join
from nirbridge.exporting.settling import moved
from nirbridge.exporting.signal import BATCH, STEPS, LeadingAxes, RefusalError, Signal, require_signal

_STAND_INS = {
    LeadingAxes.TIME: (2, 3),
    LeadingAxes.BATCH_FIRST: (3, 2),
    LeadingAxes.STEP: (3,),
    LeadingAxes.FOLDED: (6,),
}
"""Small sizes of time and batch while indices are moved; all must come through where they were."""
_SIZES = {STEPS: 2, BATCH: 3, STEPS * BATCH: 6}
_LEADING = "Move features alone: a graph runs over time and batch by itself"


def move(call: Call, function: Callable[..., Any], input: Any, *args: Any, **kwargs: Any) -> Any:
    """What ``function`` makes of a tensor whose values it only moves: a signal, or a tuple of them.

    Args:
        call: names the nodes.
        function: of torch, called with a tensor of indices.
        input: the signal.
        args: of the function.
        kwargs: of the function.

    Raises:
        RefusalError: the function raises, or moves time or batch.
    """
    signal = require_signal(input)
    lead = _STAND_INS[signal.leading]
    sizes, count = (*lead, *signal.shape), int(np.prod(signal.shape))
    index = torch.arange(int(np.prod(sizes))).reshape(sizes)
    found = f"moves values of {signal.leading.text} with features {signal.shape}"
    try:
        result = function(index, *_small(args), **_small(kwargs))
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        text = " ".join(str(error).split())[:120]
        raise RefusalError(f"{found}: {text}", _LEADING, leading=True) from None
    parts = (result,) if isinstance(result, Tensor) else tuple(result)
    signals = []
    for number, part in enumerate(parts):
        name = call.name if isinstance(result, Tensor) else join(call.name, f"part{number}")
        signals.append(_signal(signal, part, lead, count, name))
    return signals[0] if isinstance(result, Tensor) else tuple(signals)


def _signal(signal: Signal, index: Tensor, lead: tuple[int, ...], count: int, name: str) -> Signal:
    places = index.numpy()
    samples = np.arange(int(np.prod(lead))).reshape(lead)
    kept = places.shape[: len(lead)] == lead and places.ndim > len(lead)
    if kept:
        features = places[(0,) * len(lead)]
        offsets = (samples * count).reshape(*lead, *(1,) * features.ndim)
        kept = bool((places == offsets + features).all()) and bool((features < count).all())
    if not kept:
        found = f"moves or takes parts of time or batch of {signal.leading.text} with features {signal.shape}"
        raise RefusalError(found, _LEADING, leading=True)
    return moved(signal, np.ascontiguousarray(features), name, "moves or takes parts of features")


def _small(value: Any) -> Any:
    """Arguments with the sizes of time and batch that the indices have."""
    if isinstance(value, dict):
        return {key: _small(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(map(_small, value)) if type(value) in (tuple, list) else tuple(map(_small, value))
    return _SIZES.get(value, value) if type(value) is int else value


def _function(name: str) -> Handler:
    """A handler for ``torch.name`` and ``tensor.name``."""

    def lower(call: Call, input: Any, *args: Any, **kwargs: Any) -> Any:
        function: Any = getattr(Tensor, name, None) or getattr(torch, name)
        return move(call, function, input, *args, **kwargs)

    return lower


def _module(call: Call, module: nn.Module, input: Any) -> Any:
    """A module without parameters, run on indices."""
    return move(call, module, input)


_BOTH = (
    "transpose", "swapaxes", "swapdims", "permute", "movedim", "moveaxis", "unsqueeze", "chunk", "split",
    "tensor_split", "narrow", "select", "index_select", "unbind", "flip", "roll", "repeat_interleave",
    "pixel_unshuffle", "channel_shuffle",
)  # fmt: skip
_METHODS = ("expand", "repeat", "flip", "split_with_sizes")
_PLAIN: dict[str, Handler] = {name: _function(name) for name in _BOTH}
MODULES: dict[type[nn.Module], Handler] = dict.fromkeys((nn.ChannelShuffle, nn.PixelUnshuffle), _module)
FUNCTIONS: dict[Any, Handler] = {getattr(torch, name): handler for name, handler in _PLAIN.items()}
METHODS: dict[str, Handler] = {**_PLAIN, **{name: _function(name) for name in _METHODS}}
HANDLERS = frozenset((*FUNCTIONS.values(), *METHODS.values(), *MODULES.values()))
"""Those that take moved signals as they are."""
