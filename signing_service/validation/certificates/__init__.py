"""Certificates: their paths, status, uses, and whether they are qualified."""
