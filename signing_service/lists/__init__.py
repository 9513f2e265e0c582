"""Trusted lists: read, followed to other lists, and turned into anchors and services."""
