"""Everything stored is examined; each kind of damage, done in the database itself, is found."""

import dataclasses
import datetime
import pathlib

import pytest
import sqlalchemy
from sqlalchemy import orm

from ca import revocation
from ca.applications import certification
from ca.examination import certificates, run
from ca.examination.findings import Report, Severity
from pki import audit, registry, status
from tests.support import ca_world, crls, logged_authority

DAY = datetime.timedelta(days=1)
FULL = certificates.Depth(1)


@pytest.fixture
def stored(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime, tmp_path: pathlib.Path
) -> logged_authority.LoggedWorld:
    """A CA with four certificates, one of them revoked, and fresh CRLs."""
    world = logged_authority.make_world(sessions, at, tmp_path)
    for _ in range(3):
        world.certify(world.application())
    bad = world.certify(world.application())
    with sessions() as session:
        reason = status.RevocationReason.keyCompromise
        revocation.revoke(session, bad.record.serial_number, reason, at, actor="test")
        session.commit()
    crls.publish(world, at)
    return world


def _examine(
    world: logged_authority.LoggedWorld, depth: certificates.Depth = run.SAMPLED
) -> Report:
    return run.Examiner(world.sessions, world.settings, world.log_path, depth).examine(world.at)


def _found(report: Report) -> set[str]:
    return {one.check for one in report.findings}


def test_invariant_18_everything_that_is_stored_is_in_order(
    stored: logged_authority.LoggedWorld,
) -> None:
    report = _examine(stored, FULL)
    assert report.findings == []
    # The hierarchy's own certificates too: root, four CAs, three responders, a unit.
    assert report.examined["certificates"] == 4 + 9
    assert report.examined["CRLs"] == 5 + 1
    assert report.examined["audit entries"] > 20
    assert report.examined["signature log lines"] > 20


def test_a_key_in_a_file_is_in_order_without_a_device(stored: logged_authority.LoggedWorld) -> None:
    assert stored.settings.secure_device
    certification.certify_application(
        stored.sessions, stored.hierarchy, stored.application(), "sign", ca_world.make_csr(),
        stored.at, actor="test", software_key=True,
    )  # fmt: skip
    assert _examine(stored, FULL).findings == []


def test_a_claimed_device_is_told_where_none_is_claimed(
    stored: logged_authority.LoggedWorld,
) -> None:
    stored.settings = dataclasses.replace(stored.settings, test=False, policy_arc="1.2.3")
    messages = " ".join(one.message for one in _examine(stored, FULL).findings)
    assert "qualified-device: expected QcSSCD to be absent" in messages


def _damage(engine: sqlalchemy.Engine, statement: str) -> None:
    for token, meaning in MEANING.items():
        statement = statement.replace(token, meaning)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(statement))


