"""What Alembic runs for each command; the connection is handed in by `imza.schema`."""

from alembic import context

from imza import schema
from pki import database

schema.import_tables()
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=database.Base.metadata,
    # SQLite changes a table by copying it; creating one needs no copy.
    render_as_batch=bool(context.config.attributes.get("copy_tables", True)),
    user_module_prefix="database.",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
