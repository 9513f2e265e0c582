"""Subscribers besides their certificates: how to reach them, and how they revoke by password."""
