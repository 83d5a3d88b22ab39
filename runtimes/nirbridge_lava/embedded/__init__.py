"""The Process for programs of a user's own; Lava executes every file of this folder at each of their compiles."""
