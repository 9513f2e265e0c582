import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp as x509_ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing_service import trust
from signing_service.validation import evidence, policy, report
from signing_service.validation.certificates import paths
from tests.support import broken_chains, statuses
from tests.support import hierarchy as hierarchy_support

MINUTE = datetime.timedelta(minutes=1)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def root(at):
    return broken_chains.make_authority("root", None, at)


def judge(leaf, *issuers, at, anchors=None, crls=None, ocsp=(), **asked):
    """Judge a leaf whose issuers come with it, the last one trusted, all of them with a list."""
    lists = [broken_chains.make_crl(one, at) for one in issuers] if crls is None else crls
    known = evidence.Evidence(
        certificates_der=[one.der for one in (leaf, *issuers[:-1])],
        crls=lists,
        ocsp_responses=ocsp,
    )
    trusted = trust.TrustAnchors((issuers[-1].certificate,) if anchors is None else anchors)
    wanted = {"role": paths.Role.SIGNER, "proven": False} | asked
    return paths.judge(leaf.certificate, evidence=known, anchors=trusted, at=at, **wanted)


def refusal(verdict) -> report.SubIndication | None:
    return verdict.sub_indication


def test_honest_chain_is_good(root, at):
    issuing = broken_chains.make_authority("issuing", root, at)
    verdict = judge(broken_chains.make_certificate("person", issuing, at), issuing, root, at=at)
    assert verdict.sub_indication is None, verdict.message


@pytest.mark.clause("RFC 5280", "4.2.1.9")
@pytest.mark.parametrize(
    "changed",
    [
        {"authority": False},
        {"authority": None},
        {"usage": "digital_signature"},
        {"usage": None},
        {"extensions": ((x509.NameConstraints([x509.DNSName("example.test")], None), True),)},
        {"extensions": ((x509.NameConstraints([x509.DNSName("example.test")], None), False),)},
        {"extensions": ((x509.PolicyConstraints(0, None), True),)},
    ],
    ids=[
        "no authority",
        "no basicConstraints",
        "no keyCertSign",
        "no key usage",
        "name constraints",
        "name constraints that are not critical",
        "policy constraints",
    ],
)
def test_issuer_that_may_not_issue_breaks_the_path(root, at, changed):
    issuing = broken_chains.make_authority("issuing", root, at, **changed)
    verdict = judge(broken_chains.make_certificate("person", issuing, at), issuing, root, at=at)
    assert refusal(verdict) is report.SubIndication.CHAIN_CONSTRAINTS_FAILURE
    assert not verdict.missing


@pytest.mark.clause("RFC 5280", "6.1.4")
@pytest.mark.parametrize("place", ["intermediate", "anchor"])
def test_path_longer_than_allowed_is_refused(at, place):
    root = broken_chains.make_authority(
        "root", None, at, path_length=0 if place == "anchor" else None
    )
    middle = broken_chains.make_authority(
        "middle", root, at, path_length=0 if place == "intermediate" else None
    )
    issuing = broken_chains.make_authority("issuing", middle, at)
    leaf = broken_chains.make_certificate("person", issuing, at)
    verdict = judge(leaf, issuing, middle, root, at=at)
    assert refusal(verdict) is report.SubIndication.CHAIN_CONSTRAINTS_FAILURE


def test_person_whose_certificate_is_trusted_is_no_authority(root, at):
    """root -> person (an anchor) -> forged: an anchor that may not issue does not."""
    person = broken_chains.make_certificate("person", root, at)
    forged = broken_chains.make_certificate("forged", person, at)
    verdict = judge(forged, person, at=at)
    assert refusal(verdict) is report.SubIndication.CHAIN_CONSTRAINTS_FAILURE
    bare = broken_chains.make_certificate("bare", root, at, authority=None, usage=None)
    verdict = judge(broken_chains.make_certificate("forged", bare, at), bare, at=at)
    assert refusal(verdict) is report.SubIndication.CHAIN_CONSTRAINTS_FAILURE


def test_root_that_travels_with_the_document_is_no_anchor(root, at):
    own = broken_chains.make_authority("root", None, at)
    leaf = broken_chains.make_certificate("person", own, at)
    verdict = judge(leaf, own, at=at, anchors=(root.certificate,))
    assert refusal(verdict) is report.SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    assert not verdict.missing


