"""The page: what its server tells and refuses, and what a real browser shows of a stream."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import InputError
from nirbridge.ir import EventInput, MultiLevelLIF
from nirbridge_events import EncoderSettings, FrameEncoder, Stream, encode, open_recording, write_nmnist
from nirbridge_events.streaming import Observation
from nirbridge_events.viewing import View, server
from nirbridge_events.viewing.snapshots import About, picture
from nirbridge_events.watching import StreamStatus
from nirbridge_events.windows import Window
from tests.events import naive
from tests.events.test_streaming import SENSOR, SumProgram

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture
def about():
    return About("rec.bin", "m.nir", "norse", ("off", "on"), ("act",), EncoderSettings(SENSOR, 100, "count"))


@pytest.fixture
def events():
    return naive.make_events(np.random.default_rng(0), 2000, SENSOR, span=1000)


def get(view, path, method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", int(view.url.split(":")[2].strip("/")), timeout=10)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    response = connection.getresponse()
    return connection, response


def fetch(view, path, **options):
    connection, response = get(view, path, **options)
    body = response.read()
    connection.close()
    return response, body


def updates(view):
    """Everything that the stream of updates says until it ends."""
    connection, response = get(view, "/updates")
    lines = response.read().decode().split("\n\n")
    connection.close()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def test_the_page_loads_nothing_from_elsewhere(about):
    with View(about) as view:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", view.url)
        texts = []
        for path, kind in (("/", "text/html"), ("/app.js", "text/javascript"), ("/style.css", "text/css")):
            response, body = fetch(view, path)
            assert response.status == 200
            assert response.headers["Content-Type"].startswith(kind)
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            texts.append(body.decode())
        assert not re.search(r"https?://|//[a-z]", re.sub(r"<!.*?>", "", "".join(texts)).replace("// ", ""))
        _, body = fetch(view, "/about")
        assert json.loads(body)["labels"] == ["off", "on"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_is_answered(about, method):
    with View(about) as view:
        response, _ = fetch(view, "/", method=method)
        assert (response.status, response.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/x", "/../server.py", "/%2e%2e/server.py", "/app.js/", "//etc/passwd", "/?a=1"])
def test_nothing_else_is_served(about, path):
    with View(about) as view:
        assert fetch(view, path)[0].status == 404


def test_names_of_elsewhere_are_refused(about):
    with View(about) as view:
        assert fetch(view, "/about", host="example.org")[0].status == 403
        port = view.url.split(":")[2].strip("/")
        assert fetch(view, "/about", host=f"localhost:{port}")[0].status == 200


def test_a_taken_port_is_named(about):
    with View(about) as view:
        port = int(view.url.split(":")[2].strip("/"))
        with pytest.raises(InputError, match=f"option --port: cannot listen on 127.0.0.1 port {port}"):
            View(about, port)


def test_the_updates_hold_every_window_and_the_last_picture(about, events):
    with View(about) as view:
        program = SumProgram()
        encoder = FrameEncoder(SENSOR, 100, "count")
        stream = Stream(open_recording(events, SENSOR), program, encoder, record=["act"], observe=view.observe)
        decisions = list(stream)
        view.end(stream.summary.to_dict())
        told = updates(view)
    points = [point for update in told for point in update["points"]]
    assert [(p["window"], p["class"], p["events"]) for p in points] == [
        (d.window, d.predicted, d.events) for d in decisions
    ]
    frames = encode(events, SENSOR, 100, "count")
    assert [p["rates"]["act"] for p in points] == pytest.approx((frames[:, 1] > 0).mean(axis=(1, 2)), abs=1e-6)
    assert told[-1]["summary"]["decisions"] == 10
    levels = np.frombuffer(base64.b64decode(told[-1]["picture"]["levels"]), np.uint8).reshape(2, 34, 34)
    np.testing.assert_array_equal(levels, np.ceil(frames[-1] * (255 / frames[-1].max())))


def test_a_page_that_comes_late_or_goes_early_holds_nothing_up(about, events):
    with View(about) as view:
        connection, _ = get(view, "/updates")
        connection.close()
        began = time.perf_counter()
        program, encoder = SumProgram(), FrameEncoder(SENSOR, 100, "count")
        assert len(list(Stream(open_recording(events, SENSOR), program, encoder, observe=view.observe))) == 10
        view.end({"decisions": 10})
        assert len(updates(view)[0]["points"]) == 10
    assert time.perf_counter() - began < 60
    assert not any(thread.name == "nirbridge-view" for thread in threading.enumerate())


def test_large_frames_are_merged_and_signs_become_channels():
    frames = np.zeros((1, 1, 300, 700), dtype=np.float32)
    frames[0, 0, 299, 699], frames[0, 0, 0, 1] = 3, -6
    settings = EncoderSettings((700, 300), 100, "count", polarity="signed")
    told = picture(Observation(Window(frames, 0, 0, 1, 9), None, {}), settings)
    assert told["shape"] == [2, 100, 234]
    levels = np.frombuffer(base64.b64decode(told["levels"]), np.uint8).reshape(told["shape"])
    assert [tuple(place) for place in np.argwhere(levels)] == [(0, 0, 0), (1, 99, 233)]
    assert (levels[0, 0, 0], levels[1, 99, 233]) == (255, 128)


def test_the_pixels_of_a_lane_are_those_of_the_frame_not_of_its_picture():
    frames = np.zeros((1, 2, 300, 700), dtype=np.float32)
    frames[0, 0, :2, :2], frames[0, 1, 5, 5] = 1, 4
    told = picture(Observation(Window(frames, 0, 0, 1, 9), None, {}), EncoderSettings((700, 300), 100, "one-hot"))
    assert (told["shape"], told["pixels"]) == ([2, 100, 234], [2 * 300 * 700 - 5, 4, 0, 1])


def test_the_largest_value_of_a_frame_is_the_brightest_whatever_it_is():
    """Of single precision 21 · (255 / 21) is more than 255, which a byte shows as 0."""
    settings = EncoderSettings((2, 1), 100, "count", polarity="merge")
    for largest in range(1, 300):
        frames = np.array([[[[largest, 1]]]], dtype=np.float32)
        told = picture(Observation(Window(frames, 0, 0, 1, 9), None, {}), settings)
        assert tuple(base64.b64decode(told["levels"])) == (255, -(-255 // largest))


@pytest.fixture
def model(tmp_path):
    """Flatten, three levels a pixel, then two sums: of the left and of the right half."""
    weight = np.zeros((2, 2, 17, 17), dtype=np.float32)
    weight[0, ..., :8], weight[1, ..., 8:] = 1, 1
    nodes = {
        "events": EventInput((2, 17, 17), SENSOR, 10_000, 4, 3, "one-hot", "or"),
        "pixels": MultiLevelLIF.one_hot((2, 17, 17), 3, 0.5),
        "flatten": nir.Flatten({"input": np.array([2, 17, 17])}, 0, -1),
        "halves": nir.Linear(weight.reshape(2, -1)),
        "output": nir.Output(np.array([2])),
    }
    nirbridge.write(tmp_path / "m.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    return tmp_path / "m.nir"


class Viewed:
    """``nirbridge stream --view`` as a process, and its page."""

    def __init__(self, folder, model, span, *flags):
        write_nmnist(folder / "rec.bin", naive.make_events(np.random.default_rng(0), 2000, SENSOR, span=span))
        arguments = ["stream", folder / "rec.bin", "--model", model, "--view", "--runtime", "reference", *flags]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from nirbridge.cli import main; main()", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = []

    def wait_for(self, pattern):
        for line in self.process.stderr:
            self.said.append(line)
            if match := re.search(pattern, line):
                return match
        raise AssertionError("".join(self.said))

    def stop(self):
        os.kill(self.process.pid, signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, "".join(self.said) + err


@pytest.fixture
def viewed(tmp_path, model):
    started = []

    def start(span, *flags):
        started.append(Viewed(tmp_path, model, span, *flags))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def browse(tmp_path, url, *wanted):
    """What a fresh browser prints of the page once a decision stands there.

    Its seconds are of virtual time, which does not wait for what is still sent: a slow machine needs more of them.
    """
    for budget in (2_000, 10_000, 50_000):
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'browser'}", f"--virtual-time-budget={budget}"]
        command += ["--dump-dom", *wanted, url]
        dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        if text_of(dom, "label") != "–":
            break
    return dom


def text_of(dom, name):
    return re.search(rf'id="{name}"[^>]*>([^<]*)<', dom)[1]


@needs_chromium
def test_a_browser_shows_a_finished_stream(tmp_path, viewed):
    image = pytest.importorskip("PIL.Image")
    stream = viewed(95_000, "--labels", "left,right", "--pace", "max")
    url = stream.wait_for(r"Page: (\S+)")[1]
    stream.wait_for("stays until Ctrl-C")
    dom = browse(tmp_path, url, f"--screenshot={tmp_path / 'page.png'}")
    code, out, err = stream.stop()
    *decisions, last = [json.loads(line) for line in out.splitlines()]
    assert (code, "Traceback" in err) == (0, False)
    assert "Page closed." in err
    assert text_of(dom, "label") == decisions[-1]["label"]
    assert text_of(dom, "window") == "9"
    assert text_of(dom, "events") == str(decisions[-1]["events"])
    assert text_of(dom, "about") == "rec.bin → m.nir on reference"
    assert text_of(dom, "status").startswith(f"ended: 2,000 events, {last['summary']['decisions']} decisions")
    assert len(re.findall(r"lane \d, value \d: \d+ px", dom)) == 3
    with image.open(tmp_path / "page.png") as opened:
        pixels = np.asarray(opened.convert("RGB")).reshape(-1, 3)
    # Score of the decided class, lane 0 and its neurons' rate, latency: what was drawn, not written.
    for colour in ((76, 195, 138), (47, 107, 142), (88, 166, 255), (242, 177, 52)):
        assert (pixels == colour).all(axis=1).sum() > 100


class Browser:
    """Chromium through its driver: plain JSON over HTTP."""

    def __init__(self, folder):
        self.driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        port = next(match[1] for line in self.driver.stdout if (match := re.search(r"on port (\d+)\.", line)))
        self.connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={folder / 'driven'}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = ""
        self.session = (
            "/session/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        )

    def ask(self, method, path, body=None):
        self.connection.request(method, self.session + path, None if body is None else json.dumps(body))
        value = json.loads(self.connection.getresponse().read())["value"]
        assert not (isinstance(value, dict) and "error" in value), value
        return value

    def run(self, script):
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def close(self):
        try:
            self.ask("DELETE", "")
        finally:
            self.connection.close()
            self.driver.terminate()
            self.driver.communicate(timeout=60)


@pytest.fixture
def browser(tmp_path):
    opened = Browser(tmp_path)
    yield opened
    opened.close()


@needs_chromium
@pytest.mark.skipif(DRIVER is None, reason="no chromedriver is installed")
def test_a_browser_follows_a_running_stream(browser, viewed):
    stream = viewed(8_000_000, "--pace", "real")
    url = stream.wait_for(r"Page: (\S+)")[1]
    browser.ask("POST", "/url", {"url": url})
    text = "return document.getElementById('%s').textContent"
    windows, end = [], time.perf_counter() + 60
    while len(set(windows)) < 4 and time.perf_counter() < end:
        windows += [int(found)] if (found := browser.run(text % "window")).isdigit() else []
        time.sleep(0.1)
    assert len(set(windows)) >= 4
    assert windows == sorted(windows)
    assert browser.run(text % "status") == "live"
    painted = """
        return ['frame', 'lanes', 'scores', 'rates', 'rate-history', 'history', 'latency'].map((id) => {
          const canvas = document.getElementById(id);
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          return new Set(new Uint32Array(data.buffer)).size;
        });"""
    assert min(browser.run(painted)) >= 2
    code, out, err = stream.stop()
    assert (code, "Interrupted." in err, "Traceback" in err) == (0, True, False)
    decided = json.loads(out.splitlines()[-2])
    assert windows[-1] <= decided["window"]
    while browser.run(text % "status") != "connection lost" and time.perf_counter() < end:
        time.sleep(0.1)
    assert browser.run(text % "status") == "connection lost"
    # Nothing was refused by the policy, no script failed; what is lost is the stream of updates itself.
    logged = [entry["message"] for entry in browser.ask("POST", "/se/log", {"type": "browser"})]
    assert [line for line in logged if "/updates" not in line and "favicon" not in line] == []


def test_without_a_browser_the_page_and_the_decisions_are_the_same(viewed):
    stream = viewed(95_000, "--pace", "max")
    stream.wait_for("stays until Ctrl-C")
    code, out, _ = stream.stop()
    *decisions, last = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(decisions) == last["summary"]["decisions"] == 10


STATUS = StreamStatus(
    decisions=3, lag_ms=71.5, latency_ms=80.0, latency_from="arrival", over_budget=1, dropped_windows=2, late=4,
    outside=5, malformed=6, policy="drop-oldest", gap_windows=0, resyncs=0, silent_s=7.5, lost={"bad": 6},
    notices=("two cameras send",),
)  # fmt: skip


def open_updates(view, read=True):
    """A connection that asks for updates, and the first of them."""
    port = int(view.url.split(":")[2].strip("/"))
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(f"GET /updates HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    while read and b'"points"' not in (got := connection.recv(65536)):
        assert got
    return connection


def is_ended(connection, seconds=60.0):
    """Whether the other side ends a connection; what it still sends is read and thrown away."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def takes_end(connection, seconds):
    """Whether a connection that is read for so long comes to its end."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if not connection.recv(65536):
            return True
    return False


def test_the_page_is_told_how_the_stream_does_even_without_decisions(about):
    with View(about) as view:
        view.watch(lambda: STATUS)
        view.end({"decisions": 0})
        (update,) = updates(view)
    assert update["points"] == []
    assert update["health"] == {
        "lag_ms": 71.5,
        "latency_from": "arrival",
        "dropped": 2,
        "late": 4,
        "outside": 5,
        "malformed": 6,
        "silent_s": 7.5,
        "silent": True,
        "notices": ["two cameras send"],
    }


def test_pages_that_never_read_keep_nobody_out(about):
    with View(about) as view:
        never = [open_updates(view, read=False) for _ in range(3 * server.MOST_PAGES)]
        fresh = open_updates(view)
        assert fetch(view, "/")[0].status == 200
        # The oldest had to go.
        assert all(is_ended(connection) for connection in never[: server.MOST_PAGES])
        for connection in (*never, fresh):
            connection.close()


def test_connections_end_after_their_time_whatever_they_send(about, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(server, "HEARTBEAT", 0.1)
    with View(about) as view:
        port = int(view.url.split(":")[2].strip("/"))
        silent, drip = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
        reading = open_updates(view)
        begin, alive = time.perf_counter(), True  # one byte now and then would keep it for ever
        while alive and time.perf_counter() - begin < 30:
            try:
                drip.sendall(b"G")
                alive = not is_ended(drip, 0.1)
            except OSError:
                alive = False
        assert not alive
        assert is_ended(silent)
        # Who takes its updates stays.
        assert not takes_end(reading, 2.0)
        for connection in (silent, drip, reading):
            connection.close()


def test_a_page_that_stops_reading_is_ended_while_the_stream_goes_on(about, monkeypatch, events):
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.5)
    observations = []
    encoder = FrameEncoder(SENSOR, 100, "count")
    list(Stream(open_recording(events, SENSOR), SumProgram(), encoder, record=["act"], observe=observations.append))
    with View(about) as view:
        stopped = open_updates(view, read=False)
        stopped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end = time.perf_counter() + 60
        opened = False
        while not opened or view._server._pages:
            opened = opened or bool(view._server._pages)
            assert time.perf_counter() < end
            for _ in range(100):
                view.observe(observations[0])
            time.sleep(0.02)
        stopped.close()


def test_many_silent_connections_are_bounded(about):
    with View(about) as view:
        port = int(view.url.split(":")[2].strip("/"))
        many = [socket.create_connection(("127.0.0.1", port)) for _ in range(server.MOST_CONNECTIONS + 20)]
        assert fetch(view, "/")[0].status == 200
        assert len(view._server._deadlines) <= server.MOST_CONNECTIONS
        assert is_ended(many[0])
        for connection in many:
            connection.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x00\xff\x16\x03\x01\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"FOO / HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n", b"403"),
    ],
)
def test_malformed_requests_are_refused(about, request_bytes, status):
    with View(about) as view:
        connection = socket.create_connection(("127.0.0.1", int(view.url.split(":")[2].strip("/"))), timeout=10)
        connection.sendall(request_bytes)
        assert status in connection.recv(4096)
        connection.close()
        assert fetch(view, "/")[0].status == 200
