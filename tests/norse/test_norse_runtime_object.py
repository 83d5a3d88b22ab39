"""The runtime object: cheap, honest about what it needs, strict about options."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from types import SimpleNamespace

import nir
import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.errors import InputError, RuntimeUnavailableError, UnsupportedError
from nirbridge.runtime import Runtime, make_plan
from nirbridge_norse import RUNTIME, convolution, runtime
from nirbridge_norse.lowering import LOWERING
from nirbridge_norse.setting import make_setting
from tests.norse.norse_graphs import chain, core_neurons, dyadic, outputs, uniform

GRAPH = chain((3, 4, 5), core_neurons()["IF"])
NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")


def test_keeps_the_protocol():
    assert isinstance(RUNTIME, Runtime)
    assert RUNTIME.name == "norse"
    assert RUNTIME.precisions == ("float", "fixed")
    assert RUNTIME.options == {"device", "dtype", "exact", "sparse"}


def test_supported_is_what_the_table_holds():
    assert RUNTIME.supported == LOWERING.kinds


def test_runs_whatever_the_reference_runs():
    from nirbridge_reference import RUNTIME as REFERENCE

    assert RUNTIME.supported == REFERENCE.supported


def test_looking_at_it_loads_neither_torch_nor_norse_nor_numba():
    code = (
        "import sys; from nirbridge_norse import RUNTIME; assert RUNTIME.availability().usable; RUNTIME.supported;"
        "print([name for name in ('torch', 'norse', 'numba') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_availability_gives_norses_version():
    state = RUNTIME.availability()
    assert state.usable
    assert state.version == version("norse")


@pytest.mark.parametrize(
    ("absent", "reason"),
    [
        ({"norse"}, "norse is not installed"),
        ({"torch"}, "torch is not installed"),
        ({"torch", "norse"}, "torch and norse are not installed"),
    ],
)
def test_says_what_to_install(monkeypatch, absent, reason):
    monkeypatch.setattr(runtime, "find_spec", lambda name: None if name in absent else object())
    state = RUNTIME.availability()
    assert not state.usable
    assert state.reason == reason
    packages = {"torch": "'torch>=2.8'", "norse": "'norse>=1.1'"}
    assert state.install == f"Run: pip install {' '.join(packages[name] for name in packages if name in absent)}"
    with pytest.raises(RuntimeUnavailableError, match=r"runtime 'norse': .*not installed\. Run: pip install"):
        nirbridge.compile(GRAPH, "norse")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "double", None, 32])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(InputError, match="option 'dtype': .* is not among 'float32', 'float64'"):
        nirbridge.compile(GRAPH, "norse", dtype=dtype)


def test_exact_is_yes_or_no():
    with pytest.raises(InputError, match="option 'exact': 'no' is not among True, False"):
        nirbridge.compile(GRAPH, "norse", exact="no")


def test_convolutions_that_need_not_be_exact_are_left_to_cudnn(monkeypatch):
    """Of a card that is not there; on the CPU the option changes nothing."""
    graph = chain((4, 6, 6), nir.Conv2d(None, dyadic(1, (3, 4, 3, 3)), 1, 1, 1, 1, dyadic(2, (3,))))
    x, products = dyadic(3, (5, 2, 4, 6, 6)), []
    np.testing.assert_array_equal(outputs(graph, x, exact=False), outputs(graph, x))
    monkeypatch.setattr(convolution, "as_product", lambda *how: products.append(how) or torch.nn.Identity())
    planned, cpu = make_plan(graph)["n0"], make_setting(1e-3)
    for exact in (True, False):
        card = SimpleNamespace(device=torch.device("cuda"), exact=exact, tensor=cpu.tensor, dtype=cpu.dtype)
        convolution.convolution(planned, card)
    assert len(products) == 1


@pytest.mark.parametrize("device", ["mps", "gpu", "meta", "", "cuda:x", None])
def test_other_devices_are_refused(device):
    with pytest.raises(InputError, match="option 'device': .* is not among 'cpu', 'cuda', 'cuda:0'"):
        nirbridge.compile(GRAPH, "norse", device=device)


@NO_CUDA
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_absent_cuda_is_said(device):
    with pytest.raises(InputError, match=f"option 'device': '{device}' asked for, but torch finds 0 CUDA devices"):
        nirbridge.compile(GRAPH, "norse", device=device)


def test_other_options_and_precisions_are_refused():
    with pytest.raises(UnsupportedError, match="option 'threads' is unknown"):
        nirbridge.compile(GRAPH, "norse", threads=2)
    with pytest.raises(UnsupportedError, match="precision 'double' is not among float, fixed"):
        nirbridge.compile(GRAPH, "norse", precision="double")


def test_closed_program_is_refused():
    program = nirbridge.compile(GRAPH, "norse")
    program.close()
    with pytest.raises(UnsupportedError, match="closed"):
        program.run(np.zeros((1, 1, 3, 4, 5)))


@CUDA
@pytest.mark.parametrize("name", sorted(core_neurons()))
def test_cuda_gives_the_bits_of_the_cpu(name):
    graph = chain((3, 4, 5), core_neurons()[name])
    x = dyadic(1, (9, 2, 3, 4, 5))
    for dtype in ("float32", "float64"):
        np.testing.assert_array_equal(outputs(graph, x, device="cuda", dtype=dtype), outputs(graph, x, dtype=dtype))


@CUDA
def test_convolutions_of_cudnn_are_close():
    graph = chain((4, 16, 16), nir.Conv2d(None, dyadic(1, (32, 4, 3, 3)), 1, 1, 1, 1, dyadic(2, (32,))))
    x = uniform(3, (5, 2, 4, 16, 16))
    found, expected = outputs(graph, x, device="cuda", exact=False), outputs(graph, x, "reference")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@CUDA
def test_convolutions_on_cuda_are_exact():
    graph = chain((4, 16, 16), nir.Conv2d(None, dyadic(1, (32, 4, 3, 3)), 1, 1, 1, 1, dyadic(2, (32,))))
    x = dyadic(3, (5, 2, 4, 16, 16))
    np.testing.assert_array_equal(outputs(graph, x, device="cuda"), outputs(graph, x, "reference"))
