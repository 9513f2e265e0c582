"""The responder's own view of the registry: in memory, followed, never older than allowed."""
