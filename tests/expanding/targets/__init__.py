"""What other platforms make of the files that ``expand`` writes for them."""
