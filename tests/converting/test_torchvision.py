"""torchvision's networks: what docs/conversion.md says of them, and that their spikes are the code of their values."""

from __future__ import annotations

import pytest

pytest.importorskip("torchvision")

from docs.generate_conversions import NETWORKS, PAGE, network, pictures, row, settle
from tests.converting.exact import assert_exact

REFUSED = {
    "convnext_tiny": ("LayerNorm", "GELU"),
    "vit_b_16": ("LayerNorm", "MultiheadAttention"),
    "efficientnet_b0": ("SiLU", "products"),
    "mobilenet_v3_small": ("Hardswish", "Hardsigmoid"),
}
ROWS = {line.split(" ")[1]: line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")}


@pytest.mark.parametrize(("name", "layers"), [("squeezenet1_1", 26), ("shufflenet_v2_x0_5", 38), ("googlenet", 58)])
def test_the_spiking_graph_is_the_network_with_its_activations_rounded_to_codes(name: str, layers: int) -> None:
    """Channel shuffle, concatenations, and max pools of them whose windows hang over."""
    x = pictures(name)
    conversion = assert_exact(settle(network(name), x), x[:2].double().numpy(), ("norse",))
    assert len(conversion.layers) == layers
    assert f"| {layers} |" in ROWS[name]


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v3_small"])
def test_refused_networks_name_what_stops_them(name: str) -> None:
    assert row(name).strip() == ROWS[name]


def test_the_page_has_every_network() -> None:
    assert set(NETWORKS) <= set(ROWS)
    for name, layers in REFUSED.items():
        assert all(f"{layer} (" in ROWS[name] or "products of" in ROWS[name] for layer in layers)
