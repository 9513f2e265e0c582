import datetime

import pytest
import sqlalchemy
from sqlalchemy import orm

from pki import database, registry, status
from tests.support import hierarchy as hierarchy_support


@pytest.fixture
def sessions(engine: sqlalchemy.Engine) -> orm.sessionmaker[orm.Session]:
    return database.session_factory(engine)


def _row(serial: int, at: datetime.datetime, **changes: object) -> registry.CertificateRow:
    values: dict[str, object] = {
        "issuer_name": "citizen",
        "serial_number": registry.serial_key(serial),
        "state": registry.CertificateState.ISSUED.value,
        "profile": "sign",
        "request_key": f"request-{serial}",
        "key_sha256": "0" * 64,
        "subject": "CN=TEST",
        "person_identifier": "PNOAZ-5AB12CD",
        "not_before": at,
        "not_after": at + datetime.timedelta(days=1),
        "to_be_signed_der": b"x",
        "certificate_der": b"y",
        "recorded_at": at,
    }
    return registry.CertificateRow(**(values | changes))


def test_a_serial_of_any_size_is_found_for_its_issuer_alone(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    serials = [1, 2**63, 2**128 + 5, 2**159]
    with sessions() as session:
        session.add_all(_row(one, at) for one in serials)
        session.commit()
    with sessions() as session:
        for serial in serials:
            assert registry.status_of(session, "citizen", serial) == status.CertificateStatus()
            assert registry.status_of(session, "business", serial) is None
        for unknown in (0, -1, 3, 2**160, 2**200):
            assert registry.status_of(session, "citizen", unknown) is None
        assert len(registry.statuses_of(session, "citizen", [*serials, 3])) == 4


def test_an_intended_certificate_is_unknown_and_an_abandoned_one_revoked(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    with sessions() as session:
        session.add(_row(1, at, state="intended", certificate_der=None))
        session.add(
            _row(2, at, state="abandoned", revoked_at=at, reason="unspecified", request_key=None)
        )
        session.commit()
    with sessions() as session:
        assert registry.status_of(session, "citizen", 1) is None
        assert registry.status_of(session, "citizen", 2) == status.CertificateStatus(
            at, status.RevocationReason.unspecified
        )
        assert set(registry.revoked(session, "citizen")) == {2}
        assert registry.certificates_of(session).certificates == ()


@pytest.mark.parametrize("second", [{"request_key": "other"}, {"serial_number": "f" * 40}])
def test_neither_a_serial_nor_a_request_is_recorded_twice(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime, second: dict[str, object]
) -> None:
    with sessions() as session:
        session.add(_row(1, at))
        session.commit()
        session.add(_row(1, at, **second))
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            session.commit()


def test_a_list_is_paged_to_its_end(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    with sessions() as session:
        session.add_all(_row(one, at) for one in range(1, 6))
        session.add(_row(9, at, person_identifier="PNOGE-01234567890"))
        session.commit()
    with sessions() as session:
        seen: list[int] = []
        cursor: int | None = 0
        while cursor is not None:
            page = registry.certificates_of(session, person_code="5AB12CD", after=cursor, limit=2)
            seen += [one.serial_number for one in page.certificates]
            cursor = page.next_cursor
        assert seen == [1, 2, 3, 4, 5]
        # A pattern in the number is a number that nobody has, not a pattern.
        assert registry.certificates_of(session, person_code="%").certificates == ()


def test_issuers_are_found_by_the_hashes_of_ocsp(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509 import ocsp as x509_ocsp

    world = hierarchy_support.make_hierarchy(at)
    record = registry.IssuerRecord("issuing", world.issuing.certificate, "root", "ca-issuing")
    with sessions() as session:
        registry.add_issuer(session, record)
        registry.add_issuer(session, record)
        session.commit()
        assert registry.issuers(session) == (record,)
    signer = world.signer().certificate
    for algorithm, name in ((hashes.SHA1(), "sha1"), (hashes.SHA256(), "sha256")):  # noqa: S303
        builder = x509_ocsp.OCSPRequestBuilder()
        request = builder.add_certificate(signer, world.issuing.certificate, algorithm).build()
        assert request.issuer_name_hash == record.name_hash(name)
        assert request.issuer_key_hash == record.key_hash(name)


def test_the_newest_good_certificate_of_a_service_is_current(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    day = datetime.timedelta(days=1)
    with sessions() as session:
        session.add(_row(1, at - day, profile="ocsp-responder", not_after=at + day))
        session.add(_row(2, at, profile="ocsp-responder", not_after=at + 2 * day))
        session.add(
            _row(
                3,
                at,
                profile="ocsp-responder",
                not_after=at + 3 * day,
                revoked_at=at,
                reason="keyCompromise",
            )
        )
        session.commit()
        found = registry.current_certificate(session, "ocsp-responder", at, issuer_name="citizen")
        assert found is not None
        assert found.serial_number == 2
        assert registry.current_certificate(session, "ocsp-responder", at + 5 * day) is None
