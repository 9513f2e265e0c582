import datetime

import pytest

from ca import hierarchy, peer_lint
from ca.enrolment import signer
from pki import certificates, oids, profiles, registry
from tests.support import ca_world


def _open(world: ca_world.World, after: datetime.timedelta) -> signer.CurrentSigner:
    return signer.CurrentSigner(world.sessions, world.keys, world.hierarchy, world.at + after)


def test_the_signer_is_certified_once_and_renewed_before_its_end(world: ca_world.World) -> None:
    first = _open(world, datetime.timedelta())
    assert _open(world, datetime.timedelta(days=1)).present.chain == first.present.chain
    before = first.present
    first.renew(world.at + profiles.CMP_SIGNER_VALIDITY - signer.RENEWAL)
    assert first.present.chain != before.chain
    assert first.present.key.public_key == before.key.public_key


@pytest.mark.clause("RFC 9810", "4.5")
def test_the_signers_certificate_is_for_that_alone(world: ca_world.World) -> None:
    present = _open(world, datetime.timedelta()).present
    facts = certificates.read(certificates.parse(present.chain[0]))
    assert facts.key_usage == {certificates.KeyUsage.digitalSignature}
    assert facts.extended_key_usage == (oids.CMC_CA,)
    assert "Infrastructure CA" in facts.issuer
    assert peer_lint.certificate_findings(present.chain[0], "") == ()
    with world.sessions() as session:
        record = registry.find_issued(session, present.chain[0])
    assert record is not None
    assert record.key_label == hierarchy.CMP_SIGNER
