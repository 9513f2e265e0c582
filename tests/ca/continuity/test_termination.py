"""What outlives the CA: a folder that says everything, and whose manifest tells its digests."""

import csv
import datetime
import hashlib
import json
import pathlib

import pytest
from cryptography import x509

from ca import hierarchy, revocation
from ca.audit_log import proof
from ca.continuity import closures, termination
from ca.crls import published, schedule
from pki import status
from tests.support import ca_world, crls


def test_the_folder_holds_every_certificate_status_and_the_whole_audit_log(
    world: ca_world.World, tmp_path: pathlib.Path
) -> None:
    good, bad = (world.certify(world.application()) for _ in range(2))
    with world.sessions() as session:
        reason = status.RevocationReason.keyCompromise
        revocation.revoke(session, bad.record.serial_number, reason, world.at, actor="test")
        session.commit()
    out = tmp_path / "out"
    termination.write_records(world.sessions, out, world.at, lambda *_: None)
    listed = x509.load_pem_x509_certificates((out / "certificates.pem").read_bytes())
    assert len(listed) == 9 + 2
    with (out / "certificates.csv").open() as file:
        rows = {int(row["serial_number"], 16): row for row in csv.DictReader(file)}
    assert rows[bad.record.serial_number]["reason"] == "keyCompromise"
    assert rows[good.record.serial_number]["revoked_at"] == ""
    digest = hashlib.sha256(good.certificate_der).hexdigest()
    assert rows[good.record.serial_number]["sha256"] == digest
    assert (out / "root.cer").exists()
    lines = (out / "audit.jsonl").read_bytes().splitlines(keepends=True)
    assert proof.examine(lines, (), lambda *_: world.at).entries > 20
    content = termination.write_manifest(out, {"final": False}, world.at)
    files = json.loads(content)["files"]
    assert set(files) == {one.name for one in out.iterdir()} - {termination.MANIFEST}
    for name, facts in files.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == facts["sha256"]
    with pytest.raises(termination.NotATargetError):
        termination.write_records(world.sessions, out, world.at, lambda *_: None)


def test_an_authority_that_ended_publishes_one_last_crl_and_certifies_nobody(
    world: ca_world.World,
) -> None:
    application = world.application()
    with world.sessions() as session:
        closures.close(
            session, "citizen", status.RevocationReason.cessationOfOperation, world.at, actor="x"
        )
        session.commit()
    schedule.publish_last(
        world.sessions, world.hierarchy.named("citizen"), world.settings, world.at, actor="x"
    )
    with world.sessions() as session:
        last_der = crls.newest_der(session, "citizen")
    assert x509.load_der_x509_crl(last_der).next_update_utc == published.NO_END
    with pytest.raises(closures.AuthorityClosedError):
        world.certify(application)
    later = world.at + datetime.timedelta(days=400)
    due = hierarchy.publish_due_crls(world.sessions, world.hierarchy, later)
    assert "citizen" not in {one.issuer_name for one in due}
