"""What the page is told: plain data from an ``Observation``."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge_events.pixels import FloatFrame
from nirbridge_events.settings import EncoderSettings
from nirbridge_events.streaming import Observation
from nirbridge_events.watching import SILENCE, StreamStatus

LARGEST_SIDE = 256


@dataclass(frozen=True)
class About:
    """What does not change while a stream runs.

    Attributes:
        source: name of the recording.
        model: name of the model.
        runtime: what runs it.
        labels: names of the classes, if known.
        layers: names of the nodes whose rates are shown.
        settings: how events become frames.
    """

    source: str
    model: str
    runtime: str
    labels: tuple[str, ...] | None
    layers: tuple[str, ...]
    settings: EncoderSettings

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        polarities, height, width = self.settings.frame_shape
        return {
            "source": self.source,
            "model": self.model,
            "runtime": self.runtime,
            "labels": self.labels,
            "layers": self.layers,
            "coding": self.settings.coding,
            "polarity": self.settings.polarity,
            "lanes": self.settings.lanes if self.settings.coding == "one-hot" else 0,
            "window": self.settings.length_text,
            "shape": [polarities, height, width],
        }


def point(observation: Observation) -> dict[str, Any]:
    """A window as one point of every curve."""
    decision = observation.decision
    return {
        "window": decision.window,
        "t_us": decision.t_us,
        "class": decision.predicted,
        "margin": decision.margin,
        "early": decision.early,
        "latency_ms": decision.latency_ms,
        "queue_ms": decision.queue_ms,
        "events": decision.events,
        "dropped": decision.dropped_windows,
        "scores": [round(score, 6) for score in decision.scores],
        "rates": {name: round(rate, 6) for name, rate in observation.rates.items()},
    }


def health(status: StreamStatus) -> dict[str, Any]:
    """How the stream does, for the page."""
    return {
        "lag_ms": status.lag_ms,
        "latency_from": status.latency_from,
        "dropped": status.dropped_windows,
        "late": status.late,
        "outside": status.outside,
        "malformed": status.malformed,
        "silent_s": status.silent_s,
        "silent": status.silent_s is not None and status.silent_s >= SILENCE,
        "notices": list(status.notices),
    }


def picture(observation: Observation, settings: EncoderSettings) -> dict[str, Any]:
    """The frame of a window as bytes: a level for every channel and pixel, base64 of [P, H, W].

    With "one-hot" the level is the lane plus one, with anything else 255 times the value over the largest one of the
    frame; 0 is 0.  With polarity "signed" there are two channels again, what is below 0 and what is above.  Pixels are
    merged by max until no side is longer than ``LARGEST_SIDE``; the numbers of pixels of each level of "one-hot" are
    those of the whole frame.
    """
    whole = channels(observation.window.frames, settings)
    values, one_hot = shrunk(whole, LARGEST_SIDE), settings.coding == "one-hot"
    levels = lane_numbers(values) if one_hot else _scaled(values)
    pixels = np.bincount(lane_numbers(whole).ravel(), minlength=settings.lanes + 1).tolist() if one_hot else []
    encoded = base64.b64encode(levels.tobytes()).decode("ascii")
    return {"shape": list(levels.shape), "levels": encoded, "pixels": pixels}


def channels(frames: FloatFrame, settings: EncoderSettings) -> FloatFrame:
    """One non-negative image for each polarity [P, H, W] of a window [K, P, H, W]."""
    weights = 2.0 ** np.arange(len(frames) - 1, -1, -1) if settings.coding == "phase" else np.ones(len(frames))
    values = np.tensordot(weights.astype(np.float32), frames, axes=(0, 0))
    if settings.polarity == "signed":
        values = np.concatenate((np.maximum(-values, 0), np.maximum(values, 0)))
    return np.asarray(values, dtype=np.float32)


def shrunk(values: FloatFrame, largest_side: int) -> FloatFrame:
    """[P, H, W] with pixels merged by max until no side is longer, so that no event vanishes from a small picture."""
    factor = -(-max(values.shape[1:]) // largest_side)
    if factor <= 1:
        return values
    rows, columns = (np.arange(0, side, factor) for side in values.shape[1:])
    merged: FloatFrame = np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=1), columns, axis=2)
    return merged


def lane_numbers(values: FloatFrame) -> npt.NDArray[np.uint8]:
    """0 of 0, else log2 of the value plus one."""
    return np.where(values > 0, np.rint(np.log2(np.maximum(values, 1))) + 1, 0).astype(np.uint8)


def _scaled(values: FloatFrame) -> npt.NDArray[np.uint8]:
    largest = float(values.max(initial=0))
    # In double precision the largest is 255 to the bit; in single it may be more, which is 0 in a byte.
    exact = values.astype(np.float64) * 255 / (largest or 1.0)
    return np.asarray(np.ceil(exact), dtype=np.uint8)
