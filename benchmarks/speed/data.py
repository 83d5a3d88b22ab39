"""Third-party files that some sections take; they are left out where these are not there."""

from pathlib import Path

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
GRAPH = DATA / "nir-paper" / "02_cnn" / "cnn_sinabs.nir"
RECORDING = DATA / "nmnist-small" / "train" / "1.bin"
