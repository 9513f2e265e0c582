"""An older backup is put back: nothing is signed until the signature log was reconciled."""

import dataclasses
import datetime
import os
import pathlib
import signal
import subprocess
import sys

import pytest
import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import revocation
from ca.continuity import closures, compromise, known_signatures, reconciliation
from ca.crls import published
from pki import audit, errors, registry, registry_lock, signature, status
from pki.keystore import signature_log
from tests.support import ca_world, crls, logged_authority


@dataclasses.dataclass(frozen=True)
class PublishedDER:
    number: int
    crl_der: bytes


HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def logged(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime, tmp_path: pathlib.Path
) -> logged_authority.LoggedWorld:
    return logged_authority.make_world(sessions, at, tmp_path)


def _publish(world: logged_authority.LoggedWorld, name: str = "citizen") -> PublishedDER:
    made = crls.publish(world, world.present.now(), name=name)
    with world.sessions() as session:
        return PublishedDER(made.number, published.content(session, made))


def _revoke(world: ca_world.World, serial_number: int) -> None:
    with world.sessions() as session:
        revocation.revoke(
            session, serial_number, status.RevocationReason.keyCompromise, world.at, actor="test",
            invalidity_date=world.at,
        )  # fmt: skip
        session.commit()


def _reconcile(
    world: logged_authority.LoggedWorld, *crl_files: bytes, actor: str = "local:a", **more: object
) -> reconciliation.Reconciled:
    return reconciliation.reconcile(
        world.sessions, world.log_path, crl_files, world.present, actor=actor, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _status(world: ca_world.World, serial_number: int) -> status.CertificateStatus | None:
    with world.sessions() as session:
        return registry.status_of(session, "citizen", serial_number)


def test_invariant_17_after_restoring_an_older_backup_issuance_stays_locked_until_reconciled(
    logged: logged_authority.LoggedWorld, engine: sqlalchemy.Engine
) -> None:
    before = logged.certify(logged.application())
    _publish(logged)
    backup = logged_authority.back_up(engine)
    lost = logged.certify(logged.application())
    _revoke(logged, before.record.serial_number)
    newest = _publish(logged)

    logged_authority.put_back(engine, backup)
    assert _status(logged, lost.record.serial_number) is None
    assert (_status(logged, before.record.serial_number) or status.CertificateStatus()).is_good
    guard = logged.restart()
    signatures = logged.keys.signatures
    application = logged.application()
    # By itself, at the first signature, in whatever is to be signed; and from then on.
    with pytest.raises(registry_lock.RegistryLockedError):
        logged.certify(application)
    with pytest.raises(registry_lock.RegistryLockedError):
        _publish(logged)
    with pytest.raises(registry_lock.RegistryLockedError):
        guard.note()
    logged.restart()
    with pytest.raises(registry_lock.RegistryLockedError):
        logged.certify(application)
    assert logged.keys.signatures == signatures
    with logged.sessions() as session:
        assert registry_lock.state(session).reason == known_signatures.BEHIND

    # Without the CRLs that the world has, revocations would be lost.
    with pytest.raises(reconciliation.RevocationsMissingError, match=f"CRL {newest.number}"):
        _reconcile(logged)
    done = _reconcile(logged, newest.crl_der)
    assert done == reconciliation.Reconciled(1, {"citizen": newest.number}, 1)
    unknown = _status(logged, lost.record.serial_number)
    assert unknown is not None
    assert not unknown.is_good
    again = _status(logged, before.record.serial_number)
    assert again is not None
    assert again.reason is status.RevocationReason.keyCompromise
    assert again.invalidity_date == logged.at

    # It stays locked until somebody else releases it.
    with pytest.raises(registry_lock.RegistryLockedError):
        logged.certify(application)
    at = logged.present.now()
    with pytest.raises(reconciliation.SamePersonError):
        reconciliation.release(logged.sessions, logged.log_path, at, actor="local:a")
    reconciliation.release(logged.sessions, logged.log_path, at, actor="local:b")
    # The numbers that the failed attempts took are spent too.
    assert _publish(logged).number > newest.number
    fresh = logged.certify(application)
    found = _status(logged, fresh.record.serial_number)
    assert found is not None
    assert found.is_good
    logged.restart().note()
    with logged.sessions() as session:
        audit.verify(session)
        listed = x509.load_der_x509_crl(crls.newest_der(session, "citizen"))
    for one in (lost, before):
        entry = listed.get_revoked_certificate_by_serial_number(one.record.serial_number)
        assert entry is not None


def test_a_database_that_is_put_back_under_a_running_process_is_found_at_the_next_signature(
    logged: logged_authority.LoggedWorld, engine: sqlalchemy.Engine
) -> None:
    application = logged.application()
    backup = logged_authority.back_up(engine)
    logged.certify(logged.application())
    logged_authority.put_back(engine, backup)
    signatures = logged.keys.signatures
    with pytest.raises(registry_lock.RegistryLockedError):
        logged.certify(application)
    assert logged.keys.signatures == signatures


def test_nothing_is_signed_that_the_registry_does_not_hold(
    logged: logged_authority.LoggedWorld,
) -> None:
    key = logged.hierarchy.named("citizen").issuer.key
    one = signature.DataToBeSignedRepresentation(
        signature.represent(b"x", key_hash(logged)).hash_algorithm,
        bytes(48),
        signature.SignedObject("certificate", "CN=x", registry.serial_key(5), "0" * 64),
    )
    signatures = logged.keys.signatures
    with pytest.raises(known_signatures.UnknownSignatureError):
        key.sign(one)
    assert logged.keys.signatures == signatures


def key_hash(world: ca_world.World) -> object:
    return world.hierarchy.named("citizen").issuer.key_kind.hash_algorithm


@pytest.mark.parametrize("harm", ["cut", "gone", "edited"])
def test_a_log_that_was_cut_or_replaced_locks_the_registry(
    logged: logged_authority.LoggedWorld, harm: str
) -> None:
    logged.certify(logged.application())
    logged.restart().note()
    lines = logged.log_path.read_bytes().splitlines(keepends=True)
    if harm == "cut":
        logged.log_path.write_bytes(b"".join(lines[:-3]))
    elif harm == "edited":
        logged.log_path.write_bytes(
            b"".join([*lines[:-1], lines[-1].replace(b"signed", b"failed")])
        )
    else:
        logged.log_path.unlink()
    with pytest.raises(
        (registry_lock.RegistryLockedError, signature_log.SignatureLogTamperedError)
    ):
        logged.restart().check_log()
    with pytest.raises(errors.ImzaError):
        logged.certify(logged.application())


def test_a_log_that_was_begun_anew_is_taken_with_two_persons(
    logged: logged_authority.LoggedWorld,
) -> None:
    logged.certify(logged.application())
    logged.restart().note()
    logged.log_path.unlink()
    guard = logged.restart()
    with pytest.raises(registry_lock.RegistryLockedError):
        guard.check_log()
    with pytest.raises(signature_log.SignatureLogTamperedError):
        _reconcile(logged)
    assert _reconcile(logged, new_log=True).certificates == 0
    reconciliation.release(
        logged.sessions, logged.log_path, logged.present.now(), actor="local:b", new_log=True
    )
    logged.restart()
    logged.certify(logged.application())


def test_a_lock_that_nobody_reconciled_is_not_released(
    logged: logged_authority.LoggedWorld,
) -> None:
    at = logged.present.now()
    with pytest.raises(reconciliation.NotLockedError):
        reconciliation.release(logged.sessions, logged.log_path, at, actor="local:b")
    with pytest.raises(reconciliation.NotLockedError):
        _reconcile(logged)
    known_signatures.lock(logged.sessions, "restored", at)
    with pytest.raises(reconciliation.NotReconciledError):
        reconciliation.release(logged.sessions, logged.log_path, at, actor="local:b")


def test_an_intent_of_the_backup_is_abandoned(
    logged: logged_authority.LoggedWorld, engine: sqlalchemy.Engine
) -> None:
    issued = logged.certify(logged.application())
    with logged.sessions() as session:
        row = registry.find_row(session, issued.record.serial_number)
        # The backup was taken while the key was at work.
        row.state = registry.CertificateState.INTENDED.value
        row.certificate_der = row.issued_at = None
        session.commit()
    known_signatures.lock(logged.sessions, "restored", logged.present.now())
    _reconcile(logged)
    found = _status(logged, issued.record.serial_number)
    assert found is not None
    assert not found.is_good


def test_a_foreign_crl_is_refused(
    logged: logged_authority.LoggedWorld, tmp_path: pathlib.Path
) -> None:
    known_signatures.lock(logged.sessions, "restored", logged.present.now())
    with logged.sessions() as session:
        ours = crls.newest_der(session, "citizen")
    for content in (b"", b"\x30\x00", ours[:-3] + b"\0\0\0", ours[:-1]):
        with pytest.raises(errors.InputError):
            _reconcile(logged, content)


KILLED = """
import sys, pathlib, datetime
from ca.continuity import reconciliation
from pki import clock, database, failpoints
failpoints.arm(sys.argv[3])
reconciliation.BATCH = 2
sessions = database.session_factory(database.connect(sys.argv[1]))
reconciliation.reconcile(
    sessions, pathlib.Path(sys.argv[2]), [pathlib.Path(sys.argv[4]).read_bytes()],
    clock.SystemClock(), actor="local:a")
"""


@pytest.mark.parametrize("failpoint", ["reconciliation-batch", "reconciled"])
def test_a_reconciliation_that_was_killed_is_continued_and_stays_locked(
    logged: logged_authority.LoggedWorld,
    engine: sqlalchemy.Engine,
    tmp_path: pathlib.Path,
    failpoint: str,
) -> None:
    application = logged.application()
    backup = logged_authority.back_up(engine)
    lost = [logged.certify(logged.application()) for _ in range(3)]
    newest = _publish(logged)
    (tmp_path / "citizen.crl").write_bytes(newest.crl_der)
    logged_authority.put_back(engine, backup)
    with pytest.raises(registry_lock.RegistryLockedError):
        logged.restart().check_log()
    done = subprocess.run(
        [
            sys.executable, "-c", KILLED, engine.url.render_as_string(hide_password=False),
            str(logged.log_path), failpoint, str(tmp_path / "citizen.crl"),
        ],
        env={**os.environ, "PYTHONPATH": os.getcwd()}, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    logged.restart()
    with pytest.raises(registry_lock.RegistryLockedError):
        logged.certify(application)
    with pytest.raises(reconciliation.NotReconciledError):
        reconciliation.release(
            logged.sessions, logged.log_path, logged.present.now(), actor="local:b"
        )
    _reconcile(logged, newest.crl_der)
    reconciliation.release(logged.sessions, logged.log_path, logged.present.now(), actor="local:b")
    with logged.sessions() as session:
        abandoned = session.scalars(
            sqlalchemy.select(registry.CertificateRow.serial_number).where(
                registry.CertificateRow.state == registry.CertificateState.ABANDONED.value
            )
        ).all()
        audit.verify(session)
    assert sorted(abandoned) == sorted(
        registry.serial_key(one.record.serial_number) for one in lost
    )
    assert _publish(logged).number == newest.number + 1


def test_an_authority_that_the_root_revoked_after_the_backup_stays_closed(
    logged: logged_authority.LoggedWorld, engine: sqlalchemy.Engine
) -> None:
    application = logged.application()
    backup = logged_authority.back_up(engine)
    compromise.handle(logged.sessions, logged.hierarchy, "citizen", logged.present, actor="test")
    with logged.sessions() as session:
        files = [crls.newest_der(session, name) for name in ("root", "citizen")]
    logged_authority.put_back(engine, backup)
    with pytest.raises(registry_lock.RegistryLockedError):
        logged.restart().check_log()
    _reconcile(logged, *files)
    reconciliation.release(logged.sessions, logged.log_path, logged.present.now(), actor="local:b")
    with pytest.raises(closures.AuthorityClosedError):
        logged.certify(application)
