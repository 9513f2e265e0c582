"""Factories and assertions that several tests share."""
