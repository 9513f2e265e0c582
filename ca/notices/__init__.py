"""Telling subscribers of what becomes of their certificates, by e-mail and by SMS."""
