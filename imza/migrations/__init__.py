"""The migration history of every table (Alembic)."""

import pathlib


def newest_revision() -> str:
    """The revision of the tables that this version knows, as its file is named."""
    folder = pathlib.Path(__file__).parent / "versions"
    return max(one.name.partition("_")[0] for one in folder.glob("[0-9]*_*.py"))
