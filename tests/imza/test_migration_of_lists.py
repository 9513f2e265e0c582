"""Revision 0012 takes lists and entries along."""

import datetime

import pytest
import sqlalchemy
from alembic import command
from cryptography import x509

from ca import authority
from ca.crls import addresses, entries, frame, published
from imza import schema
from pki import database, registry, status
from tests.support import ca_world

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
HELD, REVOKED, GOOD = 0x7F01, 0xFF02, 0x7F03


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A signed list of the citizens' authority with two entries."""
    folder = tmp_path_factory.mktemp("other")
    engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    world = ca_world.make_world(database.session_factory(engine), AT)
    issuing = world.hierarchy.authorities["citizen"]
    header = frame.Header(4, None, AT, AT + datetime.timedelta(days=2), None, None)
    entry = entries.encode(HELD, AT, 6) + entries.encode(REVOKED, AT, 0)
    made = frame.join(frame.build(issuing, header), entries.JoinedEntries((entry,), 2, ()))
    tail = authority.sign_tail(
        frame.build(issuing, header), issuing.issuer.key, made.represent(issuing.issuer)
    )
    return {"to_be_signed": b"".join(made.pieces), "whole": frame.whole(made, tail)}


def test_lists_and_entries_of_the_revision_before_are_carried_over(
    empty_engine: sqlalchemy.Engine, lists: dict[str, bytes]
) -> None:
    with empty_engine.begin() as connection:
        command.upgrade(schema._configure(connection), "0011")
        _fill(connection, lists)
    schema.upgrade(empty_engine)
    assert schema.differences(empty_engine) == []
    sessions = database.session_factory(empty_engine)
    scope = addresses.Scope("citizen")
    with sessions() as session:
        newest = published.newest(session, scope)
        assert published.content(session, newest) == lists["whole"]
        assert (newest.number, newest.entries, newest.covers) == (4, 2, None)
        # The number that was taken and never signed stays taken.
        first = session.scalars(published.rows_of(scope).limit(1)).one()
        assert (first.number, first.tail_der) == (5, None)
        joined = entries.read(session, scope)
        assert joined.count == 2
        assert list(entries.differences(session, "citizen")) == []
        row = registry.find_row(session, GOOD)
        assert row.crl_partition == 0
    parsed = x509.load_der_x509_crl(lists["whole"])
    held = parsed.get_revoked_certificate_by_serial_number(HELD)
    assert held is not None
    assert held.extensions.get_extension_for_class(x509.CRLReason).value.reason is (
        x509.ReasonFlags.certificate_hold
    )


def _fill(connection: sqlalchemy.Connection, lists: dict[str, bytes]) -> None:
    meta = sqlalchemy.MetaData()
    certificates = sqlalchemy.Table("certificates", meta, autoload_with=connection)
    crls = sqlalchemy.Table("crls", meta, autoload_with=connection)
    at = AT if connection.dialect.name == "postgresql" else AT.replace(tzinfo=None)
    for serial, reason in (
        (HELD, status.RevocationReason.certificateHold.name),
        (REVOKED, None),
        (GOOD, None),
    ):
        connection.execute(
            certificates.insert().values(
                issuer_name="citizen",
                serial_number=registry.serial_key(serial),
                state="issued",
                profile="sign",
                key_sha256="0" * 64,
                subject="CN=TEST",
                not_before=at,
                not_after=at,
                to_be_signed_der=b"",
                recorded_at=at,
                revoked_at=None if serial == GOOD else at,
                reason=reason,
            )
        )
    for number, whole in ((4, lists["whole"]), (5, None)):
        connection.execute(
            crls.insert().values(
                issuer_name="citizen",
                number=number,
                this_update=at,
                next_update=at + datetime.timedelta(days=2),
                to_be_signed_sha256="0" * 64,
                to_be_signed_der=lists["to_be_signed"],
                crl_der=whole,
            )
        )
