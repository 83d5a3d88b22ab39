"""Graph → graph, one pass a file, named by its verb."""
