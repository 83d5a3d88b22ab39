"""The Lava Processes and nothing else: where Lava looks for a model itself, it executes every file of this folder."""
