"""Bad arguments and inputs: InputError, one line that names the class, what was found and the limit."""

import copy
import pickle

import pytest
import torch

from nirbridge.errors import InputError
from nirbridge.neurons import LMHT, QCFS, Barrier, MultiLevelIF, MultiLevelLIF

NAN = float("nan")
BUILDS = [
    (MultiLevelLIF, {"lanes": 0}, "from 1 to 32"),
    (MultiLevelLIF, {"lanes": 33}, "lanes=33"),
    (MultiLevelLIF, {"lanes": 2.5}, "lanes=2.5"),
    (MultiLevelLIF, {"lanes": True}, "lanes=True"),
    (MultiLevelLIF, {"lanes": "3"}, "lanes='3'"),
    (MultiLevelLIF, {"threshold": 0.0}, "threshold is 0, not above 0"),
    (MultiLevelLIF, {"threshold": -1}, "threshold is -1"),
    (MultiLevelLIF, {"threshold": NAN}, "threshold=nan"),
    (MultiLevelLIF, {"threshold": torch.tensor([1.0, -2.0])}, "threshold is -2"),
    (MultiLevelLIF, {"threshold": torch.tensor([1.0, NAN])}, "not finite"),
    (MultiLevelLIF, {"threshold": torch.ones(0)}, "empty"),
    (MultiLevelLIF, {"decay": -0.1}, "decay is -0.1, below 0"),
    (MultiLevelLIF, {"decay": "slow"}, "decay='slow'"),
    (MultiLevelLIF, {"decay": 1.5, "learn_decay": True}, "above 1"),
    (MultiLevelLIF, {"gain": 0}, "gain is 0"),
    (MultiLevelLIF, {"reset": "zero"}, "unknown reset 'zero'. Use one of 'subtract', 'value'"),
    (MultiLevelLIF, {"boundary": "<"}, "unknown boundary '<'"),
    (MultiLevelLIF, {"surrogate": "atan"}, "unknown surrogate 'atan'"),
    (MultiLevelLIF, {"surrogate": 4.0}, "unknown surrogate 4.0"),
    (MultiLevelLIF, {"surrogate_mode": "single"}, "unknown surrogate_mode"),
    (MultiLevelLIF, {"v_init": float("inf")}, "v_init=inf"),
    (MultiLevelLIF, {"v_reset": 0.5}, "no use with reset='subtract'"),
    (MultiLevelIF, {"levels": 0}, "levels=0"),
    (MultiLevelIF, {"levels": 4, "surrogate_mode": "difference"}, "unknown surrogate_mode"),
    (MultiLevelIF, {"levels": 4, "output": "spike"}, "unknown output"),
    (MultiLevelIF, {"levels": 4, "threshold": 0}, "threshold is 0"),
    (MultiLevelIF, {"levels": 1000, "threshold": 1e-36}, "a level of 1e-39 is below 1.175e-38"),
    (Barrier, {"levels": -1}, "levels=-1"),
    (Barrier, {"levels": 4, "threshold": -0.5}, "threshold is -0.5"),
    (LMHT, {"levels": 2, "steps": 0, "threshold": 1.0}, "steps=0"),
    (LMHT, {"levels": 2, "steps": 2, "threshold": 0.0}, "threshold is 0"),
    (QCFS, {"levels": 0}, "levels=0"),
    (QCFS, {"levels": 4, "scale": -8.0}, "scale is -8"),
]


@pytest.mark.parametrize(("neuron", "arguments", "words"), BUILDS, ids=lambda v: str(v)[:40])
def test_arguments_outside_their_limits(neuron, arguments, words):
    with pytest.raises(InputError) as caught:
        neuron(**arguments)
    line = str(caught.value)
    assert line.startswith(f"{neuron.__name__}: ")
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("neuron", "x", "words"),
    [
        (MultiLevelLIF(), torch.zeros(5), "not real [T, B, ...]"),
        (MultiLevelLIF(), torch.zeros(0, 2, 3), "T >= 1"),
        (MultiLevelLIF(), torch.zeros(2, 2, 3, dtype=torch.complex64), "complex64"),
        (MultiLevelLIF(3, torch.ones(4)), torch.zeros(2, 1, 3), "threshold of shape (4,) does not broadcast"),
        (MultiLevelLIF(3, torch.ones(3, 1, 1)), torch.zeros(2, 1, 3), "does not broadcast"),
        (MultiLevelLIF(3, decay=torch.ones(2)), torch.zeros(2, 1, 1), "decay of shape (2,)"),
        (MultiLevelIF(3, v_init=torch.ones(2)), torch.zeros(2, 1, 3), "v_init of shape (2,)"),
        (LMHT(2, 4, 1.0), torch.zeros(3, 1, 2), "3 steps, the neuron mixes 4"),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit(neuron, x, words):
    with pytest.raises(InputError) as caught:
        neuron(x)
    assert str(caught.value).startswith(f"{type(neuron).__name__}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "build",
    [
        lambda: MultiLevelLIF(3, 0.7, decay=0.9, learn_threshold=True, learn_decay=True),
        lambda: MultiLevelLIF(3, torch.tensor([0.7, 0.9, 1.1]), decay=torch.tensor([0.1, 0.2, 0.3]), v_init=0.3),
        lambda: MultiLevelIF(4, 0.7, learn_threshold=True),
        lambda: Barrier(4),
        lambda: LMHT(2, 5, 0.7),
        lambda: QCFS(4),
    ],
)
def test_weights_copies_and_pickles_carry_the_whole_neuron(build):
    first, x = build(), torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0)) * 2
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.mul_(0.8)
    second = build()
    second.load_state_dict(first.state_dict())
    for other in (second, copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert torch.equal(other(x), first(x))


def test_a_printed_neuron_shows_its_constants():
    text = repr(MultiLevelLIF(3, 0.5, decay=0.9, learn_decay=True))
    assert text == "MultiLevelLIF(S=3, threshold=0.5, decay=0.9, reset='subtract', boundary='>')"
    assert repr(MultiLevelIF(4, torch.ones(2, 1, 1))).startswith("MultiLevelIF(S=4, threshold=(2, 1, 1), decay=1,")
    assert repr(QCFS(4)) == "QCFS(levels=4, scale=8)"
