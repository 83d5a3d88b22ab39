"""Norse's base classes, in one place because importing Norse warns about torch's script compiler."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from norse.torch.module.snn import SNN, SNNCell

__all__ = ["SNN", "SNNCell"]
