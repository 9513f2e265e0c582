"""The shared kernel: what at least two of the other packages need."""
