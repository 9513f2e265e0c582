"""What Alembic runs for each command; the connection is handed in by `imza.schema`."""

from alembic import context

from imza import schema
from pki import database

schema.import_tables()
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=database.Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