PERSON = "profile = 'sign' AND revoked_at IS NULL"
MEANING = {
    "$ONE": f"id = (SELECT min(id) FROM certificates WHERE {PERSON})",  # noqa: S608
    "$OTHER": f"id = (SELECT max(id) FROM certificates WHERE {PERSON})",  # noqa: S608
    "$SERIAL": registry.serial_key(5),
    "$DIGEST": "1".zfill(64),
}


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("UPDATE certificates SET serial_number = '$SERIAL' WHERE $ONE", "certificate-serial"),
        ("UPDATE certificates SET to_be_signed_der = certificate_der WHERE $ONE",
         "certificate-digest"),
        ("UPDATE certificates SET certificate_der = to_be_signed_der WHERE $ONE",
         "certificate-readable"),
        ("UPDATE certificates SET certificate_der = NULL WHERE $ONE", "certificate-state"),
        ("UPDATE certificates SET certificate_der = (SELECT certificate_der FROM certificates"
         " WHERE $OTHER) WHERE $ONE", "certificate-serial"),
        ("UPDATE certificates SET not_after = recorded_at WHERE $ONE", "certificate-validity"),
        ("UPDATE certificates SET subject = 'CN=x' WHERE $ONE", "certificate-subject"),
        ("UPDATE certificates SET person_identifier = 'PNOAZ-1' WHERE $ONE",
         "certificate-subject"),
        ("UPDATE certificates SET key_sha256 = '$DIGEST' WHERE $ONE", "certificate-key"),
        ("UPDATE certificates SET profile = 'authenticate' WHERE $ONE", "certificate-lint"),
        ("UPDATE certificates SET profile = 'nothing' WHERE $ONE", "certificate-profile"),
        ("UPDATE certificates SET issuer_name = 'business' WHERE $ONE", "certificate-signature"),
        ("UPDATE certificates SET issuer_name = 'nobody' WHERE $ONE", "certificate-issuer"),
        ("UPDATE certificates SET state = 'lost' WHERE $ONE", "certificate-state"),
        ("UPDATE certificates SET state = 'abandoned' WHERE $ONE", "certificate-state"),
        ("UPDATE certificates SET state = 'intended', recorded_at = '2001-01-01 00:00:00'"
         " WHERE $ONE", "certificate-intent"),
        ("UPDATE certificates SET reason = 'superseded' WHERE $ONE", "certificate-revocation"),
        ("UPDATE certificates SET reason = 'whim' WHERE revoked_at IS NOT NULL",
         "certificate-revocation"),
        ("UPDATE certificates SET key_sha256 = (SELECT key_sha256 FROM certificates WHERE"
         " profile = 'root') WHERE $ONE", "key-unique"),
        ("DELETE FROM certificates WHERE $ONE", "signature-log"),
        ("UPDATE certificates SET revoked_at = NULL, reason = NULL WHERE reason = 'keyCompromise'",
         "crl-agreement"),
        ("UPDATE certificates SET revoked_at = '2001-01-01 00:00:00' WHERE reason IS NOT NULL",
         "crl-agreement"),
        ("UPDATE crls SET to_be_signed_sha256 = '' WHERE issuer_name = 'citizen'", "crl-digest"),
        ("UPDATE crls SET next_update = '2001-01-01 00:00:00' WHERE issuer_name = 'root'",
         "crl-stale"),
        ("UPDATE crls SET this_update = '2001-01-01 00:00:00' WHERE issuer_name = 'citizen'"
         " AND number = 2", "crl-order"),
        ("DELETE FROM crls WHERE issuer_name = 'business'", "crl-newest"),
        ("UPDATE crls SET sha256 = '' WHERE issuer_name = 'business'", "crl-digest"),
        ("DELETE FROM crl_entries", "crl-entry"),
        ("UPDATE crl_entries SET entry_der = ''", "crl-entry"),
        ("UPDATE certificates SET state = 'abandoned' WHERE key_label = 'ocsp-official'",
         "responder"),
        ("UPDATE certificates SET state = 'abandoned' WHERE key_label = 'tsu-1'",
         "time-stamping-unit"),
        ("UPDATE audit_entries SET actor = 'nobody' WHERE number = 3", "audit-chain"),
        ("DELETE FROM audit_entries WHERE number = 5", "audit-chain"),
        ("UPDATE audit_head SET hash = 'x'", "audit-chain"),
    ],
)  # fmt: skip
def test_damage_to_a_row_is_found(
    stored: logged_authority.LoggedWorld,
    engine: sqlalchemy.Engine,
    damage: str,
    check: str,
) -> None:
    _damage(engine, damage)
    assert check in _found(_examine(stored))


def test_a_signature_log_that_was_edited_is_found(stored: logged_authority.LoggedWorld) -> None:
    content = stored.log_path.read_bytes()
    stored.log_path.write_bytes(content.replace(b'"signed"', b'"failed"', 1))
    assert "signature-log" in _found(_examine(stored))
    stored.log_path.write_bytes(content)
    assert _examine(stored).findings == []


def test_settings_that_are_allowed_and_wrong_are_told(
    stored: logged_authority.LoggedWorld,
) -> None:
    stored.settings = dataclasses.replace(
        stored.settings, crl_validity=datetime.timedelta(minutes=40)
    )
    report = _examine(stored)
    assert (report.total(Severity.ERROR), report.total(Severity.WARNING)) == (0, 1)


def test_what_was_found_is_in_the_audit_log_and_a_note(
    stored: logged_authority.LoggedWorld, engine: sqlalchemy.Engine
) -> None:
    notes = run.LastExamination(stored.sessions)
    assert dict(notes) == {"examination": "none yet: imza ca check"}
    _damage(engine, "UPDATE certificates SET subject = 'CN=x' WHERE $ONE")
    examiner = run.Examiner(stored.sessions, stored.settings, stored.log_path)
    report = examiner.examine_and_record(stored.at, actor="worker")
    assert report.total(Severity.ERROR) == 1
    assert '"checks":"certificate-subject"' in notes["examination"]
    with stored.sessions() as session:
        audit.verify(session)
        newest = audit.entries(session, after=audit.head(session).number - 1, limit=1)[0]
    assert newest.event == audit.AuditEvent.REGISTRY_EXAMINED.value


def test_findings_without_number_stay_few(
    stored: logged_authority.LoggedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ca.examination import findings

    monkeypatch.setattr(findings, "MAX_KEPT", 2)
    with stored.sessions() as session:
        session.execute(sqlalchemy.update(registry.CertificateRow).values(subject="CN=x"))
        session.commit()
    report = _examine(stored)
    assert report.total(Severity.ERROR) == 13
    assert len(report.findings) == 2
