import datetime

import hypothesis
import pytest
import sqlalchemy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st

from ca import authority
from ca.crls import entries, tables
from pki import der, status

KEY = ec.generate_private_key(ec.SECP256R1())
AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
TIMES = st.integers(-630_000_000, 3_700_000_000).map(
    lambda seconds: (
        datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    )
)
"""From 1950 to 2087: both forms of time."""


@pytest.mark.clause("RFC 5280", "5.3.1")
@hypothesis.given(
    st.integers(1, 2**159 - 1), TIMES, st.sampled_from(status.RevocationReason), st.none() | TIMES
)
def test_an_entry_is_byte_for_byte_the_one_that_the_library_builds(
    serial_number: int,
    revoked_at: datetime.datetime,
    reason: status.RevocationReason,
    invalidity_date: datetime.datetime | None,
) -> None:
    builder = (
        x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(revoked_at)
    )
    if reason.value:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason.name)), False)
    if invalidity_date is not None:
        builder = builder.add_extension(x509.InvalidityDate(invalidity_date), False)
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([]))
        .last_update(AT)
        .next_update(AT + datetime.timedelta(days=1))
        .add_revoked_certificate(builder.build())
        .sign(KEY, hashes.SHA256())
    )
    to_be_signed = authority.to_be_signed(crl.public_bytes(serialization.Encoding.DER))
    listed = der.read(to_be_signed).children()[5]
    made = entries.encode(serial_number, revoked_at, reason.value, invalidity_date)
    assert made == listed.content


@pytest.mark.parametrize("serial_number", [0, -1, 2**159])
def test_a_number_that_no_certificate_can_have_is_refused(serial_number: int) -> None:
    with pytest.raises(entries.EntryRefusedError):
        entries.encode(serial_number, AT, 0)


def test_an_entry_that_was_edited_removed_or_planted_in_the_database_is_found(office) -> None:
    office.issue(*range(1, 6))
    for one in range(1, 4):
        office.revoke(one)
    with office.sessions() as session:
        assert list(entries.differences(session, "citizen")) == []
        rows = session.scalars(
            sqlalchemy.select(tables.CRLEntryRow).order_by(tables.CRLEntryRow.certificate_id)
        ).all()
        rows[0].entry_der = entries.encode(1, AT, 5)
        session.delete(rows[1])
        session.add(
            tables.CRLEntryRow(
                certificate_id=rows[2].certificate_id + 1,
                issuer_name="citizen",
                partition=0,
                change=1,
                removed=False,
                entry_der=entries.encode(4, AT, 1),
            )
        )
        session.commit()
        assert sorted(entries.differences(session, "citizen")) == [1, 2, 4]
