"""Authentic sources: what the state knows of people, organisations and who may act for them."""
