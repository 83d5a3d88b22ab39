"""Training: losses over time, recipes that lead from an ANN to a spiking network, the loop, checkpoints."""

from nirbridge.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from nirbridge.training.configuration import Configuration, read_configuration
from nirbridge.training.distributed import Processes, processes
from nirbridge.training.folding import fold_batch_norms
from nirbridge.training.hybrid import hybrid_network, set_thresholds
from nirbridge.training.lmht import direct_lmht, lmht_from_qcfs
from nirbridge.training.loop import Precision, evaluate, train_epoch
from nirbridge.training.losses import LOSSES, make_loss, mean_cross_entropy, tet_loss
from nirbridge.training.recipes import NEURONS, TrainingStage, make_neuron, stages
from nirbridge.training.replacing import replace_modules
from nirbridge.training.run import CHECKPOINT, Data, Run

__all__ = [
    "CHECKPOINT",
    "LOSSES",
    "NEURONS",
    "Checkpoint",
    "Configuration",
    "Data",
    "Precision",
    "Processes",
    "Run",
    "TrainingStage",
    "direct_lmht",
    "evaluate",
    "fold_batch_norms",
    "hybrid_network",
    "lmht_from_qcfs",
    "load_checkpoint",
    "make_loss",
    "make_neuron",
    "mean_cross_entropy",
    "processes",
    "read_configuration",
    "replace_modules",
    "save_checkpoint",
    "set_thresholds",
    "stages",
    "tet_loss",
    "train_epoch",
]
