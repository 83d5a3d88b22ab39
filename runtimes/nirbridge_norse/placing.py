"""Frames in another dtype or with zeros around; spikes in bytes by a compiled pass, channels last."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.machine_code import numba_is_there


def placed(x: Tensor, sides: Sequence[int] = (), dtype: torch.dtype | None = None, fill: int = 0) -> Tensor:
    """[N, C, H, W] with ``fill`` on its sides, in the order of torch's ``pad``, and in another dtype."""
    sent = dtype or x.dtype
    if not any(sides) and sent is x.dtype:
        return x
    last = x.dtype is torch.uint8 and x.ndim == 4 and x.movedim(1, -1).is_contiguous() and numba_is_there()
    if not last:
        x = functional.pad(x, list(sides), value=fill) if any(sides) else x
        return x.to(sent)
    from nirbridge_norse.fused import frames  # and so numba, with the first run

    left, right, top, bottom = sides or (0, 0, 0, 0)
    count, channels, height, width = x.shape
    # Of torch, since its memory of a few frames is the same again at the next call.
    y = torch.empty((count, height + top + bottom, width + left + right, channels), dtype=sent)
    rows = x.movedim(1, -1).numpy().reshape(count, height, -1)
    frames.copy_rows(rows, y.numpy().reshape(count, len(y[0]), -1), top, left * channels, fill)
    return y.movedim(-1, 1)
