"""Settings in, ready objects out: the only place that picks implementations."""