def test_issuer_with_the_right_name_and_another_key_is_no_issuer(root, at):
    false = broken_chains.make_authority("issuing", None, at)
    issuing = broken_chains.make_authority("issuing", root, at)
    leaf = broken_chains.make_certificate("person", false, at)
    verdict = judge(leaf, issuing, root, at=at)
    assert refusal(verdict) is report.SubIndication.NO_CERTIFICATE_CHAIN_FOUND


@pytest.mark.clause("EN 319 102-1", "5.6.2.2")
def test_unit_forged_with_a_hash_that_was_good_once_proves_nothing_now(root, at):
    """The token's time lies before the hash ended; nothing but the token says so."""
    rules = policy.ValidationPolicy(
        name="with an end", digests=(policy.DigestRule("SHA-256", at.date()),)
    )
    made = unit(root, at)
    asked = {"rules": rules, "crls": [broken_chains.make_crl(root, at, until=9 * DAY)], **UNIT}
    assert judge(made, root, at=at, until=at, **asked).sub_indication is None
    forged = judge(made, root, at=at, until=at + 2 * DAY, **asked)
    assert refusal(forged) is report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE


@pytest.mark.clause("TS 119 312", "8")
def test_issuer_with_a_short_key_is_not_relied_on(root, at):
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that it is refused is shown
    issuing = broken_chains.make_authority("issuing", root, at, key=short)
    verdict = judge(broken_chains.make_certificate("person", issuing, at), issuing, root, at=at)
    assert refusal(verdict) is report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE


@pytest.mark.clause("TS 119 312", "8")
def test_certificate_signed_with_a_weak_hash_is_not_relied_on(root, at):
    issuing = broken_chains.make_authority("issuing", root, at, digest=hashes.SHA224())
    verdict = judge(broken_chains.make_certificate("person", issuing, at), issuing, root, at=at)
    assert refusal(verdict) is report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE


def test_tangle_of_cross_certificates_ends(root, at):
    """Twelve authorities with one name and one key certify each other."""
    first = broken_chains.make_authority("tangle", None, at)
    tangle = [broken_chains.make_authority("tangle", first, at, key=first.key) for _ in range(12)]
    leaf = broken_chains.make_certificate("person", first, at)
    verdict = judge(leaf, *tangle, at=at, anchors=(root.certificate,), crls=[])
    assert refusal(verdict) is report.SubIndication.NO_CERTIFICATE_CHAIN_FOUND


@pytest.mark.parametrize(
    "forge",
    [
        lambda root, other, at: broken_chains.make_crl(root, at, signed_by=other),
        lambda root, other, at: broken_chains.make_crl(other, at),
        lambda root, other, at: broken_chains.make_crl(root, at, digest=hashes.SHA224()),
        lambda root, other, at: broken_chains.make_crl(
            root, at, extensions=((x509.DeltaCRLIndicator(1), True),)
        ),
        lambda root, other, at: broken_chains.make_crl(
            root,
            at,
            extensions=(
                (
                    x509.IssuingDistributionPoint(None, None, False, True, None, False, False),
                    False,
                ),
            ),
        ),
        lambda root, other, at: broken_chains.make_crl(root, at - 9 * DAY),
    ],
    ids=[
        "signed by another key",
        "of another issuer",
        "weak hash",
        "delta list",
        "list of authorities alone, not marked critical",
        "out of date",
    ],
)
def test_list_that_is_not_the_issuers_whole_word_says_nothing(root, at, forge):
    other = broken_chains.make_authority("root", None, at)
    leaf = broken_chains.make_certificate("person", root, at)
    verdict = judge(leaf, root, at=at, crls=[forge(root, other, at)])
    assert refusal(verdict) is report.SubIndication.TRY_LATER
    assert len(verdict.missing) == 1


def test_list_of_an_issuer_that_may_not_sign_lists_says_nothing(at):
    root = broken_chains.make_authority("root", None, at, usage="key_cert_sign")
    leaf = broken_chains.make_certificate("person", root, at)
    assert refusal(judge(leaf, root, at=at)) is report.SubIndication.TRY_LATER


# --- OCSP ------------------------------------------------------------------------------------


def holder(made: broken_chains.Made) -> hierarchy_support.Holder:
    return hierarchy_support.Holder(made.certificate, made.key)


