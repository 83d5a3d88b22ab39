"""Pictures of a network at work: rasters, membranes, rates and the decision over time."""

from nirbridge.plotting.call import plot, plot_program
from nirbridge.plotting.picture import FRAMES_A_SECOND, SUFFIXES, Picture, picture_suffix

__all__ = ["FRAMES_A_SECOND", "SUFFIXES", "Picture", "picture_suffix", "plot", "plot_program"]
