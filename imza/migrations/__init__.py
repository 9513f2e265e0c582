"""The migration history of every table (Alembic)."""
