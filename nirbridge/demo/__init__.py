"""The main job on embedded data: handwritten digits moved in front of a simulated event sensor."""
