"""Validation of signatures (EN 319 102-1)."""
