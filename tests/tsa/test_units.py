"""Two units side by side: the request's policy says which of them signs."""

import datetime
import multiprocessing

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki import algorithms, errors
from tests.support import hierarchy as hierarchy_support
from tests.tsa.conftest import IMPRINT
from tsa import authority, client, messages, signed_token

P256_POLICY = "1.3.6.1.4.1.99999.7"
RSA_POLICY = "1.3.6.1.4.1.99999.9"


def _unit(
    hierarchy: hierarchy_support.Hierarchy, kind: algorithms.KeyKind
) -> authority.TimeStampingUnit:
    holder = hierarchy.time_stamping_unit(kind)
    return authority.TimeStampingUnit(holder.certificate, holder.handle, holder.issuers[:-1])


@pytest.fixture
def issuing(hierarchy: hierarchy_support.Hierarchy) -> authority.TimeStampAuthority:
    return authority.TimeStampAuthority(
        _unit(hierarchy, algorithms.KeyKind.P256),
        (P256_POLICY,),
        beside=[authority.UnitLine(_unit(hierarchy, algorithms.KeyKind.RSA3072), (RSA_POLICY,))],
    )


def _ask(
    issuing: authority.TimeStampAuthority, at: datetime.datetime, policy: str | None
) -> signed_token.TimeStampToken:
    request = messages.TimeStampRequest(IMPRINT, policy, nonce=5, cert_req=True)
    response_der = authority.respond(messages.build_request(request), issuing, lambda: at)
    return client.check_response(response_der, request, at)


@pytest.mark.clause("RFC 3161", "2.4.1")
@pytest.mark.parametrize(
    ("policy", "named", "key"),
    [
        (None, P256_POLICY, ec.EllipticCurvePublicKey),
        (P256_POLICY, P256_POLICY, ec.EllipticCurvePublicKey),
        (RSA_POLICY, RSA_POLICY, rsa.RSAPublicKey),
    ],
)
def test_the_policy_asked_for_chooses_the_unit(
    issuing: authority.TimeStampAuthority,
    at: datetime.datetime,
    policy: str | None,
    named: str,
    key: type,
) -> None:
    # The second time what was made for the first token of the second is used again.
    for _ in range(2):
        token = _ask(issuing, at, policy)
        assert token.info.policy == named
        signer = signed_token.find_signer_certificate(token)
        assert isinstance(signer.public_key(), key)


@pytest.mark.clause("RFC 3161", "2.4.2")
def test_a_policy_that_no_unit_has_is_unaccepted(
    issuing: authority.TimeStampAuthority, at: datetime.datetime
) -> None:
    request_der = messages.build_request(messages.TimeStampRequest(IMPRINT, "1.2.3.4"))
    for _ in range(2):
        response = messages.parse_response(authority.respond(request_der, issuing, lambda: at))
        assert response.failures == {messages.PKIFailureInfo.unacceptedPolicy}
        assert _ask(issuing, at, None).info.policy == P256_POLICY


def test_one_policy_at_two_units_is_refused(
    hierarchy: hierarchy_support.Hierarchy, issuing: authority.TimeStampAuthority
) -> None:
    with pytest.raises(errors.InputError, match="one unit alone"):
        authority.TimeStampAuthority(
            issuing.unit, (P256_POLICY,), beside=[authority.UnitLine(issuing.unit, (P256_POLICY,))]
        )
    with pytest.raises(errors.InputError, match="at least one"):
        authority.UnitLine(issuing.unit, ())


def test_each_unit_has_successors_of_its_own(
    hierarchy: hierarchy_support.Hierarchy, at: datetime.datetime
) -> None:
    takeover = at + datetime.timedelta(seconds=1)
    first = [_unit(hierarchy, kind) for kind in (algorithms.KeyKind.P256, algorithms.KeyKind.P384)]
    second = _unit(hierarchy, algorithms.KeyKind.P384)
    issuing = authority.TimeStampAuthority(
        first[0],
        (P256_POLICY,),
        beside=[authority.UnitLine(first[1], (RSA_POLICY,), ((takeover, second),))],
    )
    signers = [
        signed_token.find_signer_certificate(_ask(issuing, moment, policy))
        for moment in (at, takeover)
        for policy in (P256_POLICY, RSA_POLICY)
    ]
    expected = (first[0], first[1], first[0], second)
    assert signers == [one.certificate for one in expected]
    assert [unit for unit, _ in issuing.units] == [first[0], second]


@pytest.mark.clause("RFC 3161", "2.4.2")
def test_invariant_9_workers_beside_each_other_never_repeat_a_serial_number(
    issuing: authority.TimeStampAuthority, at: datetime.datetime
) -> None:
    """Forked as the service forks them, from one state, with a clock that stands still."""
    _ask(issuing, at, None)
    forking = multiprocessing.get_context("fork")
    with forking.Manager() as manager:
        found = manager.list()
        workers = [
            forking.Process(target=_stamp_often, args=(issuing, at, found)) for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 0
        numbers = [number for batch in found for number in batch]
    assert len(numbers) == len(set(numbers)) == 4 * 300


def _stamp_often(
    issuing: authority.TimeStampAuthority, at: datetime.datetime, found: "list[list[int]]"
) -> None:
    found.append([_ask(issuing, at, None).info.serial_number for _ in range(300)])


@pytest.mark.clause("RFC 3161", "2.4.1")
def test_x_roads_way_of_asking_is_answered(
    issuing: authority.TimeStampAuthority, at: datetime.datetime
) -> None:
    """A SHA-512 imprint and nothing else; the unit's certificate is registered there."""
    hash_algorithm = algorithms.HashAlgorithm.SHA512
    imprint = messages.MessageImprint(hash_algorithm, hash_algorithm.digest(b"a batch of messages"))
    request_der = messages.build_request(messages.TimeStampRequest(imprint))
    response = messages.parse_response(authority.respond(request_der, issuing, lambda: at))
    assert response.status is messages.PKIStatus.granted
    assert response.token_der is not None
    token = signed_token.parse_token(response.token_der)
    assert token.certificates == ()
    assert token.info.nonce is None
    assert token.info.imprint == imprint
    signed_token.check_signature(token, issuing.unit.certificate)


def test_an_imprint_of_sha_224_is_refused_as_a_weak_hash(
    issuing: authority.TimeStampAuthority, at: datetime.datetime
) -> None:
    """X-Road can be set to it, and to longer ones; all hashes here have 128 bits and more."""
    request = messages.build_request(messages.TimeStampRequest(IMPRINT))
    sha_224 = bytes.fromhex("0609608648016503040204")
    weak = request.replace(bytes.fromhex("0609608648016503040201"), sha_224)
    response = messages.parse_response(authority.respond(weak, issuing, lambda: at))
    assert response.failures == {messages.PKIFailureInfo.badAlg}
