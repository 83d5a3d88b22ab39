"""Networks exported by other frameworks: how to export them, and what they gave when they were recorded."""
