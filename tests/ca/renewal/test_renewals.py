import dataclasses
import datetime

import pytest
import sqlalchemy
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ca import csr, orders, revocation, tables
from ca.applications import certification, states
from ca.renewal import lineage, renewals, rules, signed_request
from ca.renewal import settings as renewal_settings
from pki import algorithms, audit, certificates, errors, registry, status
from tests.support import ca_world, renewal
from tests.support.hierarchy import make_key

SETTINGS = renewal.SETTINGS
DAY = datetime.timedelta(days=1)


@pytest.fixture
def owner(world: ca_world.World) -> renewal.Owner:
    return renewal.make_owner(world)


@pytest.mark.clause("EN 319 411-1", "6.2.3")
def test_the_old_key_signs_for_the_new_one(owner: renewal.Owner) -> None:
    made = owner.renew(renewal.csr_for())
    old, new = (
        certificates.read(certificates.parse(one))
        for one in (owner.issued.certificate_der, made.issued.certificate_der)
    )
    assert (old.subject, old.policies, old.key_usage) == (new.subject, new.policies, new.key_usage)
    assert new.not_after > old.not_after
    # Both are good until the old one ends.
    assert new.not_before < old.not_after
    with owner.world.sessions() as session:
        found = registry.find(session, owner.serial)
        assert found.status.is_good
        assert lineage.find(session, new.serial_number) == lineage.find(session, owner.serial)
        audit.verify(session)


def test_a_repeated_request_gives_the_same_certificate(owner: renewal.Owner) -> None:
    """Invariant 4: the same request id never yields a second certificate."""
    csr_der = renewal.csr_for()
    first = owner.renew(csr_der)
    # Signed anew, and after the old one has been revoked: the question was answered already.
    with owner.world.sessions() as session:
        revocation.revoke(
            session, owner.serial, status.RevocationReason.superseded, owner.world.at, actor="test"
        )
        session.commit()
    assert owner.renew(csr_der).issued == first.issued
    with pytest.raises(rules.NotRenewableError):
        owner.renew(renewal.csr_for())


@pytest.mark.parametrize(
    ("days", "refusal"),
    [(30.1, rules.TooEarlyError), (30, None), (0, None), (-0.1, rules.ExpiredError)],
)
def test_a_certificate_is_renewed_in_its_last_days_alone(
    owner: renewal.Owner, days: float, refusal: type[errors.ImzaError] | None
) -> None:
    if refusal is None:
        owner.renew(renewal.csr_for(), at=owner.before_end(days))
        return
    with pytest.raises(refusal):
        owner.renew(renewal.csr_for(), at=owner.before_end(days))
    with owner.world.sessions() as session:
        owned = registry.certificates_of(session, person_code="5AB12CD").certificates
    assert len(owned) == 1


def test_a_certificate_on_hold_or_revoked_renews_nothing(owner: renewal.Owner) -> None:
    with owner.world.sessions() as session:
        revocation.hold(session, owner.serial, owner.world.at, actor="test")
        session.commit()
    with pytest.raises(rules.NotRenewableError, match="on hold"):
        owner.renew(renewal.csr_for())
    with owner.world.sessions() as session:
        revocation.revoke(
            session,
            owner.serial,
            status.RevocationReason.keyCompromise,
            owner.world.at,
            actor="test",
        )
        session.commit()
    with pytest.raises(rules.NotRenewableError, match="revoked"):
        owner.renew(renewal.csr_for())


def test_a_new_key_has_no_certificate_yet(owner: renewal.Owner) -> None:
    with pytest.raises(orders.KeyCertifiedError):
        owner.renew(renewal.csr_for(key=owner.key))


def test_who_has_another_name_applies_anew(owner: renewal.Owner) -> None:
    same = owner.certificate.subject
    owner.renew(renewal.csr_for(same))
    married = x509.Name(
        [
            x509.NameAttribute(one.oid, "TEST Həsənova")
            if one.oid == NameOID.SURNAME
            else x509.NameAttribute(one.oid, one.value)
            for one in same
        ]
    )
    with pytest.raises(certification.SubjectChangedError):
        owner.renew(renewal.csr_for(married))


def test_an_application_altered_since_renews_nothing(owner: renewal.Owner) -> None:
    """Invariant 13: no signature without an approval bound to the hash of the request."""
    with owner.world.sessions() as session:
        session.execute(sqlalchemy.update(tables.ApplicationRow).values(given_name="Kimsə"))
        session.commit()
    with pytest.raises(states.ApplicationAlteredError):
        owner.renew(renewal.csr_for())


