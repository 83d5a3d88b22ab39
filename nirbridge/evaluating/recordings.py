"""Event recordings as a data set: the one place of the core that knows ``nirbridge_events``."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from nirbridge.errors import InputError, NirbridgeError
from nirbridge.evaluating.samples import Batch, Part
from nirbridge.ir import EventInput
from nirbridge.reports import counted, shape_text
from nirbridge.runtime import Array, Plan, step_note
from nirbridge_events.frame_cache import Encoding, FileSample, FrameCache
from nirbridge_events.labelled import LABELS as LABELS
from nirbridge_events.labelled import TONIC_SETS, folder_per_class, folder_with_labels
from nirbridge_events.labelled import Labelled as Labelled
from nirbridge_events.labelled import from_tonic as from_tonic
from nirbridge_events.read_report import ReadReport
from nirbridge_events.settings import EncoderSettings

DATA_SETS = tuple(TONIC_SETS)
_BESIDE_A_NODE = {"start", "end", "max_gap", "crop", "sensor_size"}
"""Arguments of ``encode`` that say what an EventInput leaves open."""
_COUNT = re.compile("[0-9]+")
_NUMBER = re.compile(r"[-+]?\d+([.,]\d*)?([eE][-+]?\d+)?")
_LOOKED_AT = 8
"""Recordings of which one must tell its sensor's size."""
Encoded = Callable[[FileSample], tuple[Array, ReadReport | None]]
"""The frames [T, P, H, W] of a recording, and what became of its events where that is known."""


@runtime_checkable
class EncodedSet(Protocol):
    """What of ``nirbridge_events.datasets.EncodedEvents``, which needs torch, an evaluation asks."""

    samples: tuple[FileSample, ...]
    classes: tuple[str, ...]
    cache: FrameCache
    augment: Any


def _load(samples: Sequence[FileSample], encoded: Encoded, into: str, steps: int | None, block: int) -> Batch:
    """Encodes recordings; each has as many steps as its events make, unless ``steps`` says how many."""
    frames: dict[int, Array] = {}
    bad: dict[int, str] = {}
    losses: dict[int, str] = {}
    filtered: dict[str, tuple[int, int]] = {}
    for place, sample in enumerate(samples):
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                found, report = encoded(sample)
            frames[place], cut = _fitted(found, sample, steps, block)
            told = [str(one.message) for one in said] + ([cut] if cut else [])
            if told:
                losses[place] = " ".join(told)
            for one in () if report is None else report.filters:
                events, removed = filtered.get(one.filter, (0, 0))
                filtered[one.filter] = events + one.events, removed + one.removed
        except NirbridgeError as error:
            bad[place] = str(error.problems[0])
    lengths = np.array([len(found) for found in frames.values()], dtype=np.int64)
    places = np.array(list(frames), dtype=np.int64)
    return Batch({into: _stacked(list(frames.values()))}, places, lengths, False, bad, losses, filtered)


def _fitted(frames: Array, sample: FileSample, steps: int | None, block: int) -> tuple[Array, str]:
    """Frames of the steps that are wanted, and what was cut off."""
    if steps is not None:
        fitted = np.zeros((steps, *frames.shape[1:]), dtype=frames.dtype)
        fitted[: len(frames)] = frames[:steps]
        beyond = len(frames) - steps
        return fitted, f"{counted(beyond, 'frame')} beyond {steps} were cut off." if beyond > 0 else ""
    if not len(frames) or len(frames) % block:
        found = f"gives {counted(len(frames), 'frame')}, the graph takes a multiple of {block}"
        raise InputError(f"recording '{sample.path}'", found, "Give --steps, to which recordings are cut or filled")
    return frames, ""


def _stacked(frames: Sequence[Array]) -> Array:
    """[T, B, *shape] of frames [T_b, *shape]; the shorter ones end in zeros."""
    if not frames:
        return np.zeros((0, 0), dtype=np.float32)
    longest = max(map(len, frames))
    stacked = np.zeros((longest, len(frames), *frames[0].shape[1:]), dtype=np.float32)
    for place, found in enumerate(frames):
        stacked[: len(found), place] = found
    return stacked


@dataclass(frozen=True)
class RecordingSamples:
    """A data set of recordings; see ``samples.Samples``."""

    samples: tuple[FileSample, ...]
    labels: Array | None
    encoding: Encoding
    encoded: Encoded
    input: str
    steps: int | None
    block: int
    notes: tuple[str, ...]
    input_kind: str = "events"

    @property
    def identity(self) -> tuple[str | int | float, ...]:
        """How recordings are encoded, and which they are; one that is missing is found when it is read."""
        found = hashlib.sha256()
        for sample in self.samples:
            with suppress(NirbridgeError):
                found.update(self.encoding.key(sample).encode())
        return found.hexdigest()[:32], len(self.samples), str(self.steps)

    def __len__(self) -> int:
        return len(self.samples)

    def part(self, first: int, stop: int) -> Part:
        """See ``samples.Samples``."""
        return partial(_load, self.samples[first:stop], self.encoded, self.input, self.steps, self.block)

    def name(self, number: int) -> str:
        """The path of the recording."""
        return str(self.samples[number].path)


