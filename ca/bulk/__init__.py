"""Many certificates at a time, for whoever personalises cards by the hundred."""