def responder(issuer, at, **changed) -> hierarchy_support.Holder:
    wanted = {"usage": "digital_signature", "purposes": (ExtendedKeyUsageOID.OCSP_SIGNING,)}
    return holder(broken_chains.make_certificate("responder", issuer, at, **(wanted | changed)))


def test_answer_of_a_delegated_responder_counts(root, at):
    leaf = broken_chains.make_certificate("person", root, at)
    answer = statuses.ocsp_response(leaf.certificate, root.certificate, responder(root, at), at)
    assert judge(leaf, root, at=at, crls=[], ocsp=[answer]).sub_indication is None


@pytest.mark.clause("RFC 6960", "4.2.2.2")
@pytest.mark.parametrize("kind", ["no purpose", "other issuer", "person", "own key", "serial"])
def test_answer_of_somebody_who_may_not_answer_says_nothing(root, at, kind):
    leaf = broken_chains.make_certificate("person", root, at)
    stranger = broken_chains.make_authority("root", None, at)
    about = leaf
    if kind == "no purpose":
        who = responder(root, at, purposes=())
    elif kind == "other issuer":
        # The same name, another key: the responder of a namesake.
        who = responder(stranger, at)
    elif kind == "person":
        who = holder(leaf)
    elif kind == "own key":
        who = holder(stranger)
    else:
        who, about = responder(root, at), broken_chains.make_certificate("other", root, at)
    answer = statuses.ocsp_response(about.certificate, root.certificate, who, at)
    verdict = judge(leaf, root, at=at, crls=[], ocsp=[answer])
    assert refusal(verdict) is report.SubIndication.TRY_LATER


@pytest.mark.clause("TS 119 312", "8")
def test_answer_of_a_responder_whose_key_can_be_broken_says_nothing(root, at):
    leaf = broken_chains.make_certificate("person", root, at)
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that it is refused is shown
    answer = statuses.ocsp_response(
        leaf.certificate, root.certificate, responder(root, at, key=short), at
    )
    verdict = judge(leaf, root, at=at, crls=[], ocsp=[answer])
    assert refusal(verdict) is report.SubIndication.TRY_LATER


@pytest.mark.clause("RFC 6960", "2.4")
def test_answer_that_speaks_of_later_than_it_was_produced_says_nothing(root, at):
    """Signed with the key of a responder that ended, about a certificate issued since."""
    later = at + 30 * DAY
    leaf = broken_chains.make_certificate("person", root, at)
    answer = statuses.ocsp_response(leaf.certificate, root.certificate, responder(root, at), later)
    verdict = judge(leaf, root, at=later, crls=[], ocsp=[answer], proven=True)
    assert refusal(verdict) is report.SubIndication.TRY_LATER


@pytest.mark.clause("EN 319 102-1", "5.2.5")
def test_good_word_that_came_with_an_unproven_signature_is_asked_again(root, at):
    """A thief embeds the list from before the revocation, which is in force for days."""
    leaf = broken_chains.make_certificate("person", root, at)
    old = [broken_chains.make_crl(root, at - DAY)]
    offline = judge(leaf, root, at=at, crls=old)
    assert offline.sub_indication is None
    assert len(offline.missing) == 1
    assert not judge(leaf, root, at=at, asked_at=at, crls=old).missing
    fetched = [*old, revoked_by(root, leaf, at, at - MINUTE, None)]
    online = judge(leaf, root, at=at, asked_at=at, crls=fetched)
    assert refusal(online) is report.SubIndication.REVOKED_NO_POE


def test_answer_with_a_changed_byte_says_nothing(root, at):
    leaf = broken_chains.make_certificate("person", root, at)
    answer = statuses.ocsp_response(
        leaf.certificate, root.certificate, responder(root, at), at, revoked_at=at - MINUTE
    )
    good = answer.replace(at.strftime("%Y%m%d%H%M%SZ").encode(), b"20990101000000Z")
    assert good != answer
    verdict = judge(leaf, root, at=at, crls=[], ocsp=[good])
    assert refusal(verdict) is report.SubIndication.TRY_LATER


