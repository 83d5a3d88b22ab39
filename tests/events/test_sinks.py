"""Decisions in files and on the network: what arrives, what is lost, and who says so."""

import json
import os
import socket
import threading
import time

import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import FrameEncoder, Stream
from nirbridge_events.sinks import LineLog, TcpLines, open_sink, written
from tests.events import naive

SECONDS = 60.0


class Program:
    """One class for each half of the frame."""

    def reset(self):
        pass

    def advance(self, x, record=()):
        halves = np.stack([x[..., :17].sum((2, 3, 4)), x[..., 17:].sum((2, 3, 4))], axis=-1)
        return type("Done", (), {"output": halves, "records": {}})()


class Consumer:
    """Listens on a port; reads, when it is told to, what one connection sends until it ends."""

    def __init__(self, port=0, buffer=None):
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer:
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.server.bind(("127.0.0.1", port))
        self.server.listen(1)
        self.server.settimeout(SECONDS)
        self.port = self.server.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def accept(self):
        connection, _ = self.server.accept()
        connection.settimeout(SECONDS)
        return connection

    def read_all(self, connection):
        with connection, connection.makefile("rb") as file:
            return [line.decode().rstrip("\n") for line in file]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()


def wait_for(condition):
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)


def stream():
    events = naive.make_events(np.random.default_rng(0), 400, (34, 34), span=95_000)
    return Stream([events], Program(), FrameEncoder((34, 34), 10_000, "count"))


def test_decisions_and_the_summary_are_written_to_all_sinks(tmp_path):
    with Consumer() as consumer, open_sink(tmp_path / "d.jsonl") as log, open_sink(consumer.address) as sent:
        heard = []
        thread = threading.Thread(target=lambda: heard.extend(consumer.read_all(consumer.accept())))
        thread.start()
        decisions = list(written(stream(), [log, sent]))
        sent.close()
        thread.join(SECONDS)
        assert sent.notes() == []
        assert sent.sent == len(heard)
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert lines == [json.loads(line) for line in heard]
    assert lines[:-1] == [decision.to_dict() for decision in decisions]
    assert lines[-1]["summary"]["decisions"] == len(decisions) == 10


def test_a_stream_that_is_left_has_its_summary_in_the_log(tmp_path):
    with LineLog(tmp_path / "d.jsonl") as log:
        decisions = written(stream(), [log])
        next(decisions)
        assert len((tmp_path / "d.jsonl").read_text().splitlines()) == 1, "a line is there as soon as it was put"
        decisions.close()
    assert json.loads((tmp_path / "d.jsonl").read_text().splitlines()[-1])["summary"]["interrupted"]


def test_a_log_replaces_a_file(tmp_path):
    (tmp_path / "d.jsonl").write_text("old\n" * 100)
    with LineLog(tmp_path / "d.jsonl") as log:
        assert (tmp_path / "d.jsonl").read_text() == ""
        log.put("a")
    log.close()
    assert (tmp_path / "d.jsonl").read_text() == "a\n"


def test_a_log_that_cannot_be_written_keeps_whole_lines(tmp_path, monkeypatch):
    log = LineLog(tmp_path / "d.jsonl")
    log.put("whole")
    write, calls = os.write, []

    def full(file, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write(file, data[:3])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FileError, match="No space left"):
        log.put("a second line")
    monkeypatch.undo()
    log.close()
    assert calls == [14, 11]
    assert (tmp_path / "d.jsonl").read_text() == "whole\n"


@pytest.mark.parametrize("place", ["no/d.jsonl", "."])
def test_a_log_that_cannot_be_made_is_refused(tmp_path, place):
    with pytest.raises(FileError):
        LineLog(tmp_path / place)


def test_nobody_listens():
    with Consumer() as consumer:
        address = consumer.address
    with pytest.raises(InputError, match=r"cannot be connected to .*Start the program that listens there first"):
        TcpLines(address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:x", "tcp://127.0.0.1:99/path", "tcp://h:1?size=3x3"])
def test_an_address_that_is_none(address):
    with pytest.raises(InputError, match="source 'tcp"):
        open_sink(address)


def test_a_consumer_that_does_not_read_makes_nobody_wait_and_gets_the_newest(monkeypatch):
    said = []
    with Consumer(buffer=4096) as consumer:
        sink = TcpLines(consumer.address, capacity=8, linger=SECONDS, warn=said.append)
        connection = consumer.accept()
        line = "x" * 200_000
        began = time.monotonic()
        for number in range(60):
            sink.put(f"{number} {line}")
        assert time.monotonic() - began < SECONDS / 2
        wait_for(lambda: sink.lost)
        heard = []
        thread = threading.Thread(target=lambda: heard.extend(consumer.read_all(connection)))
        thread.start()
        wait_for(lambda: sink.sent + sink.lost == 60)
        sink.put("last")
        sink.close()
        thread.join(SECONDS)
    assert sink.sent == len(heard) < 61
    assert sink.sent + sink.lost == 61
    assert heard[-1] == "last"
    assert [line.split()[0] for line in heard[-3:-1]] == ["58", "59"]
    assert all(len(line) > 200_000 for line in heard[:-1]), "lines arrive whole"
    assert said == [f"output '{consumer.address}': 8 lines wait, and no more may; the oldest are dropped."]
    assert f"{sink.lost} of 61 lines were lost" in sink.notes()[0]


def test_closing_waits_no_longer_than_it_may():
    with Consumer(buffer=4096) as consumer:
        sink = TcpLines(consumer.address, linger=0.1, warn=lambda _: None)
        with consumer.accept():
            for _ in range(20):
                sink.put("x" * 1_000_000)
            began = time.monotonic()
            sink.close()
            sink.close()
            assert time.monotonic() - began < SECONDS / 2
            sink.put("too late")
    assert sink.sent + sink.lost == 21
    assert sink.lost >= 15


def test_a_consumer_that_comes_back_gets_what_waited(monkeypatch):
    monkeypatch.setattr("nirbridge_events.sinks.tcp.RETRY_SECONDS", 0.01)
    said = []
    with Consumer() as first:
        sink = TcpLines(first.address, warn=said.append)
        connection = first.accept()
        sink.put("one")
        assert connection.makefile("rb").readline() == b"one\n"
        connection.sendall(b"whatever a consumer says is left aside")
        connection.close()
    sink.put("two")
    wait_for(lambda: said)
    sink.put("three")
    heard = []
    with Consumer(first.port) as second:
        thread = threading.Thread(target=lambda: heard.extend(second.read_all(second.accept())))
        thread.start()
        wait_for(lambda: sink.sent == 3)
        sink.close()
        thread.join(SECONDS)
    assert heard == ["two", "three"]
    assert (sink.lost, sink.reconnections) == (0, 1)
    assert "the connection broke" in said[0]
    assert "connected again" in said[-1]
    assert "connected again 1 times" in sink.notes()[0]


def test_what_waits_for_a_consumer_that_stays_away_is_counted(monkeypatch):
    monkeypatch.setattr("nirbridge_events.sinks.tcp.RETRY_SECONDS", 0.01)
    with Consumer() as consumer:
        sink = TcpLines(consumer.address, linger=0.1, warn=lambda _: None)
        consumer.accept().close()
    for number in range(5):
        sink.put(str(number))
    sink.close()
    assert (sink.sent, sink.lost) == (0, 5)
