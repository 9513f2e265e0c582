import contextlib
import datetime
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import certificates
from signing_service import revocation_data
from tests.support import hierarchy as hierarchy_support
from tests.support import signing_world

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
WEEK = datetime.timedelta(days=7)


@pytest.fixture
def world(at: datetime.datetime) -> Iterator[signing_world.World]:
    with signing_world.make_world(at) as made:
        yield made


def test_signer_is_asked_for_at_the_responder_and_its_authority_in_a_crl(
    world: signing_world.World,
) -> None:
    holder = world.authorities.signer()

    data = revocation_data.fetch([holder.chain], client=world.client, at=world.clock.now())

    assert len(data.ocsp_responses) == 1
    assert len(data.crls) == 1
    responder = set(data.certificates) - set(holder.chain)
    assert len(responder) == 1
    assert set(holder.chain) < set(data.certificates)


@pytest.mark.clause("RFC 9654", "2.1")
def test_every_fetch_has_another_nonce(world: signing_world.World) -> None:
    holder = world.authorities.signer()
    first, second = (
        revocation_data.fetch([holder.chain], client=world.client, at=world.clock.now())
        for _ in range(2)
    )
    assert first.ocsp_responses != second.ocsp_responses


def test_shared_authorities_are_asked_for_once(world: signing_world.World) -> None:
    one, two = world.authorities.signer(), world.authorities.signer("5AB12CE")
    revocation_data.fetch([one.chain, two.chain], client=world.client, at=world.clock.now())
    assert world.asked == {"ocsp": 2, "crl": 1}


@pytest.mark.parametrize("which", ["signer", "issuing", "unit"])
def test_revoked_certificate_anywhere_in_a_path_is_told(
    world: signing_world.World, which: str
) -> None:
    holder, unit = world.authorities.signer(), world.authorities.time_stamping_unit()
    revoked = {
        "signer": holder.certificate,
        "issuing": world.authorities.issuing.certificate,
        "unit": unit.certificate,
    }[which]
    world.revoked[revoked.serial_number] = world.clock.now()

    with pytest.raises(revocation_data.CertificateRevokedError) as caught:
        revocation_data.fetch([holder.chain, unit.chain], client=world.client, at=world.clock.now())
    assert certificates.serial_text(revoked.serial_number) in caught.value.message


def test_certificate_that_names_no_source_is_refused(world: signing_world.World) -> None:
    silent = hierarchy_support.make_hierarchy(world.clock.now()).signer()
    with pytest.raises(revocation_data.NoStatusSourceError):
        revocation_data.fetch([silent.chain], client=world.client, at=world.clock.now())


AUTHORITIES = hierarchy_support.make_hierarchy(NOW)
CRL = AUTHORITIES.crl(AUTHORITIES.issuing, {5: NOW}, at=NOW)


@pytest.mark.clause("RFC 5280", "6.3.3")
@pytest.mark.parametrize(
    ("issuer", "at"),
    [
        (AUTHORITIES.infrastructure, NOW),
        (AUTHORITIES.issuing, NOW + WEEK),
        (AUTHORITIES.issuing, NOW - datetime.timedelta(hours=1)),
        (hierarchy_support.make_hierarchy(NOW).issuing, NOW),
    ],
)
def test_crl_of_another_issuer_key_or_time_is_refused(
    issuer: hierarchy_support.Holder, at: datetime.datetime
) -> None:
    with pytest.raises(revocation_data.CRLError):
        revocation_data.check_crl(CRL, issuer.certificate, at)


@pytest.mark.clause("RFC 5280", "5.2.4")
def test_delta_crl_is_not_taken_for_a_complete_one() -> None:
    issuing = AUTHORITIES.issuing
    delta = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuing.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + WEEK)
        .add_extension(x509.DeltaCRLIndicator(1), critical=True)
        .sign(issuing.key, hashes.SHA384())
    )
    with pytest.raises(revocation_data.CRLError):
        revocation_data.check_crl(
            delta.public_bytes(serialization.Encoding.DER), issuing.certificate, NOW
        )


@pytest.mark.clause("RFC 5280", "6.3.3")
def test_a_list_of_a_partition_counts_for_the_certificates_that_name_it(
    world: signing_world.World,
) -> None:
    holder, at = world.authorities.signer(), world.clock.now()
    world.scope = f"{world.base_url}/crl/"
    assert len(revocation_data.fetch([holder.chain], client=world.client, at=at).crls) == 1
    # The list of another partition, served under this one's address.
    world.scope = f"{world.base_url}/crl/other-"
    with pytest.raises(revocation_data.CRLError, match="another's"):
        revocation_data.fetch([holder.chain], client=world.client, at=at)


@settings(max_examples=200)
@given(place=st.integers(0, len(CRL) - 1), value=st.integers(0, 255))
def test_mutated_crl_is_refused_and_nothing_else(place: int, value: int) -> None:
    mutated = bytearray(CRL)
    mutated[place] = value
    with contextlib.suppress(revocation_data.CRLError):
        revocation_data.check_crl(bytes(mutated), AUTHORITIES.issuing.certificate, NOW)
        assert mutated == CRL
