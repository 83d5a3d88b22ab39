"""Every neuron as a Norse module over time: the primitive's own step, or on the CPU a compiled pass over all steps."""
