"""Event cameras: recordings, encoders that turn events into frames, and streaming through a compiled network."""

from nirbridge_events.decisions import Decision, StreamSummary
from nirbridge_events.decoding import decode
from nirbridge_events.encoding import FrameEncoder, encode
from nirbridge_events.equal_count import encode_equal_count
from nirbridge_events.events import EVENT_DTYPE, Events, as_events
from nirbridge_events.filtered import filtered
from nirbridge_events.filters import FILTERS, EventFilter, FilterState
from nirbridge_events.filters.background import BackgroundFilter
from nirbridge_events.filters.chain import FilterChain, FilterReport
from nirbridge_events.filters.hot_pixels import HotPixelFilter
from nirbridge_events.filters.polarity import PolarityFilter
from nirbridge_events.filters.rate import RateFilter
from nirbridge_events.filters.refractory import RefractoryFilter
from nirbridge_events.filters.roi import RoiFilter
from nirbridge_events.hot_pixels import find_hot_pixels
from nirbridge_events.read_report import LossWarning, ReadReport
from nirbridge_events.recording import Recording, open_recording
from nirbridge_events.recording_info import RecordingInfo, info
from nirbridge_events.settings import EncoderSettings
from nirbridge_events.simulate import moving_image, saccades
from nirbridge_events.streaming import Stream
from nirbridge_events.windows import EncodeReport, Window
from nirbridge_events.writers import write_es, write_nmnist

__all__ = [
    "EVENT_DTYPE",
    "FILTERS",
    "BackgroundFilter",
    "Decision",
    "EncodeReport",
    "EncoderSettings",
    "EventFilter",
    "Events",
    "FilterChain",
    "FilterReport",
    "FilterState",
    "FrameEncoder",
    "HotPixelFilter",
    "LossWarning",
    "PolarityFilter",
    "RateFilter",
    "ReadReport",
    "Recording",
    "RecordingInfo",
    "RefractoryFilter",
    "RoiFilter",
    "Stream",
    "StreamSummary",
    "Window",
    "as_events",
    "decode",
    "encode",
    "encode_equal_count",
    "filtered",
    "find_hot_pixels",
    "info",
    "moving_image",
    "open_recording",
    "saccades",
    "write_es",
    "write_nmnist",
]