def test_answer_about_a_namesake_of_the_issuer_says_nothing(root, at):
    """The same issuer name and serial number, another issuer key in the CertID."""
    stranger = broken_chains.make_authority("root", None, at)
    leaf = broken_chains.make_certificate("person", root, at)
    answer = statuses.ocsp_response(leaf.certificate, stranger.certificate, responder(root, at), at)
    verdict = judge(leaf, root, at=at, crls=[], ocsp=[answer])
    assert refusal(verdict) is report.SubIndication.TRY_LATER


@pytest.mark.clause("RFC 6960", "4.2.2.2.1")
@pytest.mark.parametrize(
    ("reason", "when", "counts"),
    [
        (x509.ReasonFlags.key_compromise, DAY, False),
        (None, DAY, False),
        (x509.ReasonFlags.superseded, DAY, True),
        (x509.ReasonFlags.superseded, -DAY, False),
    ],
)
def test_answer_of_a_revoked_responder_counts_only_from_before_and_without_compromise(
    root, at, reason, when, counts
):
    leaf = broken_chains.make_certificate("person", root, at)
    who = responder(root, at)
    answer = statuses.ocsp_response(leaf.certificate, root.certificate, who, at)
    # The list is older than the person's certificate needs, and still names the responder.
    known = broken_chains.make_crl(
        root,
        at - 9 * DAY,
        {who.certificate.serial_number: (at + when, reason)},
    )
    verdict = judge(leaf, root, at=at, crls=[known], ocsp=[answer])
    assert (verdict.sub_indication is None) is counts


def test_odd_certificate_beside_an_answer_is_left_out(root, at):
    leaf = broken_chains.make_certificate("person", root, at)
    answer = statuses.ocsp_response(leaf.certificate, root.certificate, responder(root, at), at)
    mutated = bytearray(answer)
    for place in range(len(answer) - 300, len(answer)):
        mutated[place] ^= 0x55
    known = evidence.Evidence(ocsp_responses=[bytes(mutated), b"\x30\x80", b""])
    assert not known.statuses(leaf.certificate, root.certificate)


def test_unknown_is_no_status(root, at):
    leaf = broken_chains.make_certificate("person", root, at)
    answer = x509_ocsp.OCSPResponseBuilder.build_unsuccessful(
        x509_ocsp.OCSPResponseStatus.TRY_LATER
    ).public_bytes(hierarchy_support.serialization.Encoding.DER)
    verdict = judge(leaf, root, at=at, crls=[], ocsp=[answer])
    assert refusal(verdict) is report.SubIndication.TRY_LATER


# --- revocation and time ---------------------------------------------------------------------


def revoked_by(root, leaf, at, when, reason, stated=None, **more):
    return broken_chains.make_crl(
        root, stated or at, {leaf.certificate.serial_number: (when, reason)}, **more
    )


@pytest.mark.clause("EN 319 102-1", "5.2.6.4")
def test_hold_is_try_later_until_it_is_released_or_made_final(root, at):
    leaf = broken_chains.make_certificate("person", root, at)
    hold, final = x509.ReasonFlags.certificate_hold, x509.ReasonFlags.key_compromise
    held = revoked_by(root, leaf, at, at - DAY, hold, stated=at - MINUTE)
    verdict = judge(leaf, root, at=at, crls=[held])
    assert refusal(verdict) is report.SubIndication.TRY_LATER
    assert "hold" in verdict.message
    released = broken_chains.make_crl(root, at)
    assert judge(leaf, root, at=at, crls=[held, released]).sub_indication is None
    ended = revoked_by(root, leaf, at, at - DAY, final)
    verdict = judge(leaf, root, at=at, crls=[held, ended])
    assert refusal(verdict) is report.SubIndication.REVOKED_NO_POE


@pytest.mark.clause("RFC 5280", "5.3.1")
def test_final_revocation_cannot_be_taken_back_by_a_newer_list(root, at):
    leaf = broken_chains.make_certificate("person", root, at)
    ended = revoked_by(root, leaf, at, at - DAY, None, stated=at - MINUTE)
    verdict = judge(leaf, root, at=at, crls=[ended, broken_chains.make_crl(root, at)])
    assert refusal(verdict) is report.SubIndication.REVOKED_NO_POE


