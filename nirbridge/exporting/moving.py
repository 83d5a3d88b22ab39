"""Functions that move values and compute nothing: they are done to the values' indices, by torch itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from nirbridge.errors import reason_of
from nirbridge.exporting.call import Call, Handler, join
from nirbridge.exporting.settling import moved
from nirbridge.exporting.signal import BATCH, STEPS, LeadingAxes, RefusalError, Signal, require_signal

_STAND_INS: dict[LeadingAxes, dict[int, int]] = {
    LeadingAxes.TIME: {STEPS: 2, BATCH: 3, STEPS * BATCH: 6},
    LeadingAxes.BATCH_FIRST: {STEPS: 2, BATCH: 3, STEPS * BATCH: 6},
    LeadingAxes.STEP: {BATCH: 2},
    LeadingAxes.FOLDED: {STEPS * BATCH: 2},
}
"""Small sizes of time and batch while indices are moved; all must come through where they were."""
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
    small = _STAND_INS[signal.leading]
    lead = tuple(small[size] for size in signal.leading.value)
    sizes, count = (*lead, *signal.shape), int(np.prod(signal.shape))
    index = torch.arange(int(np.prod(sizes))).reshape(sizes)
    found = f"moves values of {signal.leading.text} with features {signal.shape}"
    try:
        result = function(index, *_small(args, small), **_small(kwargs, small))
        whole = function(
            torch.empty(signal.full_shape, dtype=index.dtype, device="meta"), *_meta(args), **_meta(kwargs)
        )
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise RefusalError(f"{found}: {reason_of(error)}", _LEADING, leading=True) from None
    if isinstance(result, Tensor):
        return _signal(signal, result, whole, lead, count, call.name)
    if len(result) != len(whole):
        raise _leading_refusal(signal)
    return tuple(
        _signal(signal, part, full, lead, count, join(call.name, f"part{number}"))
        for number, (part, full) in enumerate(zip(result, whole, strict=True))
    )


def _signal(signal: Signal, index: Tensor, whole: Tensor, lead: tuple[int, ...], count: int, name: str) -> Signal:
    """The features that all samples give alike.

    Args:
        signal: what is moved.
        index: its result on few samples, in which ``samples`` below must come back in order.
        whole: its result on as many as there are, without values: a slice that ends behind the few cannot hide.
        lead: the sizes of time and batch of ``index``.
        count: values of a sample.
        name: what the nodes are called.
    """
    places = index.numpy()
    if tuple(whole.shape) != (*signal.leading.value, *places.shape[len(lead) :]) or places.ndim == len(lead):
        raise _leading_refusal(signal)
    features = places[(0,) * len(lead)]
    samples = np.arange(int(np.prod(lead))).reshape(*lead, *(1,) * features.ndim)
    if (places != samples * count + features).any() or (features >= count).any():
        raise _leading_refusal(signal)
    return moved(signal, np.ascontiguousarray(features), name, "moves or takes parts of features")


def _leading_refusal(signal: Signal) -> RefusalError:
    found = f"moves or takes parts of time or batch of {signal.leading.text} with features {signal.shape}"
    return RefusalError(found, _LEADING, leading=True)


def _meta(value: Any) -> Any:
    """Arguments for a tensor without values."""
    return fx.node.map_aggregate(value, lambda item: item.to("meta") if isinstance(item, Tensor) else item)


def _small(value: Any, sizes: dict[int, int]) -> Any:
    """Arguments with the sizes of time and batch that the indices have."""
    return fx.node.map_aggregate(value, lambda item: sizes.get(item, item) if type(item) is int else item)


def _function(name: str) -> Handler:
    """A handler for ``torch.name`` and ``tensor.name``."""

    def lower(call: Call, input: Any, *args: Any, **kwargs: Any) -> Any:
        function: Any = getattr(Tensor, name, None) or getattr(torch, name)
        return move(call, function, input, *args, **kwargs)

    return lower


_BOTH = (
    "transpose", "swapaxes", "swapdims", "permute", "movedim", "moveaxis", "unsqueeze", "chunk", "split",
    "tensor_split", "narrow", "select", "index_select", "unbind", "flip", "repeat_interleave",
    "pixel_unshuffle", "channel_shuffle", "roll", "rot90", "tile", "broadcast_to", "diagonal",
)  # fmt: skip
_METHODS = ("expand", "repeat", "split_with_sizes")
_PLAIN: dict[str, Handler] = {name: _function(name) for name in _BOTH}
MODULES: dict[type[nn.Module], Handler] = dict.fromkeys((nn.ChannelShuffle, nn.PixelUnshuffle), move)
FUNCTIONS: dict[Any, Handler] = {getattr(torch, name): handler for name, handler in _PLAIN.items()}
METHODS: dict[str, Handler] = {**_PLAIN, **{name: _function(name) for name in _METHODS}}
HANDLERS = frozenset((*FUNCTIONS.values(), *METHODS.values(), *MODULES.values()))
"""Those that take moved signals as they are."""
