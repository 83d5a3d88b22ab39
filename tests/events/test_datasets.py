"""Labelled sets: what they give, what they keep, how they go on, and what they refuse."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, LossWarning, encode, encode_equal_count, write_nmnist
from nirbridge_events import frame_cache as frame_cache_module
from nirbridge_events.frame_cache import Encoding, FileSample, FrameCache
from nirbridge_events.labelled import TONIC_SETS, folder_per_class, folder_with_labels, from_tonic
from tests.events import naive
from tests.events import naive_formats as formats

torch = pytest.importorskip("torch")
from nirbridge_events import datasets  # noqa: E402  it needs torch

SENSOR = (34, 34)
ENCODING = Encoding({"window": 10_000, "coding": "one-hot", "size": (17, 17)}, steps=12)


def make_recording(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    events = naive.make_events(np.random.default_rng(seed), 500, SENSOR, span=95_000)
    write_nmnist(path, events)
    return events


@pytest.fixture
def root(tmp_path):
    """Two classes, '2' and '10', of three recordings each."""
    for label, name in enumerate(("2", "10")):
        for i in range(3):
            make_recording(tmp_path / "set" / name / f"{i}.bin", 10 * label + i)
    (tmp_path / "set" / ".hidden").write_text("no class")
    make_recording(tmp_path / "set" / "2" / ".trash" / "1.bin", 9)
    return tmp_path / "set"


def wanted(path):
    frames = encode(frame_cache_module.open_recording(path, SENSOR), window=10_000, coding="one-hot", size=(17, 17))
    return np.concatenate((frames, np.zeros((12 - len(frames), *frames.shape[1:]))))


def test_a_folder_per_class_gives_frames_and_labels(root):
    data = datasets.folder(root, ENCODING)
    assert data.classes == ("2", "10")
    assert [data[i][1] for i in range(6)] == [0, 0, 0, 1, 1, 1]
    for i, sample in enumerate(data.samples):
        frames, _ = data[i]
        assert frames.dtype == torch.float32
        np.testing.assert_array_equal(frames.numpy(), wanted(sample.path))
    batch, labels = next(iter(torch.utils.data.DataLoader(data, batch_size=6)))
    assert (batch.shape, labels.tolist()) == ((6, 12, 2, 17, 17), [0, 0, 0, 1, 1, 1])
    make_recording(root / "beside.bin", 9)
    with pytest.warns(LossWarning, match="1 file beside the folders of the classes left out: .*beside.bin"):
        assert len(datasets.folder(root, ENCODING, train=True)) == 6


def test_bags_of_ros_2_are_recordings_of_a_set(tmp_path):
    bags = pytest.importorskip("tests.events.bags", reason="it needs rosbags")
    store = bags.Store(2)
    for name, t in (("a/cam", 1), ("b/cam", 2)):
        (tmp_path / name).parent.mkdir()
        bags.write(tmp_path / name, store, {"/dvs": [store.array([(t, 1, 1, 1)])]})
    (tmp_path / "labels.csv").write_text("file,label\nb/cam,7\na/cam,8\n")
    encoding = Encoding({"window": 10, "coding": "count"})
    data = datasets.folder(tmp_path, encoding)
    assert [(sample.path, frames.sum()) for sample, (frames, _) in zip(data.samples, data, strict=True)] == [
        (tmp_path / "a" / "cam", 1),
        (tmp_path / "b" / "cam", 1),
    ]
    listed = folder_with_labels(tmp_path).samples
    assert [(sample.path, sample.label) for sample in listed] == [
        (tmp_path / f"{name}/cam", i) for i, name in enumerate("ba")
    ]
    before = data.samples[0].identity
    os.utime(next((tmp_path / "a" / "cam").glob("*.db3")), ns=(0, 1 << 62))
    assert data.samples[0].identity != before


def test_what_a_recording_needs_to_be_read_can_be_said(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.csv").write_text("t,x,y,p\n1,5,5,1\n2,5,-40,1\n3,5,5,1\n")
    strict, lax = (Encoding({"window": 10, "coding": "count"}, reading=how) for how in ({}, {"bad_events": "skip"}))
    with pytest.raises(FileError, match=r"line 3 has y = -40.*bad_events='skip'"):
        datasets.folder(tmp_path, strict, sensor_size=(34, 34))[0]
    with pytest.warns(LossWarning, match="1 events outside the sensor were left out"):
        assert datasets.folder(tmp_path, lax, sensor_size=(34, 34))[0][0].sum() == 2


def test_tables_of_a_set_are_read_as_it_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.csv").write_text("1,2,90,-1,0.5\n2,2,91,1,0.75\n")
    how = Encoding({"window": 10, "coding": "count"}, reading={"columns": "y,x,_,p,t", "time_unit": "ms"})
    frames = datasets.folder(tmp_path, how, sensor_size=(34, 34))[0][0]
    assert (len(frames), frames[0, 0, 1, 2], frames[-1, 1, 2, 2]) == (26, 1, 1)


def test_labels_from_a_table(tmp_path, root):
    (root / "labels.csv").write_text("file,label,note\n2/1.bin,9,\n10/0.bin,10,x\n10/2.bin,9,\n")
    data = datasets.labelled_folder(root, ENCODING, cache=tmp_path / "cache")
    assert data.classes == ("9", "10")
    assert [sample.path.relative_to(root).as_posix() for sample in data.samples] == ["2/1.bin", "10/0.bin", "10/2.bin"]
    assert [data[i][1] for i in range(3)] == [0, 1, 0]
    np.testing.assert_array_equal(data[1][0].numpy(), wanted(root / "10" / "0.bin"))
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_labels_of_the_same_number_are_in_the_same_order_in_every_process(root):
    (root / "labels.csv").write_text("file,label\n2/1.bin,1\n10/0.bin,01\n10/2.bin,001\n")
    code = "import sys; from nirbridge_events.labelled import *; print(*folder_with_labels(sys.argv[1]).classes)"
    environments = [{**os.environ, "PYTHONHASHSEED": str(seed)} for seed in (1, 2, 3)]
    found = [subprocess.check_output([sys.executable, "-c", code, root], env=env, text=True) for env in environments]
    assert found == ["001 01 1\n"] * 3


def test_nmnist_small_has_all_its_labels(shared_data, tmp_path):
    place = shared_data / "nmnist-small"
    data = datasets.labelled_folder(place, Encoding({"window": 50_000}, steps=7), cache=tmp_path)
    with (place / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(data) == len(rows) == 1000
    assert data.classes == tuple("0123456789")
    assert [sample.label for sample in data.samples] == [int(row["label"]) for row in rows]
    assert data[3][0].shape == (7, 2, 34, 34)


def test_prepare_uses_processes_logs_progress_and_resumes(root, caplog, monkeypatch):
    data = datasets.folder(root, ENCODING)
    data[4]
    assert len(data.cache.missing(data.samples)) == 5
    ticks = []
    with caplog.at_level("INFO", logger="nirbridge"):
        data.prepare(jobs=2, tick=ticks.append)
    assert caplog.messages == [f"encoded {count} of 5 recordings" for count in range(1, 6)]
    assert ticks == [1] * 5
    assert not data.cache.missing(data.samples)
    monkeypatch.setattr(Encoding, "frames", None)
    again = datasets.folder(root, ENCODING).prepare()
    np.testing.assert_array_equal(again[5][0].numpy(), wanted(root / "10" / "2.bin"))


def test_processes_load_no_torch():
    code = "import sys, nirbridge_events.frame_cache, nirbridge_events.labelled; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_key_follows_the_settings_and_the_file(root):
    sample = FileSample(root / "2" / "0.bin", 0)
    keys = {
        ENCODING.key(sample),
        ENCODING.key(FileSample(root / "2" / "1.bin", 0)),
        Encoding({**ENCODING.options, "lanes": 4}, steps=12).key(sample),
        Encoding(ENCODING.options, steps=13).key(sample),
        Encoding(ENCODING.options, steps=12, cut=True).key(sample),
    }
    assert len(keys) == 5
    assert ENCODING.key(sample) == ENCODING.key(FileSample(root / "2" / "0.bin", 7)) in keys
    numpys = {**ENCODING.options, "window": np.int64(10_000), "size": np.array([17, 17])}
    assert Encoding(numpys, steps=np.int32(12)).key(sample) == ENCODING.key(sample)
    make_recording(root / "2" / "0.bin", 99)
    assert ENCODING.key(sample) not in keys


def test_a_damaged_cache_file_is_made_again(root, tmp_path):
    cache, sample = FrameCache(tmp_path / "cache", ENCODING), FileSample(root / "2" / "0.bin", 0)
    cache.load(sample)
    cache.path(sample).write_bytes(b"\x93NUMPY broken")
    np.testing.assert_array_equal(cache.load(sample), wanted(sample.path))
    np.testing.assert_array_equal(np.load(cache.path(sample)), wanted(sample.path))


@pytest.mark.parametrize(("coding", "dtype"), [("count", np.uint8), ("voxel", np.float32)])
def test_small_whole_values_are_stored_in_bytes_and_come_back_as_they_were(root, tmp_path, coding, dtype):
    encoding = Encoding({"window": 50_000, "coding": coding})
    cache, sample = FrameCache(tmp_path / "cache", encoding), FileSample(root / "2" / "0.bin", 0)
    first, second = cache.load(sample), cache.load(sample)
    assert np.load(cache.path(sample)).dtype == dtype
    assert first.dtype == second.dtype == np.float32
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, encode(frame_cache_module.open_recording(sample.path), **encoding.options))


@pytest.mark.parametrize("cluster", [None, "local"])
def test_bad_recordings_are_all_named_and_the_good_ones_are_done(root, cluster):
    if cluster is not None:
        pytest.importorskip("distributed")
    for name in ("2/0.bin", "10/1.bin"):
        (root / name).write_bytes(b"\xff" + (root / name).read_bytes()[1:])
    data = datasets.folder(root, ENCODING)
    with pytest.raises(FileError) as error:
        data.prepare(jobs=2, cluster=cluster)
    assert len(error.value.problems) == 2
    assert "0.bin': event 0 lies at (255, " in str(error.value)
    assert len(data.cache.missing(data.samples)) == 2


def test_frames_beyond_the_steps_are_refused_unless_cut(root, tmp_path):
    sample = FileSample(root / "2" / "0.bin", 0)
    with pytest.raises(InputError, match="gives 10 frames, 4 are wanted"):
        FrameCache(tmp_path, Encoding(ENCODING.options, steps=4)).load(sample)
    cut = FrameCache(tmp_path, Encoding(ENCODING.options, steps=4, cut=True)).load(sample)
    np.testing.assert_array_equal(cut, wanted(sample.path)[:4])


def test_equal_count_frames(root, tmp_path):
    path = root / "2" / "0.bin"
    encoding = Encoding({"pooled": 40, "lanes": 3, "size": (17, 17)}, equal_count=True)
    frames = FrameCache(tmp_path, encoding).load(FileSample(path, 0))
    events = make_recording(tmp_path / "again.bin", 0)
    np.testing.assert_array_equal(frames, encode_equal_count(events, sensor_size=SENSOR, **encoding.options))
    assert frames.shape == (10, 2, 17, 17)


def test_the_split_takes_nine_tenths_of_every_class(tmp_path):
    for name in ("a", "b"):
        for i in range(20):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"x_{i}.bin").touch()
    labelled = folder_per_class(tmp_path)
    train, test = labelled.split(train=True), labelled.split(train=False)
    assert [sample.path.name for sample in test.samples] == ["x_18.bin", "x_19.bin"] * 2
    assert [sample.label for sample in test.samples] == [0, 0, 1, 1]
    assert {*train.samples, *test.samples} == {*labelled.samples}
    assert len(train.samples) == 36
    with pytest.raises(InputError, match="share: 1 is not between"):
        labelled.split(train=True, share=1)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("name,label\n1.bin,2\n", "has name, label, not the columns file and label"),
        ("file,label\n", "has no row, not the columns"),
        ("file,label\n2/0.bin,\n", "line 2 lacks a file or a label"),
        ("file,label\nx.bin,1\n", "'x.bin' is nowhere below"),
        ("file,label\n0.bin,1\n", "'0.bin' is in 2 places below"),
    ],
)
def test_tables_that_do_not_fit(root, table, found):
    (root / "labels.csv").write_text(table)
    with pytest.raises(FileError, match=found):
        folder_with_labels(root)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        folder_per_class(tmp_path / "x")
    with pytest.raises(FileError, match="holds no folders with recordings"):
        folder_per_class(tmp_path)
    with pytest.raises(FileError, match=r"labels\.csv': is no readable table"):
        folder_with_labels(tmp_path)


CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def make_cifar10_dvs(place, classes, count):
    """Recordings as tonic unpacks them, and the events of each."""
    events = {(name, i): naive.make_events(np.random.default_rng(i), 60, (128, 128), 95_000) for name in classes
              for i in range(count)}  # fmt: skip
    for (name, i), each in events.items():
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name / f"cifar10_{name}_{i}.aedat4").write_bytes(formats.write_aedat4(naive.rows_of(each)))
    return events


def test_cifar10_dvs_as_tonic_unpacks_it(tmp_path):
    """Tonic itself finds the set complete: the archive, and 1000 or more recordings; then ours are split and read."""
    pytest.importorskip("tonic")
    events = make_cifar10_dvs(tmp_path / "CIFAR10DVS", CIFAR10, 101)
    (tmp_path / "CIFAR10DVS" / "CIFAR10DVS.zip").touch()
    encoding = Encoding({"pooled": 40, "lanes": 3, "size": (48, 48)}, equal_count=True)
    with pytest.raises(InputError, match="60 are fewer than 80 splits"):
        datasets.cifar10_dvs(tmp_path, encoding)[0]
    encoding = Encoding({"window": 10_000, "coding": "one-hot", "size": (48, 48)}, steps=10)
    train, test = (datasets.cifar10_dvs(tmp_path, encoding, train=part) for part in (True, False))
    assert (train.classes, len(train), len(test)) == (CIFAR10, 910, 100)
    assert [sample.label for sample in test.samples] == [label for label in range(10) for _ in range(10)]
    assert {sample.path.stem.rsplit("_", 1)[1] for sample in test.samples} == {str(i) for i in range(91, 101)}
    for data, place, key in ((train, 0, ("airplane", 0)), (train, 95, ("automobile", 4)), (test, 39, ("cat", 100))):
        frames, label = data[place]
        assert label == CIFAR10.index(key[0])
        wanted = encode(events[key], (128, 128), 10_000, "one-hot", size=(48, 48))
        np.testing.assert_array_equal(frames[: len(wanted)].numpy(), wanted)
        assert not frames[len(wanted) :].any()


def test_cifar10_dvs_from_its_folders_alone(tmp_path):
    events = make_cifar10_dvs(tmp_path, ("airplane", "cat"), 20)
    encoding = Encoding({"window": 100_000, "coding": "count"}, steps=1)
    train, test = (datasets.folder(tmp_path, encoding, train=part) for part in (True, False))
    assert (len(train), len(test), len(datasets.folder(tmp_path, encoding))) == (36, 4, 40)
    names = [sample.path.stem for sample in test.samples]
    assert names == [f"cifar10_{name}_{i}" for name in ("airplane", "cat") for i in (18, 19)]
    assert train.samples[2].path.stem == "cifar10_airplane_2"
    for i, key in enumerate((("airplane", 18), ("airplane", 19), ("cat", 18), ("cat", 19))):
        frames, label = test[i]
        assert label == i // 2
        np.testing.assert_array_equal(frames.numpy(), encode(events[key], (128, 128), 100_000, "count"))


def tonic_folder(place, key):
    """The files of a set, few of them, where tonic has them, and the events in one."""
    if key == "nmnist":
        return [make_recording(place / "NMNIST" / "Train" / str(c) / "1.bin", c) for c in (0, 3)][1]
    if key == "ncaltech101":
        folder = place / "NCALTECH101" / "Caltech101"
        return [make_recording(folder / name / f"{i}.bin", i) for name in ("ant", "bee") for i in range(10)][10]
    if key == "cifar10_dvs":
        return make_cifar10_dvs(place / "CIFAR10DVS", ("airplane", "cat"), 10)["cat", 8]
    rows = naive.rows_of(naive.make_events(np.random.default_rng(0), 50, (128, 128)))
    (place / "DVSGesture" / "ibmGestureTrain" / "user02_led").mkdir(parents=True)
    np.save(place / "DVSGesture" / "ibmGestureTrain" / "user02_led" / "7.npy", [(x, y, p, t) for t, x, y, p in rows])
    return naive.events_of([(1000 * t, x, y, p) for t, x, y, p in rows])


TONIC_LABELS = {
    "nmnist": ("3 - three", 2, 3, 1),
    "ncaltech101": ("bee", 18, 1, 9),
    "cifar10_dvs": ("cat", 18, 3, 17),
    "dvs_gesture": ("Arm roll", 1, 7, 0),
}


@pytest.mark.parametrize("key", TONIC_SETS)
def test_sets_that_tonic_lays_out_are_read_by_our_readers(tmp_path, monkeypatch, key):
    tonic = pytest.importorskip("tonic")
    with pytest.raises(InputError, match="is not complete in"):
        from_tonic(key, tmp_path, train=True)
    events = tonic_folder(tmp_path, key)
    monkeypatch.setattr(getattr(tonic.datasets, TONIC_SETS[key].name), "_check_exists", lambda self: True)
    data = getattr(datasets, key)(tmp_path, Encoding({"window": 10_000}), cache=tmp_path / "cache")
    name, count, label, place = TONIC_LABELS[key]
    assert len(data) == count
    assert data.samples[-1].label == label
    assert data.classes[label] == name
    if events is not None:
        frames, _ = data[place]
        np.testing.assert_array_equal(frames.numpy(), encode(events, TONIC_SETS[key].sensor_size, 10_000))
    with pytest.raises(InputError, match="augmentation: is no option"):
        getattr(datasets, key)(tmp_path, ENCODING, augmentation=1)


def gesture(path):
    return FileSample(path, 0, TONIC_SETS["dvs_gesture"].sensor_size, TONIC_SETS["dvs_gesture"].reading)


def test_a_stored_gesture_keeps_its_microseconds(tmp_path):
    """1.001 ms times 1000 lies below 1001, and was cut to 1000 µs."""
    t = np.arange(1, 3000)
    np.save(tmp_path / "0.npy", np.stack([t % 128, t % 100, t % 2, t / 1000], axis=1))
    events = Events.concatenate(list(gesture(tmp_path / "0.npy").open(None)))
    assert naive.rows_of(events) == list(zip(t, t % 128, t % 100, t % 2, strict=True))


def test_a_stored_gesture_that_is_broken_is_named(tmp_path):
    (tmp_path / "1.npy").write_bytes(b"x")
    np.save(tmp_path / "2.npy", np.zeros((3, 3)))
    for name, found in (
        ("1.npy", "no reader knows, although it is named like npy"),
        ("2.npy", r"array \(3, 3\) of"),
    ):
        with pytest.raises(FileError, match=found):
            gesture(tmp_path / name).open(None)
