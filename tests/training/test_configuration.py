"""Configurations: what is read, and one line for everything that does not fit."""

import json
from pathlib import Path

import pytest

from nirbridge.errors import FileError, InputError, NirbridgeError
from training import read_configuration
from training.configuration import READ

CONFIGS = Path(__file__).resolve().parents[2] / "examples" / "configs"
GOOD = {"data": {"name": "digits"}, "network": {"name": "small-conv"}}


def write(folder, values, name="run.json"):
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_configurations_are_read(path):
    found = read_configuration(path)
    assert found.network["name"]
    assert found.epochs > 0


def test_changes_take_precedence(tmp_path):
    path = write(tmp_path, GOOD | {"epochs": 3})
    found = read_configuration(path, ("epochs=7", "data.folder=/a b", "network.width=5", "recipe=lm-ht"))
    assert (found.epochs, found.recipe) == (7, "lm-ht")
    assert found.data == {"name": "digits", "folder": "/a b"}
    assert found.network == {"name": "small-conv", "width": 5}


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        ("lm-ht", "neuron"),
        ("lm-ht", "percentile"),
        ("lm-ht", "analog_epochs"),
        ("qcfs-lm-ht", "neuron"),
        ("qcfs-lm-ht", "factor"),
        ("hybrid", "levels"),
        ("direct", "levels"),
        ("direct", "analog_learning_rate"),
    ],
)
def test_a_key_that_the_recipe_does_not_read_is_refused(tmp_path, recipe, key):
    value = '{"name": "m-lif"}' if key == "neuron" else "5"
    with pytest.raises(InputError, match=f"sets '{key}', which recipe '{recipe}' does not read") as error:
        read_configuration(write(tmp_path, GOOD), (f"recipe={recipe}", f"{key}={value}"))
    assert "\n" not in str(error.value)


def test_every_key_is_read_by_some_recipe(tmp_path):
    for recipe, keys in READ.items():
        values = {key: {"name": "m-lif"} if key == "neuron" else 5 for key in keys}
        assert read_configuration(write(tmp_path, GOOD | values | {"recipe": recipe})).recipe == recipe


def test_toml(tmp_path):
    pytest.importorskip("tomli")
    path = write(tmp_path, 'epochs = 4\n[data]\nname = "digits"\n[network]\nname = "vgg16"\n', "run.toml")
    assert read_configuration(path).epochs == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (GOOD | {"epoch": 3}, "unknown key 'epoch'"),
        ({"data": {"name": "digits"}}, "has no section 'network'"),
        (GOOD | {"loss": {"mu": 1}}, "section 'loss' has no name"),
        (GOOD | {"recipe": "hybrid", "percentile": 150}, "percentile=150 is not a number from 1e-12 to 100"),
        (GOOD | {"barrier": 8}, "section 'barrier' holds no keys"),
        (GOOD | {"recipe": "magic"}, "recipe is 'magic'"),
        (GOOD | {"epochs": 0}, "epochs=0 is not a whole number from 1"),
        (GOOD | {"epochs": True}, "epochs=True"),
        (GOOD | {"batch": 2.5}, "batch=2.5"),
        (GOOD | {"learning_rate": "fast"}, "learning_rate='fast' is not a number"),
        (GOOD | {"learning_rate": float("nan")}, "learning_rate=nan"),
    ],
)
def test_bad_values_are_one_line(tmp_path, values, message):
    with pytest.raises(InputError, match=message) as error:
        read_configuration(write(tmp_path, values))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [("{", "a.json", "is not JSON"), ("[1]", "a.json", "does not hold keys"), ("=", "a.toml", "TOML")],
)
def test_bad_files_are_one_line(tmp_path, text, name, message):
    with pytest.raises(FileError, match=message) as error:
        read_configuration(write(tmp_path, text, name))
    assert "\n" not in str(error.value)


def test_missing_file_and_bad_changes(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        read_configuration(tmp_path / "none.json")
    path = write(tmp_path, GOOD)
    with pytest.raises(InputError, match="has no '='"):
        read_configuration(path, ("epochs",))
    with pytest.raises(InputError, match="'epochs' is no section"):
        read_configuration(write(tmp_path, GOOD | {"epochs": 2}), ("epochs.x=1",))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[" * 100_000, "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
        ('{"epochs": ' + "9" * 100_000 + "}", "is not JSON"),
        (json.dumps(GOOD | {"epochs": 10**30}), "epochs=1000000000000000000000000000000 is not a whole number"),
        (json.dumps(GOOD | {"learning_rate": float("nan")}), "learning_rate=nan is not a number"),
        (json.dumps(GOOD | {"data": {"name": "x", "folder": "/tmp/a\0b"}}), r"data.folder='/tmp/a\x00b' holds a NUL"),
        (json.dumps(GOOD | {"k" * 100_000: 1}), "unknown key 'kkkk"),
    ],
)
def test_hostile_files_are_one_short_line(tmp_path, text, found):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(NirbridgeError) as error:
        read_configuration(path)
    assert found in str(error.value)
    assert len(str(error.value)) < 600
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["a\0b.json", "x" * 300 + ".json", "/dev/zero", "."])
def test_paths_that_are_no_file_are_one_line(path):
    with pytest.raises(FileError, match="cannot be read|is no file"):
        read_configuration(path)
