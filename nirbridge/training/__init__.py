"""Training: losses over time, and the ways that lead from an ANN to a spiking network."""

from nirbridge.training.folding import fold_batch_norms
from nirbridge.training.hybrid import hybrid_network, set_thresholds
from nirbridge.training.lmht import direct_lmht, lmht_from_qcfs
from nirbridge.training.losses import LOSSES, make_loss, mean_cross_entropy, tet_loss
from nirbridge.training.replacing import replace_modules

__all__ = [
    "LOSSES",
    "direct_lmht",
    "fold_batch_norms",
    "hybrid_network",
    "lmht_from_qcfs",
    "make_loss",
    "mean_cross_entropy",
    "replace_modules",
    "set_thresholds",
    "tet_loss",
]