def test_an_identity_checked_too_long_ago_is_checked_anew(owner: renewal.Owner) -> None:
    short = dataclasses.replace(SETTINGS, identity_validity=365 * DAY)
    with pytest.raises(rules.IdentityOutdatedError):
        owner.renew(renewal.csr_for(), settings=short)


def test_another_key_does_not_renew(owner: renewal.Owner, world: ca_world.World) -> None:
    other = renewal.make_owner(world)
    stolen = dataclasses.replace(other, issued=owner.issued)
    with pytest.raises(errors.InputError):
        stolen.request(renewal.csr_for())
    genuine = owner.request(renewal.csr_for())
    theirs = other.request(renewal.csr_for())
    # The name of one certificate beside the signature of another's key.
    forged = theirs.replace(
        other.certificate.serial_number.to_bytes(20, "big").lstrip(b"\0"),
        owner.certificate.serial_number.to_bytes(20, "big").lstrip(b"\0"),
    )
    for request in (forged, genuine[:-1] + bytes((genuine[-1] ^ 1,))):
        with pytest.raises((signed_request.RenewalSignatureError, errors.InputError)):
            signed_request.parse(request).check(owner.certificate)


def test_a_certificate_that_is_not_ours_is_told_as_a_wrong_signature(
    owner: renewal.Owner,
) -> None:
    issuer = owner.world.hierarchy.named("citizen").certificate
    foreign = signed_request.build(
        renewal.csr_for(),
        issuer,
        owner.world.keys.open_key("ca-citizen").sign,
    )
    with pytest.raises(signed_request.RenewalSignatureError):
        renewals.renew(
            owner.world.sessions, owner.world.hierarchy, SETTINGS, foreign, owner.before_end(1)
        )


def test_only_an_office_answers_for_the_device_of_a_signing_key(world: ca_world.World) -> None:
    signer = renewal.make_owner(world, "sign")
    with pytest.raises(renewals.DeviceUnknownError):
        signer.renew(renewal.csr_for())
    made = signer.renew(renewal.csr_for(), operator="client:station")
    assert made.issued.record.profile == "sign"


def test_what_was_certified_at_a_counter_is_renewed_there_unless_settings_say_else(
    owner: renewal.Owner,
) -> None:
    counter = renewal_settings.Settings()
    with pytest.raises(rules.AttendedOnlyError):
        owner.renew(renewal.csr_for(), settings=counter)
    owner.renew(renewal.csr_for(), settings=counter, operator="client:station")


def test_an_operator_renews_early_and_supersedes_and_an_owner_does_not(
    owner: renewal.Owner,
) -> None:
    early = owner.before_end(500)
    with pytest.raises(rules.TooEarlyError):
        owner.renew(renewal.csr_for(), at=early, early=True)
    with pytest.raises(rules.TooEarlyError):
        owner.renew(renewal.csr_for(), at=early, operator="client:station")
    owner.renew(renewal.csr_for(), supersede=True)
    with owner.world.sessions() as session:
        assert registry.find(session, owner.serial).status.is_good
    csr_der = renewal.csr_for()
    for _ in range(2):
        owner.renew(csr_der, at=early, operator="client:station", early=True, supersede=True)
    with owner.world.sessions() as session:
        found = registry.find(session, owner.serial).status
    assert found.reason is status.RevocationReason.superseded


def test_a_renewed_certificate_is_renewed_in_its_turn(owner: renewal.Owner) -> None:
    key = make_key(algorithms.KeyKind.P256)
    second = renewal.Owner(owner.world, key, owner.renew(renewal.csr_for(key=key)).issued)
    third = second.renew(renewal.csr_for())
    with owner.world.sessions() as session:
        behind = lineage.find(session, third.issued.record.serial_number)
        assert behind == lineage.find(session, owner.serial)


def test_a_request_without_proof_of_possession_is_refused(owner: renewal.Owner) -> None:
    csr_der = renewal.csr_for()
    with pytest.raises((csr.ProofOfPossessionError, csr.CSRError)):
        owner.renew(csr_der[:-1] + bytes((csr_der[-1] ^ 1,)))


_GENUINE = renewal.sample_request()


@given(st.data())
def test_mutated_requests_raise_input_errors_alone(data: st.DataObject) -> None:
    """Invariant 16: any bytes end as an error of the protocol."""
    genuine = bytearray(_GENUINE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(genuine) - 1))
        genuine[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(genuine)))
    for sent in (bytes(genuine), bytes(genuine[:cut])):
        try:
            signed_request.parse(sent)
        except errors.InputError:
            continue