def recording_samples(
    labelled: Labelled,
    plan: Plan,
    *,
    labels: Array | None = None,
    steps: int | None = None,
    options: Mapping[str, Any] | None = None,
    reading: Mapping[str, Any] | None = None,
) -> RecordingSamples:
    """Recordings as a data set for the graph of ``plan``.

    Args:
        labelled: the recordings.
        plan: of a graph with one input; an EventInput says how recordings become frames.
        labels: in the place of those of ``labelled``.
        steps: T to which frames are cut or filled with zeros; None takes what each recording gives.
        options: arguments of ``nirbridge_events.encode``, where the graph has no EventInput.
        reading: further arguments of ``nirbridge_events.open_recording``.

    Raises:
        InputError: neither says how recordings become frames, both do, or frames do not fit the graph; the names of
            the classes do not say which output is which.
    """
    if len(plan.inputs) != 1:
        raise InputError("graph", f"has {len(plan.inputs)} inputs, recordings need one", "Give arrays by input name")
    name = plan.inputs[0]
    given = _encoding(plan, dict(options or {}), labelled)
    settings = _settings_of(given, labelled.samples)
    shape, made = tuple(plan[name].output_shape), settings.frame_shape
    if made != shape:
        found = f"takes {shape_text(shape)}, frames are {shape_text(made)} (polarities, height, width)"
        raise InputError(str(plan[name]), found, "Set --size and --polarity to match the model")
    if steps is not None and steps % plan.block:
        found = f"{steps} steps are no multiple of the {plan.block} steps of a window"
        raise InputError("option 'steps'", found, "Give whole windows")
    encoding = Encoding(given, reading=dict(reading or {}))
    classes, notes = _classes(labelled) if labels is None else (None, _order_notes(labelled))
    notes = (*labelled.notes, *notes)
    if note := step_note(plan, settings.window * 1e-6 / settings.frames_per_window):
        notes += (note,)
    return RecordingSamples(
        samples=labelled.samples,
        labels=labels if classes is None else classes,
        encoding=encoding,
        encoded=encoding.encoded,
        input=name,
        steps=steps,
        block=plan.block,
        notes=notes,
    )


def encoded_samples(data: EncodedSet, plan: Plan, *, labels: Array | None, steps: int | None) -> RecordingSamples:
    """A data set that says itself how its recordings become frames, which it keeps in a cache.

    Raises:
        InputError: its frames are changed at random each time they are taken, or are not those of the graph's
            EventInput.
    """
    if data.augment is not None:
        found = "has an augment, so each evaluation would see other frames"
        raise InputError("data set", found, "Make it without augment")
    _require_frames_of(plan, data.cache.encoding)
    labelled = Labelled(data.samples, data.classes)
    classes, notes = _classes(labelled)
    own = [sample.label for sample in data.samples]
    if labels is None and classes.tolist() != own:
        names, places = (", ".join(map(str, sorted({*found}))) for found in (classes.tolist(), own))
        notes = (f"data set: its classes are {names}, for which the data set itself gives {places}.",)
    return RecordingSamples(
        samples=labelled.samples,
        labels=classes if labels is None else labels,
        encoding=data.cache.encoding,
        encoded=partial(_from_cache, data.cache),
        input=plan.inputs[0],
        steps=steps,
        block=plan.block,
        notes=notes if labels is None else _order_notes(labelled),
    )


def _from_cache(cache: FrameCache, sample: FileSample) -> tuple[Array, ReadReport | None]:
    """The frames of a recording; what became of its events was said when it was encoded."""
    return cache.load(sample), None


def open_folder(root: Path) -> Labelled:
    """A folder with labels.csv, or with a folder of recordings for each class; one that is missing is a bad sample."""
    return folder_with_labels(root, lacking=True) if (root / LABELS).is_file() else folder_per_class(root)


def open_table(path: Path) -> Labelled:
    """The recordings that a table of files and labels names, in its folder; one that is missing is a bad sample."""
    return folder_with_labels(path.parent, lacking=True, table=path.name)


