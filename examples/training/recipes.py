"""The stages of a recipe: what each trains, and how it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.networks import RESNETS, build_network, make_barrier, own_neuron
from nirbridge.neurons import LMHT, QCFS, Barrier, MultiLevelIF, MultiLevelLIF, OverTime
from nirbridge.neurons.surrogates import SURROGATES
from nirbridge.training.hybrid import hybrid_network
from nirbridge.training.lmht import direct_lmht, lmht_from_qcfs
from training.configuration import Configuration

NEURONS: dict[str, Callable[..., nn.Module]] = {"m-lif": MultiLevelLIF, "multi-level-if": MultiLevelIF}
ANALOG, SPIKING = "analog", "spiking"
T = TypeVar("T")


@dataclass(frozen=True)
class TrainingStage:
    """One stage of a recipe.

    Attributes:
        name: "analog" or "spiking".
        steps: T of its inputs.
        epochs: passes over the data.
        learning_rate: at its start.
        begin: gives the network [T, B, ...] to train, from that of the stage before (None for the first) and a batch
            of inputs [B, ...].
    """

    name: str
    steps: int
    epochs: int
    learning_rate: float
    begin: Callable[[nn.Module | None, Tensor], nn.Module]


def stages(
    configuration: Configuration,
    input_shape: tuple[int, ...],
    num_classes: int,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[TrainingStage, ...]:
    """The stages of the configuration's recipe.

    Args:
        configuration: what the run is told.
        input_shape: of a sample without time.
        num_classes: size of the network's output.
        given: further options of the network, which come with the data.

    Raises:
        InputError: an unknown network, neuron or option, or sizes that do not fit.
    """
    c = configuration

    def build(activation: Callable[[], nn.Module]) -> nn.Module:
        options: dict[str, Any] = {"num_classes": num_classes, "input_shape": input_shape, **given} | c.network
        if c.network["name"] in RESNETS:
            options["barrier"] = partial(make_barrier, in_front[c.recipe](), **(c.barrier or {}))
        network = build_network(options.pop("name"), neuron=activation, **options)
        if c.barrier is not None and not any(type(module) is Barrier for module in network.modules()):
            found = f"network {c.network['name']!r} has no barriers with these options"
            raise InputError("barrier", found, "Leave the section away, or use a ResNet with block 'sparse'")
        return network

    def analog(activation: Callable[[], nn.Module]) -> TrainingStage:
        return TrainingStage(
            ANALOG, 1, c.analog_epochs, c.analog_learning_rate, lambda before, x: OverTime(build(activation))
        )

    def spiking(begin: Callable[[nn.Module | None, Tensor], nn.Module]) -> TrainingStage:
        return TrainingStage(SPIKING, c.steps, c.epochs, c.learning_rate, begin)

    def neuron() -> Any:
        return own_neuron(c.network["name"])() if c.neuron is None else make_neuron(c.neuron)

    def from_relu(before: nn.Module | None, x: Tensor) -> nn.Module:
        return hybrid_network(_inner(before), x, c.steps, neuron, c.percentile, c.factor)

    # What stands in front of barriers, which re-quantise sums of its values.
    in_front: dict[str, Callable[[], nn.Module]] = {
        "direct": neuron,
        "hybrid": neuron,
        "lm-ht": lambda: LMHT(c.levels, c.steps, 2.0 / c.levels),
        "qcfs-lm-ht": lambda: QCFS(c.levels * c.steps),
    }
    # Bad settings of the second stage are found before the first is trained.
    in_front[c.recipe]()
    table: dict[str, tuple[TrainingStage, ...]] = {
        "direct": (spiking(lambda before, x: OverTime(build(neuron))),),
        "lm-ht": (spiking(lambda before, x: direct_lmht(build(nn.ReLU), c.levels, c.steps)),),
        "hybrid": (analog(nn.ReLU), spiking(from_relu)),
        "qcfs-lm-ht": (
            analog(lambda: QCFS(c.levels * c.steps)),
            spiking(lambda before, x: lmht_from_qcfs(_inner(before), c.steps)),
        ),
    }
    return table[c.recipe]


def make_neuron(section: dict[str, Any]) -> nn.Module:
    """The neuron of a configuration's section; its ``surrogate`` is a name or a section of its own.

    Raises:
        InputError: an unknown name or option, or a value outside its limits.
    """
    options = dict(section)
    if isinstance(options.get("surrogate"), dict):
        options["surrogate"] = _made("surrogate", SURROGATES, options["surrogate"])
    return _made("neuron", NEURONS, options)


def _made(kind: str, known: Mapping[str, Callable[..., T]], section: dict[str, Any]) -> T:
    """What a section asks for by its ``name``, with its other keys as options."""
    options = dict(section)
    name = options.pop("name", None)
    if name not in known:
        raise InputError(kind, f"unknown {kind} {name!r}", f"Use one of {', '.join(map(repr, known))}")
    try:
        return known[name](**options)
    except TypeError as error:
        raise InputError(f"{kind} '{name}'", str(error), "Check the names of its options") from error


def _inner(network: nn.Module | None) -> nn.Module:
    if not isinstance(network, OverTime):
        raise InputError("recipe", "its second stage has no trained network to begin from", "Train the first stage")
    return network.module
