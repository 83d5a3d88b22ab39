"""The neurons as Norse modules: ``X`` runs [T, B, *features], ``XCell`` one step [B, *features].

Both return ``(output, state)`` and take the state as a second argument, fresh where it is left out.
"""

from nirbridge_norse.modules.neurons import (
    NIRI,
    NIRIF,
    NIRLI,
    NIRLIF,
    MultiLevelLIF,
    MultiLevelLIFCell,
    NIRCubaLI,
    NIRCubaLICell,
    NIRCubaLIF,
    NIRCubaLIFCell,
    NIRICell,
    NIRIFCell,
    NIRLICell,
    NIRLIFCell,
)

__all__ = [
    "NIRI",
    "NIRIF",
    "NIRLI",
    "NIRLIF",
    "MultiLevelLIF",
    "MultiLevelLIFCell",
    "NIRCubaLI",
    "NIRCubaLICell",
    "NIRCubaLIF",
    "NIRCubaLIFCell",
    "NIRICell",
    "NIRIFCell",
    "NIRLICell",
    "NIRLIFCell",
]
