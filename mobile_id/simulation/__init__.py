"""Simulated people and phones: what stands in for handsets, SIMs and the operator's network."""
