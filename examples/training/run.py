"""A whole training run: its stages, epochs, checkpoints and history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset

from nirbridge.errors import FileError, InputError
from nirbridge.ir import EventInput
from nirbridge.training.losses import Loss, make_loss
from training.batches import Share, SizedBatches
from training.checkpoints import Checkpoint, load_checkpoint, restore, save_checkpoint
from training.configuration import Configuration
from training.distributed import Processes
from training.loop import Precision, evaluate, train_epoch
from training.recipes import SPIKING, TrainingStage, stages

CHECKPOINT = "checkpoint.pt"
Progress = Callable[[Iterable[Any], str], Iterable[Any]]
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Data:
    """A data set.

    Attributes:
        train: samples (x, class), x an image [C, H, W] or frames [T, C, H, W]; or a graph [features, nodes] and the
            classes [nodes] of its nodes, below 0 where they are not told.
        test: likewise; below 0 where they are not asked for.
        input_shape: (C, H, W), or (features, nodes).
        num_classes: how many.
        has_time: whether samples are frames.
        validation: training samples that are held back: nothing is learned from them, and every epoch tells the share
            of them decided rightly.
        events: how events become the frames, for the graph's input; None where no ``EventInput`` can say it.
        network: options of the network that come with the data, as the adjacency of a graph.
    """

    train: Dataset[Any]
    test: Dataset[Any]
    input_shape: tuple[int, ...]
    num_classes: int
    has_time: bool = False
    validation: Dataset[Any] | None = None
    events: EventInput | None = None
    network: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What a run works with.

    Attributes:
        configuration: what it is told.
        data: what it learns.
        processes: where it runs.
        folder: where checkpoints go.
        progress: wraps an epoch's batches to show how far they are; gets them and a label.
        report: gets the numbers of every epoch.
    """

    configuration: Configuration
    data: Data
    processes: Processes
    folder: Path
    progress: Progress = lambda batches, label: batches
    report: Report = lambda entry: None

    def train(self, resume: bool = False, stop_after: int | None = None) -> nn.Module:
        """All stages; gives the trained spiking network over [T, B, ...], in evaluation mode.

        Args:
            resume: go on from the checkpoint in the folder.
            stop_after: end after so many epochs of all stages together, as an interruption would.

        Raises:
            InputError: the configuration or the data do not fit, or the loss is not finite.
            FileError: a checkpoint is missing, damaged or cannot be written.
        """
        c = self.configuration
        saved = load_checkpoint(self.folder / CHECKPOINT, c.to_dict()) if resume else None
        found = stages(c, self.data.input_shape, self.data.num_classes, self.data.network)
        losses = [self._loss(stage) for stage in found]
        if len(found) > 1 and self.data.has_time:
            raise InputError(f"recipe '{c.recipe}'", "begins with an analog network, which has no time", "Use direct")
        network: nn.Module | None = None
        history: list[dict[str, Any]] = [] if saved is None else saved.history
        done = self._stages_done(found, saved)
        source: dict[str, Any] = {} if saved is None else saved.source
        for index, stage in enumerate(found):
            self._seed(index, 0)
            network = stage.begin(network, self._first_images()).to(self.processes.device)
            self._require_statistics(network)
            if index < done:
                restore(self.folder / CHECKPOINT, "analog network", network, source)
                network.eval()
                continue
            current = saved if saved is not None and index == done else None
            ended = self._stage(index, stage, network, losses[index], history, source, current, stop_after)
            if not ended:
                return network.eval()
            source = _on_cpu(network.state_dict())
        if network is None:
            raise InputError("recipe", "has no stage", "Choose another")
        return network.eval()

    def _stages_done(self, found: Sequence[TrainingStage], saved: Checkpoint | None) -> int:
        names = [stage.name for stage in found]
        if saved is None:
            return 0
        if saved.stage not in names:
            where = f"checkpoint '{self.folder / CHECKPOINT}'"
            raise FileError(where, f"its stage is none of {', '.join(names)}", "Give a checkpoint.pt of this script")
        return names.index(saved.stage)

    def _require_statistics(self, network: nn.Module) -> None:
        """Batch normalisation needs two samples in every process."""
        normalised = any(isinstance(module, _BatchNorm) for module in network.modules())
        count, batch = self.processes.count, min(self.configuration.batch, len(self.data.train))
        if normalised and batch < 2 * count:
            found = f"batch normalisation has no statistics of batches of {batch} in {count} process(es)"
            raise InputError(f"batch={self.configuration.batch}", found, "Use two samples or more for each process")

    def _stage(
        self,
        index: int,
        stage: TrainingStage,
        network: nn.Module,
        loss: Loss,
        history: list[dict[str, Any]],
        source: dict[str, Any],
        saved: Checkpoint | None,
        stop_after: int | None,
    ) -> bool:
        """Trains one stage; False where ``stop_after`` ended it."""
        tools = self._tools(stage, network, loss, saved)
        for epoch in range(saved.epoch if saved is not None else 0, stage.epochs):
            if stop_after is not None and len(history) >= stop_after:
                return False
            history.append(self._epoch(index, stage, epoch, tools))
            if self.processes.is_first:
                checkpoint = Checkpoint(
                    self.configuration.to_dict(),
                    stage.name,
                    epoch + 1,
                    network=_on_cpu(network.state_dict()),
                    optimizer=tools.optimizer.state_dict(),
                    schedule=tools.schedule.state_dict(),
                    scaler=tools.scaler.state_dict(),
                    source=source,
                    history=list(history),
                )
                save_checkpoint(self.folder / CHECKPOINT, checkpoint)
                self.report(history[-1])
            self.processes.wait()
        return True

    def _loss(self, stage: TrainingStage) -> Loss:
        options = dict(self.configuration.loss)
        name = options.pop("name")
        return make_loss(name, **options) if stage.name == SPIKING else make_loss("mean-ce")

    def _tools(self, stage: TrainingStage, network: nn.Module, loss: Loss, saved: Checkpoint | None) -> _Tools:
        """What trains the network, as it was where the checkpoint was made."""
        if saved is not None:
            restore(self.folder / CHECKPOINT, "network", network, saved.network)
        precision = Precision(self.configuration.precision, self.processes.device.type)
        optimizer = _optimizer(self.configuration, network, stage.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(stage.epochs, 1))
        tools = _Tools(self.processes.wrapped(network), optimizer, schedule, precision.scaler(), precision, loss)
        if saved is not None:
            for name in ("optimizer", "schedule", "scaler"):
                restore(self.folder / CHECKPOINT, name, getattr(tools, name), getattr(saved, name))
        return tools

    def _epoch(self, index: int, stage: TrainingStage, epoch: int, tools: _Tools) -> dict[str, Any]:
        """Trains and tests once; gives the numbers."""
        self._seed(index, epoch + 1)
        batches = self.progress(
            self._batches(self.data.train, True, stage.steps, index, epoch),
            f"{stage.name} {epoch + 1}/{stage.epochs}",
        )
        value, train_share = train_epoch(
            tools.network, batches, tools.loss, tools.optimizer, tools.precision, tools.scaler, self.processes
        )
        tools.schedule.step()
        # A wrapped network would wait for the others in every forward pass, which may be fewer there.
        network = tools.network.module if self.processes.count > 1 else tools.network
        entry = {"stage": stage.name, "epoch": epoch + 1, "loss": value, "train": train_share}
        for name, dataset in (("validation", self.data.validation), ("test", self.data.test)):
            if dataset is not None:
                held = self._batches(dataset, False, stage.steps, index, epoch)
                entry[name] = evaluate(network, held, tools.precision, self.processes)
        return entry

    def _seed(self, stage: int, epoch: int) -> None:
        """Every epoch has its own random numbers, in each process others, so that a run can go on at any of them."""
        rank = self.processes.rank if epoch else 0  # epoch 0 makes the weights, which all processes share
        torch.manual_seed(self._seed_of(stage, epoch) + rank)

    def _seed_of(self, stage: int, epoch: int) -> int:
        return ((self.configuration.seed * 8 + stage) * 100_003 + epoch) * 1009

    def _first_images(self) -> Tensor:
        """A batch [B, ...] of training data without time, to measure thresholds with."""
        count = min(self.configuration.batch, len(self.data.train))
        images = torch.stack([torch.as_tensor(self.data.train[i][0]) for i in range(count)])
        images = images.float().to(self.processes.device)
        return images[:, 0] if self.data.has_time else images

    def _batches(self, dataset: Dataset[Any], training: bool, steps: int, stage: int, epoch: int) -> SizedBatches:
        c, share = self.configuration, None
        if self.processes.count > 1:
            seed = self._seed_of(stage, epoch + 1) if training else None
            share = Share(self.processes.count, self.processes.rank, seed)
        return SizedBatches(dataset, c.batch, steps, self.data.has_time, training, share, c.workers)


@dataclass(frozen=True)
class _Tools:
    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.CosineAnnealingLR
    scaler: torch.amp.GradScaler
    precision: Precision
    loss: Loss


def _optimizer(c: Configuration, network: nn.Module, rate: float) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    makers: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adam": lambda: torch.optim.Adam(parameters, rate, weight_decay=c.weight_decay),
        "adamw": lambda: torch.optim.AdamW(parameters, rate, weight_decay=c.weight_decay),
        "sgd": lambda: torch.optim.SGD(parameters, rate, momentum=0.9, weight_decay=c.weight_decay),
    }
    return makers[c.optimizer]()


def _on_cpu(state: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
