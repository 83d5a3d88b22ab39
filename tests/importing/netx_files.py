"""Files in the layout of lava-dl's export, and what Loihi computes of them, in plain numpy."""

from __future__ import annotations

import h5py
import numpy as np

LIMIT = 2**23 - 1


def neuron(i_decay, v_decay, threshold, **more):
    """A neuron's group, as ``device_params`` of lava-dl's CUBA neuron."""
    fields = {"type": b"CUBA", "iDecay": i_decay, "vDecay": v_decay, "vThMant": threshold, "refDelay": 1}
    return {**fields, "gradedSpike": False, **more}


def write(path, *layers):
    """Each layer's dictionary as a group of ``layer``, by its number."""
    with h5py.File(path, "w") as file:
        for number, layer in enumerate(layers):
            group = file.create_group(f"layer/{number}")
            group.create_dataset("type", (1,), "S10", [layer["type"].encode()])
            for name, value in layer.items():
                if name == "neuron":
                    for key, item in value.items():
                        group.create_dataset(f"neuron/{key}", data=item)
                elif name != "type":
                    group.create_dataset(name, data=value)
    return path


class Cuba:
    """Loihi's neuron over time: (spikes, v) of a current for the synapse and a bias, both shifted by 6 bits."""

    def __init__(self, fields):
        self.fields, self.u, self.v = fields, 0, 0

    def step(self, x, bias=0):
        self.u = np.clip(lose(self.u, self.fields["iDecay"]) + 64 * x, -LIMIT, LIMIT)
        self.v = np.clip(lose(self.v, self.fields["vDecay"]) + self.u + 64 * bias, -LIMIT, LIMIT)
        spikes = (self.v > 64 * self.fields["vThMant"]).astype(np.int64)
        self.v = np.where(spikes > 0, 0, self.v)
        return spikes


def lose(state, decay):
    product = np.abs(state) * (4096 - decay)
    return np.sign(state) * (product >> 12)


def correlate(x, weight, stride, padding, dilation, groups):
    """A convolution of (C, H, W) as torch means it, one output value after the other."""
    x = np.pad(x, ((0, 0), *((p, p) for p in padding)))
    out, per, *kernel = weight.shape
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [(n - r) // s + 1 for n, r, s in zip(x.shape[1:], reach, stride, strict=True)]
    y = np.zeros((out, *size), np.int64)
    for o in range(out):
        first = o // (out // groups) * per
        for i, j in np.ndindex(*size):
            top, left = i * stride[0], j * stride[1]
            rows, columns = slice(top, top + reach[0], dilation[0]), slice(left, left + reach[1], dilation[1])
            y[o, i, j] = (x[first : first + per, rows, columns] * weight[o]).sum()
    return y
