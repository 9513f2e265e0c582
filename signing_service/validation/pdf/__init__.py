"""Signatures of a PDF: its structure, what was changed after signing, how its pages look."""