def test_revocation_after_a_proven_time_is_told_with_its_invalidity_date(root, at):
    leaf = broken_chains.make_certificate("person", root, at)
    ended = revoked_by(
        root,
        leaf,
        at,
        at + DAY,
        x509.ReasonFlags.key_compromise,
        stated=at + 2 * DAY,
        invalid_since=at - DAY,
    )
    verdict = judge(leaf, root, at=at, crls=[ended], proven=True)
    assert verdict.sub_indication is None
    assert verdict.later_revoked_at == at + DAY
    assert verdict.invalid_since == at - DAY


def test_revoked_issuer_is_told_as_the_issuers(root, at):
    issuing = broken_chains.make_authority("issuing", root, at)
    leaf = broken_chains.make_certificate("person", issuing, at)
    lists = [broken_chains.make_crl(issuing, at), revoked_by(root, issuing, at, at - DAY, None)]
    verdict = judge(leaf, issuing, root, at=at, crls=lists)
    assert refusal(verdict) is report.SubIndication.REVOKED_CA_NO_POE


@pytest.mark.clause("EN 319 102-1", "5.5.4")
def test_signature_proven_from_before_its_certificate_was_issued_fails(root, at):
    leaf = broken_chains.make_certificate("person", root, at, period=(at + MINUTE, at + DAY))
    verdict = judge(leaf, root, at=at, crls=[broken_chains.make_crl(root, at)], proven=True)
    assert refusal(verdict) is report.SubIndication.NOT_YET_VALID


def unit(root, at, **changed):
    wanted = {"usage": "digital_signature", "purposes": (ExtendedKeyUsageOID.TIME_STAMPING,)}
    return broken_chains.make_certificate("unit", root, at, **(wanted | changed))


UNIT = {"role": paths.Role.TIME_STAMPING_UNIT, "proven": True}


@pytest.mark.clause("RFC 3161", "4")
@pytest.mark.parametrize(
    ("reason", "good"),
    [
        (x509.ReasonFlags.superseded, True),
        (x509.ReasonFlags.cessation_of_operation, True),
        (x509.ReasonFlags.key_compromise, False),
        (None, False),
    ],
)
def test_tokens_of_a_revoked_unit_stay_good_only_where_the_reason_says_so(root, at, reason, good):
    made = unit(root, at)
    later = at + 2 * DAY
    ended = revoked_by(root, made, at, at + DAY, reason, stated=later)
    verdict = judge(made, root, at=at, until=later, asked_at=later, crls=[ended], **UNIT)
    assert (verdict.sub_indication is None) is good


def test_unit_has_to_be_known_good_until_its_token_is_known_to_exist(root, at):
    """An old list cannot vouch for a token that a thief of the key may have made since."""
    made = unit(root, at)
    later = at + 30 * DAY
    old = [broken_chains.make_crl(root, at)]
    verdict = judge(made, root, at=at, until=later, asked_at=later, crls=old, **UNIT)
    assert refusal(verdict) is report.SubIndication.TRY_LATER
    offline = judge(made, root, at=at, until=later, crls=old, **UNIT)
    assert offline.sub_indication is None
    assert len(offline.missing) == 1
    future = judge(made, root, at=at, until=later, asked_at=at + DAY, crls=old, **UNIT)
    assert future.sub_indication is None


def test_unit_whose_certificate_ended_before_its_token_is_known_to_exist_proves_nothing(root, at):
    made = unit(root, at, period=(at - DAY, at + DAY))
    verdict = judge(made, root, at=at, until=at + 2 * DAY, **UNIT)
    assert refusal(verdict) is report.SubIndication.OUT_OF_BOUNDS_NOT_REVOKED


def test_list_whose_issuer_cannot_be_read_is_left_out(hierarchy, at):
    damaged = hierarchy.crl(hierarchy.root, at=at).replace(b"TEST root", b"\xffEST root")
    known = evidence.Evidence(crls=[damaged, hierarchy.crl(hierarchy.issuing, at=at)])
    assert not known.mentions(hierarchy.issuing.certificate)
    assert known.mentions(hierarchy.signer().certificate)


def test_certificate_of_a_version_that_does_not_exist_is_left_out(hierarchy):
    version = b"\xa0\x03\x02\x01"
    damaged = hierarchy.issuing.der.replace(version + b"\x02", version + b"\x12")
    assert evidence.Evidence(
        certificates_der=[damaged, hierarchy.root.der]
    ).certificates.keys() == {hierarchy.root.der}
