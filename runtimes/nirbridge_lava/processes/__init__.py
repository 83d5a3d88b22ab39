"""The Lava Processes and their models, and nothing else: Lava executes every file of this folder at each compile."""