def _encoding(plan: Plan, options: dict[str, Any], labelled: Labelled) -> dict[str, Any]:
    """The arguments of ``encode``: what the EventInput says, or the options; each recording may say its own sensor."""
    node = plan[plan.inputs[0]].node
    if type(node) is not EventInput:
        if "coding" not in options or not {"window", "per_events"} & set(options):
            next_step = "Give for instance --window 10ms --coding one-hot --lanes 3"
            raise InputError("options 'window' and 'coding'", "are missing, and the graph has no EventInput", next_step)
        known = {} if labelled.sensor_size is None else {"sensor_size": labelled.sensor_size}
        return {**known, **options}
    strange = sorted(set(options) - _BESIDE_A_NODE)
    if strange:
        found = "contradicts the EventInput node of the model, which describes the frames"
        raise InputError(f"option '{strange[0]}'", found, "Leave it away")
    settings = EncoderSettings.from_node(node).to_dict()
    if "crop" in options:
        wanted = tuple(settings.pop("sensor_size"))
        if tuple(options["crop"][2:]) != wanted:
            found = f"{options['crop'][2:]} pixels are not the {wanted[0]}x{wanted[1]} of the model's EventInput"
            raise InputError("option 'crop'", found, f"Cut out {wanted[0]}x{wanted[1]} pixels")
    return {**settings, **options}


def _require_frames_of(plan: Plan, encoding: Encoding) -> None:
    """Refuses frames that another encoder makes than the one which the EventInput of a graph describes."""
    node = plan[plan.inputs[0]].node
    if type(node) is not EventInput:
        return
    step = "Encode the data set as the EventInput says"
    if encoding.equal_count:
        raise InputError("data set", f"its frames are of equal event count, {plan[plan.inputs[0]]} has windows", step)
    settings = EncoderSettings.from_node(node)
    open_ = {*_BESIDE_A_NODE, *(["downsample"] if settings.frame_size == settings.area else [])}  # nothing is merged
    wanted, made = settings.to_dict(), _settings({"sensor_size": node.sensor_size, **encoding.options}).to_dict()
    for name in wanted:
        if name not in open_ and made.get(name) != wanted[name]:
            found = f"its frames have {name} {made.get(name)}, {plan[plan.inputs[0]]} says {wanted[name]}"
            raise InputError("data set", found, step)


def _settings(options: Mapping[str, Any]) -> EncoderSettings:
    """Those of the arguments of ``encode`` that say what frames are."""
    names = {field.name for field in fields(EncoderSettings)}
    return EncoderSettings(**{name: value for name, value in options.items() if name in names})


def _settings_of(options: Mapping[str, Any], samples: Sequence[FileSample]) -> EncoderSettings:
    """Those of the frames that so many arguments of ``encode`` make of these recordings."""
    known = {} if "sensor_size" in options else {"sensor_size": _sensor(samples)}
    return _settings({**known, **options})


def _sensor(samples: Sequence[FileSample]) -> tuple[int, int]:
    """The pixels of the first recording that can be read.

    Raises:
        FileError, InputError: none can, or it does not say.
    """
    problem: NirbridgeError | None = None
    for sample in samples[:_LOOKED_AT]:
        try:
            with sample.open(None) as recording:
                return recording.sensor_size
        except NirbridgeError as error:
            problem = problem or error
    assert problem is not None, "a data set has samples"
    raise problem


def _classes(labelled: Labelled) -> tuple[Array, tuple[str, ...]]:
    """The class of each sample: the number that is its name, else the place of the name among all.

    Raises:
        InputError: names are numbers in part, or numbers that count nothing, so that their places would say nothing.
    """
    own = np.array([sample.label for sample in labelled.samples], dtype=np.int64)
    counts = [name for name in labelled.classes if _COUNT.fullmatch(name)]
    if len(counts) == len(labelled.classes):
        places = {int(name): name for name in counts}
        if twice := next((name for name in counts if places[int(name)] != name), None):
            found = f"'{twice}' and '{places[int(twice)]}' are one class in two spellings"
            raise InputError("labels", found, "Give both one spelling, or names that are no numbers")
        return np.array([int(name) for name in labelled.classes], dtype=np.int64)[own], ()
    numbers = [name for name in labelled.classes if _NUMBER.fullmatch(name)]
    if numbers:
        strange = next(name for name in labelled.classes if name not in counts)
        found = f"'{strange}' is no class" + (f" beside '{counts[0]}'" if counts else "")
        raise InputError("labels", found, "Give whole numbers from 0 on for all classes, or a name for each")
    names = ", ".join(f"{number} {name}" for number, name in enumerate(labelled.classes[:12]))
    more = ", .." if len(labelled.classes) > 12 else ""
    return own, (f"classes are numbered in the order of their names: {names}{more}.",)


def _order_notes(labelled: Labelled) -> tuple[str, ...]:
    """What labels from elsewhere must know: to which recordings they go."""
    first, last = labelled.samples[0].path, labelled.samples[-1].path
    return (f"labels are given, so those of the data are not used; the first is for '{first}', the last for '{last}'.",)
