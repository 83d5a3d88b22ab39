"""Graph → graph of integers for Loihi-style execution (docs/fixed_point.md)."""

from nirbridge.quantizing.driver import quantize, quantize_with_report
from nirbridge.quantizing.report import LayerReport, QuantizeReport

__all__ = ["LayerReport", "QuantizeReport", "quantize", "quantize_with_report"]
