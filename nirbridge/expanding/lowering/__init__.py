"""Core NIR → the part of it that another platform's importer takes, a pass a file."""
