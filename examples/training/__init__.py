"""The program around the library's training: configurations, recipes, the loop, processes, checkpoints."""

from training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from training.configuration import Configuration, read_configuration
from training.distributed import Processes, processes
from training.loop import Precision, evaluate, train_epoch
from training.recipes import NEURONS, TrainingStage, make_neuron, stages
from training.run import CHECKPOINT, Data, Run

__all__ = [
    "CHECKPOINT",
    "NEURONS",
    "Checkpoint",
    "Configuration",
    "Data",
    "Precision",
    "Processes",
    "Run",
    "TrainingStage",
    "evaluate",
    "load_checkpoint",
    "make_neuron",
    "processes",
    "read_configuration",
    "save_checkpoint",
    "stages",
    "train_epoch",
]
