"""lava-dl: no way in."""

from nirbridge.expanding.target import Target

TARGET = Target(
    name="lava-dl",
    version="lava-dl 0.6.0",
    source="the wheel on PyPI",
    refused="lava-dl 0.6.0 has no importer of NIR, while nirbridge itself runs graphs on Lava (--runtime lava)",
)
