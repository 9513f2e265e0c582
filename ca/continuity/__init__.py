"""Bad days and last days: rollover, compromise, backup and restore, termination."""
