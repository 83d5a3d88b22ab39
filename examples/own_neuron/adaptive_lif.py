"""A leaky integrate-and-fire neuron whose threshold rises with every spike and sinks again."""

from dataclasses import dataclass

from nirbridge.primitives import BINARY, Array, Fires, Neuron, neuron_spec


@dataclass(eq=False)
class AdaptiveLIF(Neuron):
    """v = decay v + x; θ = v_threshold + beta a; a spike where v > θ; v -= θ s; a = rho a + s."""

    decay: Array
    v_threshold: Array
    beta: Array
    rho: Array


def step(x, v, a, decay, v_threshold, beta, rho):
    """The equations above, for numpy, torch and numba alike."""
    v = decay * v + x
    theta = v_threshold + beta * a
    s = v > theta
    return s, v - theta * s, rho * a + s


def draw(dice, shape):
    """A random one, with parameters of few bits."""
    ranges = ((0, 3, 0.5), (1, 5, 0.5), (0, 3, 0.25), (0, 3, 0.5))
    return AdaptiveLIF(shape, *(dice.parameter(shape, *each) for each in ranges))


REST = Fires(thresholds=lambda node: [node.v_threshold], note="at rest")
SPEC = neuron_spec(
    AdaptiveLIF, step, state=("v", "a"), sends=BINARY, multiplies=3, integers=None, draw=draw, fires=REST
)
