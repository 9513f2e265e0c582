import dataclasses
import datetime
import hashlib

import hypothesis
import pytest
import sqlalchemy
from hypothesis import strategies
from pyasn1.codec.der import decoder
from pyasn1_alt_modules import rfc9480

from ca import orders, tables
from ca.applications import certification
from ca.enrolment import messages, protection, transactions
from ca.enrolment import tables as enrolment_tables
from ca.renewal import settings as renewal_settings
from pki import algorithms, audit, certificates, der, der_types, errors, registry, status
from tests.support import ca_world, cmp_office, crls
from tests.support.cmp_office import Client, Office, failure
from tests.support.hierarchy import make_key

Body = messages.BodyType


def _client(office: Office, *, reusable: bool = True) -> Client:
    reference, secret = office.reference(reusable=reusable)
    return Client(office.world.at, reference, secret)


def _certificate_count(office: Office) -> int:
    with office.world.sessions() as session:
        return session.scalar(sqlalchemy.select(sqlalchemy.func.count(registry.CertificateRow.id)))


def _status(office: Office, certificate_der: bytes) -> status.CertificateStatus:
    with office.world.sessions() as session:
        found = registry.find_issued(session, certificate_der)
    assert found is not None
    return found.status


def _confirm(client: Client, answer_der: bytes, content: bytes, **changes: object) -> bytes:
    header = messages.parse_message(answer_der).header
    return client.request(
        Body.certConf,
        content,
        **{
            "transaction_id": header.transaction_id,
            "recipient_nonce": header.sender_nonce,
            **changes,
        },
    )


@pytest.mark.clause("RFC 9483", "3.5")
def test_an_answer_repeats_what_ties_it_to_its_request(office: Office) -> None:
    client = _client(office)
    sent = client.request(Body.genm, der.encode(der.SEQUENCE))
    asked = messages.parse_message(sent).header

    got = messages.parse_message(office.answer(sent)).header

    assert got.transaction_id == asked.transaction_id
    assert got.recipient_nonce == asked.sender_nonce
    assert got.sender_nonce not in (None, asked.sender_nonce)
    assert got.at == office.world.at
    assert got.recipient == asked.sender


@pytest.mark.clause("RFC 9483", "3.2")
def test_a_mac_is_answered_by_the_same_secret_and_a_signature_by_ours(office: Office) -> None:
    client = _client(office)
    answered = messages.parse_message(
        office.answer(client.request(Body.genm, der.encode(der.SEQUENCE)))
    )
    assert answered.header.protection_algorithm is not None
    used = protection.parse_password_based(answered.header.protection_algorithm)
    assert used.salt != client.mac.salt
    protection.check_mac(used, client.secret, answered)

    signer, _, _ = cmp_office.enrolled(office)
    _check_signed_by_us(office, office.answer(signer.request(Body.genm, der.encode(der.SEQUENCE))))


def _check_signed_by_us(office: Office, answer_der: bytes) -> None:
    answered = messages.parse_message(answer_der)
    own = certificates.parse(answered.extra_certificates[0])
    assert answered.header.protection_algorithm is not None
    protection.check_signature(
        answered.header.protection_algorithm, certificates.public_key(own), answered
    )
    facts = certificates.read(own)
    assert facts.key_usage == {certificates.KeyUsage.digitalSignature}
    assert answered.header.sender_key_id == facts.subject_key_identifier
    above = certificates.parse(answered.extra_certificates[1])
    certificates.check_issued_by(own, above)
    certificates.check_issued_by(above, office.world.hierarchy.authorities["root"].certificate)


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_every_kind_of_key_is_certified(office: Office, kind: algorithms.KeyKind) -> None:
    key = make_key(kind)
    answered = office.answer(_client(office).request(Body.ir, cmp_office.cert_request(key)))
    certificate = certificates.parse(cmp_office.issued_certificate(answered))
    assert certificates.read(certificate).key_kind is kind


def test_the_requested_subject_is_replaced_by_the_vetted_one(office: Office) -> None:
    name = office.world.hierarchy.authorities["root"].certificate.subject
    sent = _client(office).request(
        Body.cr, cmp_office.cert_request(cmp_office.new_key(), subject=name)
    )
    said, certificate_der = cmp_office.cert_response(messages.parse_message(office.answer(sent)))
    assert said == messages.PKIStatus.grantedWithMods.value
    facts = certificates.read(certificates.parse(certificate_der or b""))
    assert facts.person_code == ca_world.CITIZEN.person_code


@pytest.mark.clause("RFC 9810", "5.3.18")
def test_a_certificate_is_confirmed_by_the_hash_of_its_own_signature_algorithm(
    office: Office,
) -> None:
    client = _client(office)
    answered = office.answer(client.request(Body.ir, cmp_office.cert_request(cmp_office.new_key())))
    certificate_der = cmp_office.issued_certificate(answered)
    content = cmp_office.confirmation(hashlib.sha384(certificate_der).digest())

    confirmed = messages.parse_message(office.answer(_confirm(client, answered, content)))

    assert confirmed.body_tag == Body.pkiconf.value
    assert _status(office, certificate_der).is_good
    assert failure(office.answer(_confirm(client, answered, content))) == "certConfirmed"


@pytest.mark.parametrize("content", ["wrong hash", "rejection", "nothing"])
def test_a_certificate_that_is_not_taken_is_revoked(office: Office, content: str) -> None:
    client = _client(office)
    answered = office.answer(client.request(Body.ir, cmp_office.cert_request(cmp_office.new_key())))
    certificate_der = cmp_office.issued_certificate(answered)
    right = hashlib.sha384(certificate_der).digest()
    sent = {
        "wrong hash": cmp_office.confirmation(hashlib.sha256(certificate_der).digest()),
        "rejection": cmp_office.confirmation(right, status=2),
        "nothing": der.encode(der.SEQUENCE),
    }[content]

    told = office.answer(_confirm(client, answered, sent))

    assert failure(told) == ("badCertId" if content == "wrong hash" else None)
    assert _status(office, certificate_der).reason is transactions.UNCONFIRMED_REASON
    number = certificates.parse(certificate_der).serial_number
    with office.world.sessions() as session:
        assert number in registry.revoked(session, "citizen")
        assert crls.newest(session, "citizen").number > 1


def test_an_error_from_the_other_side_revokes_what_it_awaits(office: Office) -> None:
    client = _client(office)
    answered = office.answer(client.request(Body.ir, cmp_office.cert_request(cmp_office.new_key())))
    header = messages.parse_message(answered).header
    reported = client.protect(
        client.header(transaction_id=header.transaction_id, recipient_nonce=header.sender_nonce),
        messages.encode_error(messages.FailureInfo.incorrectData, "not what I want"),
    )
    assert messages.parse_message(office.answer(reported)).body_tag == Body.pkiconf.value
    assert not _status(office, cmp_office.issued_certificate(answered)).is_good


def test_a_confirmation_needs_the_last_nonce_and_the_same_sender(office: Office) -> None:
    client, other = _client(office), _client(office)
    answered = office.answer(client.request(Body.ir, cmp_office.cert_request(cmp_office.new_key())))
    certificate_der = cmp_office.issued_certificate(answered)
    content = cmp_office.confirmation(bytes(48), status=2)
    wrong = office.answer(_confirm(client, answered, content, recipient_nonce=bytes(16)))
    assert failure(wrong) == "badRecipientNonce"
    assert failure(office.answer(_confirm(other, answered, content))) == "badRequest"
    assert _status(office, certificate_der).is_good


@pytest.mark.clause("RFC 9483", "3.5")
def test_a_message_sent_again_changes_nothing(office: Office) -> None:
    """Invariant 4: the same request never yields a second certificate."""
    client = _client(office)
    sent = client.request(Body.ir, cmp_office.cert_request(cmp_office.new_key()))
    office.answer(sent)
    count = _certificate_count(office)
    assert failure(office.answer(sent)) == "transactionIdInUse"
    header = messages.parse_message(sent).header
    another = client.request(
        Body.cr,
        cmp_office.cert_request(cmp_office.new_key()),
        transaction_id=header.transaction_id,
    )
    assert failure(office.answer(another)) == "transactionIdInUse"
    assert _certificate_count(office) == count


def test_a_reference_is_good_for_one_enrolment_outside_a_sandbox(office: Office) -> None:
    client = _client(office, reusable=False)

    def ask(content: bytes) -> bytes:
        return office.answer(client.request(Body.ir, content))

    # A request that gets no certificate does not use it up.
    assert failure(ask(cmp_office.cert_request(cmp_office.new_key(), with_proof=False))) == "badPOP"
    cmp_office.issued_certificate(ask(cmp_office.cert_request(cmp_office.new_key())))
    assert failure(ask(cmp_office.cert_request(cmp_office.new_key()))) == "notAuthorized"


def test_a_reference_comes_back_when_the_key_store_failed(office: Office) -> None:
    client = _client(office, reusable=False)
    key = office.world.keys.counted["ca-citizen"]
    key.fails_with = errors.DeviceError("the session was lost", retriable=True)
    content = cmp_office.cert_request(cmp_office.new_key())
    assert failure(office.answer(client.request(Body.ir, content))) == "systemUnavail"
    key.fails_with = None
    cmp_office.issued_certificate(office.answer(client.request(Body.ir, content)))


def test_an_expired_reference_gives_nothing(office: Office) -> None:
    client = _client(office)
    later = office.world.at + cmp_office.VALIDITY + datetime.timedelta(seconds=1)
    sent = dataclasses.replace(client, at=later).request(
        Body.ir, cmp_office.cert_request(cmp_office.new_key())
    )
    assert failure(office.answer(sent, later)) == "notAuthorized"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"with_proof": False}, "badPOP"),
        ({"proof_key": "other"}, "badPOP"),
        ({"cert_req_id": 1}, "badRequest"),
    ],
)
@pytest.mark.clause("RFC 4211", "4.1")
def test_no_certificate_without_proof_of_possession(
    office: Office, options: dict[str, object], expected: str
) -> None:
    if options.get("proof_key"):
        options = {"proof_key": cmp_office.new_key()}
    count = _certificate_count(office)
    content = cmp_office.cert_request(cmp_office.new_key(), **options)  # type: ignore[arg-type]
    assert failure(office.answer(_client(office).request(Body.ir, content))) == expected
    assert _certificate_count(office) == count


def test_anothers_key_gets_no_certificate(office: Office) -> None:
    key = cmp_office.new_key()
    office.world.certify(
        office.world.application(ca_world.GEORGIAN), "sign", ca_world.make_csr(key=key)
    )
    sent = _client(office).request(Body.ir, cmp_office.cert_request(key))
    assert failure(office.answer(sent)) == "duplicateCertReq"


@pytest.mark.clause("RFC 9810", "5.3.4")
def test_a_pkcs10_request_has_no_number(office: Office) -> None:
    csr_der = ca_world.make_csr()
    client = _client(office)
    answered = office.answer(client.request(Body.p10cr, csr_der))
    read, _ = decoder.decode(answered, asn1Spec=rfc9480.PKIMessage())
    assert int(read["body"]["cp"]["response"][0]["certReqId"]) == -1
    certificate_der = cmp_office.issued_certificate(answered)
    content = cmp_office.confirmation(hashlib.sha384(certificate_der).digest(), cert_req_id=-1)
    told = office.answer(_confirm(client, answered, content))
    assert messages.parse_message(told).body_tag == Body.pkiconf.value


@pytest.mark.clause("RFC 9483", "4.1.3")
def test_a_key_update_keeps_subject_and_profile_and_needs_a_new_key(office: Office) -> None:
    client, key, old_der = cmp_office.enrolled(office)
    new = office.answer(client.request(Body.kur, cmp_office.cert_request(cmp_office.new_key())))
    old_facts = certificates.read(certificates.parse(old_der))
    new_facts = certificates.read(certificates.parse(cmp_office.issued_certificate(new)))
    assert (old_facts.subject, old_facts.policies) == (new_facts.subject, new_facts.policies)
    assert _status(office, old_der).is_good

    same = office.answer(client.request(Body.kur, cmp_office.cert_request(key)))
    assert failure(same) == "badCertTemplate"


@pytest.mark.parametrize("kind", [Body.kur, Body.cr])
def test_what_a_certificate_signs_for_is_under_the_rules_of_renewals(
    world: ca_world.World, kind: Body
) -> None:
    office = cmp_office.make_office(world, renewal_settings.Settings())
    client, _, own_der = cmp_office.enrolled(office)
    ends = certificates.read(certificates.parse(own_der)).not_after

    def ask(days: int) -> str | None:
        at = ends - datetime.timedelta(days=days)
        later = dataclasses.replace(client, at=at)
        content = cmp_office.cert_request(cmp_office.new_key())
        return failure(office.answer(later.request(kind, content), at))

    assert ask(31) == "badRequest"
    assert ask(29) is None


def test_a_card_of_a_counter_does_not_update_itself_unless_settings_say_so(
    world: ca_world.World,
) -> None:
    window = datetime.timedelta(days=3650)
    office = cmp_office.make_office(world, renewal_settings.Settings(window=window))
    key = cmp_office.new_key()
    issued = world.certify(world.application(), "authenticate", ca_world.make_csr(key=key))
    client = Client(world.at, certificate_der=issued.certificate_der, key=key)
    asked = client.request(Body.kur, cmp_office.cert_request(cmp_office.new_key()))
    assert failure(office.answer(asked)) == "notAuthorized"


def test_a_card_certified_over_the_counter_updates_itself(office: Office) -> None:
    key = cmp_office.new_key()
    issued = office.world.certify(
        office.world.application(), "authenticate", ca_world.make_csr(key=key)
    )
    client = Client(office.world.at, certificate_der=issued.certificate_der, key=key)
    answered = office.answer(
        client.request(Body.kur, cmp_office.cert_request(cmp_office.new_key()))
    )
    assert failure(answered) is None


def test_an_application_altered_since_gives_no_newer_certificate(office: Office) -> None:
    """Invariant 13: no signature without an approval bound to the hash of the request."""
    client, _, _ = cmp_office.enrolled(office)
    with office.world.sessions() as session:
        session.execute(sqlalchemy.update(tables.ApplicationRow).values(given_name="Kimsə"))
        session.commit()
    count = _certificate_count(office)
    sent = client.request(Body.kur, cmp_office.cert_request(cmp_office.new_key()))
    assert failure(office.answer(sent)) == "systemFailure"
    assert _certificate_count(office) == count


def test_an_update_names_the_signers_own_certificate_or_none(office: Office) -> None:
    client, _, own_der = cmp_office.enrolled(office)
    _, _, other_der = cmp_office.enrolled(office)

    def ask(certificate_der: bytes) -> str | None:
        certificate = certificates.parse(certificate_der)
        value = der.encode(
            der.SEQUENCE,
            messages.directory_name(certificate.issuer.public_bytes()),
            der_types.encode_integer(certificate.serial_number),
        )
        control = der.encode(der.SEQUENCE, der.encode_oid("1.3.6.1.5.5.7.5.1.5"), value)
        content = cmp_office.cert_request(cmp_office.new_key(), controls=control)
        return failure(office.answer(client.request(Body.kur, content)))

    assert ask(own_der) is None
    assert ask(other_der) == "badCertId"


@pytest.mark.parametrize("kind", [Body.kur, Body.rr])
def test_a_shared_secret_neither_updates_nor_revokes(office: Office, kind: Body) -> None:
    _, _, certificate_der = cmp_office.enrolled(office)
    content = {
        Body.kur: cmp_office.cert_request(cmp_office.new_key()),
        Body.rr: cmp_office.revocation(certificate_der),
    }[kind]
    assert failure(office.answer(_client(office).request(kind, content))) == "notAuthorized"
    assert _status(office, certificate_der).is_good


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (None, status.RevocationReason.unspecified),
        (1, status.RevocationReason.keyCompromise),
        (5, status.RevocationReason.cessationOfOperation),
        (6, status.RevocationReason.certificateHold),
    ],
)
@pytest.mark.clause("RFC 9483", "4.2")
def test_a_revocation_has_the_reason_that_was_given(
    office: Office, number: int | None, expected: status.RevocationReason
) -> None:
    client, _, certificate_der = cmp_office.enrolled(office)
    told = office.answer(client.request(Body.rr, cmp_office.revocation(certificate_der, number)))
    assert failure(told) is None
    assert _status(office, certificate_der).reason is expected
    # From now on its signatures count for nothing, here as elsewhere.
    again = office.answer(client.request(Body.rr, cmp_office.revocation(certificate_der)))
    assert failure(again) == "certRevoked"


@pytest.mark.parametrize("number", [7, 8, 11, 127])
def test_no_revocation_for_a_reason_that_there_is_not(office: Office, number: int) -> None:
    client, _, certificate_der = cmp_office.enrolled(office)
    told = office.answer(client.request(Body.rr, cmp_office.revocation(certificate_der, number)))
    assert failure(told) == "badRequest"
    assert _status(office, certificate_der).is_good


def test_nobody_revokes_anothers_certificate(office: Office) -> None:
    client, _, _ = cmp_office.enrolled(office)
    _, _, other_der = cmp_office.enrolled(office)
    told = office.answer(client.request(Body.rr, cmp_office.revocation(other_der)))
    assert failure(told) == "notAuthorized"
    assert _status(office, other_der).is_good


def test_a_signing_certificate_protects_no_message(office: Office) -> None:
    key = cmp_office.new_key()
    issued = office.world.certify(office.world.application(), "sign", ca_world.make_csr(key=key))
    client = Client(office.world.at, certificate_der=issued.certificate_der, key=key)
    told = office.answer(client.request(Body.kur, cmp_office.cert_request(cmp_office.new_key())))
    assert failure(told) == "signerNotTrusted"


def test_a_certificate_with_a_serial_number_below_one_protects_no_message(office: Office) -> None:
    client, _, certificate_der = cmp_office.enrolled(office)
    number = certificates.parse(certificate_der).serial_number.to_bytes(17, "big")
    negative = certificate_der.replace(number, b"\xfe" + number[1:], 1)
    sent = client.request(Body.genm, der.encode(der.SEQUENCE))
    # The certificate stands outside of what is protected, at the end.
    assert sent.endswith(der.encode(0xA1, der.encode(der.SEQUENCE, certificate_der)))
    assert failure(office.answer(sent.replace(certificate_der, negative))) == "signerNotTrusted"


def test_a_certificate_of_nobody_here_or_out_of_date_protects_no_message(office: Office) -> None:
    client, key, certificate_der = cmp_office.enrolled(office)
    content = der.encode(der.SEQUENCE)
    later = certificates.parse(certificate_der).not_valid_after_utc + datetime.timedelta(seconds=1)
    sent = dataclasses.replace(client, at=later).request(Body.genm, content)
    assert failure(office.answer(sent, later)) == "signerNotTrusted"

    forged = certificate_der[:-4] + bytes(4)
    stranger = Client(office.world.at, certificate_der=forged, key=key)
    assert failure(office.answer(stranger.request(Body.genm, content))) == "signerNotTrusted"
    thief = Client(office.world.at, certificate_der=certificate_der, key=cmp_office.new_key())
    assert failure(office.answer(thief.request(Body.genm, content))) == "badMessageCheck"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": 1}, "unsupportedVersion"),
        ({"version": 4}, "unsupportedVersion"),
        ({"transaction_id": None}, "badDataFormat"),
        ({"transaction_id": bytes(15)}, "badDataFormat"),
        ({"sender_nonce": None}, "badSenderNonce"),
        ({"sender_nonce": bytes(15)}, "badSenderNonce"),
        ({"recipient_nonce": bytes(16)}, "badRecipientNonce"),
        ({"at": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)}, "badTime"),
    ],
)
@pytest.mark.clause("RFC 9483", "3.5")
def test_a_header_that_breaks_a_rule_is_refused(
    office: Office, changes: dict[str, object], expected: str
) -> None:
    sent = _client(office).request(Body.genm, der.encode(der.SEQUENCE), **changes)
    assert failure(office.answer(sent)) == expected


@pytest.mark.parametrize("tag", [5, 9, 17, 19, 20, 22, 25, 26, 30])
def test_a_body_that_is_no_request_is_refused(office: Office, tag: int) -> None:
    client = _client(office)
    body = der.encode(0xA0 | tag, der.encode(der.SEQUENCE))
    assert failure(office.answer(client.protect(client.header(), body))) == "badRequest"


def test_a_wrong_secret_and_an_unknown_reference_are_told_alike(office: Office) -> None:
    client = _client(office)
    answers = [
        office.answer(one.request(Body.genm, der.encode(der.SEQUENCE)))
        for one in (
            dataclasses.replace(client, secret=b"wrong"),
            dataclasses.replace(client, reference=b"0" * 32),
        )
    ]
    bodies = {messages.parse_message(one).body for one in answers}
    assert len(bodies) == 1
    assert failure(answers[0]) == "badMessageCheck"
    for one in answers:
        _check_signed_by_us(office, one)


def test_what_was_left_unconfirmed_is_revoked_in_the_end(office: Office) -> None:
    client = _client(office)
    left = cmp_office.issued_certificate(
        office.answer(client.request(Body.ir, cmp_office.cert_request(cmp_office.new_key())))
    )
    _, _, taken = cmp_office.enrolled(office)
    wait = datetime.timedelta(hours=1)
    sessions, at = office.world.sessions, office.world.at
    assert transactions.end_unconfirmed(sessions, wait, at + wait) == 0
    later = at + wait + datetime.timedelta(seconds=1)
    assert transactions.end_unconfirmed(sessions, wait, later) == 1
    assert transactions.end_unconfirmed(sessions, wait, later) == 0
    assert not _status(office, left).is_good
    assert _status(office, taken).is_good


def test_what_was_issued_and_never_answered_is_revoked_in_the_end(office: Office) -> None:
    """A process that dies between issuing and answering leaves a conversation open."""
    client, _, _ = cmp_office.enrolled(office)
    sessions, at = office.world.sessions, office.world.at
    identity = transactions.identify("somebody", bytes(16))
    application = office.world.application()
    with sessions() as session:
        transactions.begin(session, identity, "ir", application, 0, at)
        session.commit()
    issued = certification.certify_key(
        sessions,
        office.world.hierarchy,
        application,
        "authenticate",
        cmp_office.new_key().public_key(),
        orders.IssuanceRequest(transactions.request_key(identity), "test"),
        at,
    )
    wait = datetime.timedelta(hours=1)
    assert transactions.end_unconfirmed(sessions, wait, at + 2 * wait) == 1
    assert not _status(office, issued.certificate_der).is_good
    assert failure(office.answer(client.request(Body.genm, der.encode(der.SEQUENCE)))) is None


def test_everything_that_was_done_is_in_the_audit_log(office: Office) -> None:
    client, _, certificate_der = cmp_office.enrolled(office)
    office.answer(client.request(Body.rr, cmp_office.revocation(certificate_der)))
    with office.world.sessions() as session:
        audit.verify(session)
        rows = session.scalars(sqlalchemy.select(audit.EntryRow)).all()
    events = [one.event for one in rows if one.actor.startswith("cmp:")]
    assert events == ["certificate.intended", "certificate.issued", "certificate.revoked"]
    assert "reference.recorded" in [one.event for one in rows]


def test_no_secret_is_in_the_database(office: Office) -> None:
    reference, secret = office.reference()
    with office.world.sessions() as session:
        row = session.get(enrolment_tables.ReferenceRow, reference.decode())
        assert row is not None
        assert secret.decode() not in str(vars(row))
        entries = session.scalars(sqlalchemy.select(audit.EntryRow.details)).all()
    assert not any(secret.decode() in one for one in entries)


def _check_well_formed_refusal(office: Office, answer_der: bytes) -> None:
    read, rest = decoder.decode(answer_der, asn1Spec=rfc9480.PKIMessage())
    assert not rest
    assert read["body"].getName() == "error"
    assert failure(answer_der) is not None


@hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(data=strategies.binary(max_size=400))
def test_any_bytes_get_a_well_formed_protocol_error(lasting_office: Office, data: bytes) -> None:
    """Invariant 16 for CMP."""
    answered = lasting_office.answer(data)
    _check_well_formed_refusal(lasting_office, answered)
    _check_signed_by_us(lasting_office, answered)


@hypothesis.settings(deadline=None, max_examples=300)
@hypothesis.given(
    kind=strategies.sampled_from([Body.ir, Body.p10cr, Body.rr, Body.genm, Body.certConf]),
    place=strategies.floats(0, 1),
    piece=strategies.binary(max_size=6),
    cut=strategies.integers(0, 6),
    guarded=strategies.booleans(),
)
def test_a_mutated_message_gets_a_protocol_error_and_no_certificate(
    lasting_office: Office, kind: Body, place: float, piece: bytes, cut: int, guarded: bool
) -> None:
    """Invariant 16 for CMP: mutated on the way, or by somebody who can protect what they send."""
    client, content = _sample(lasting_office, kind)
    count = _certificate_count(lasting_office)
    whole = client.request(kind, content)
    mutated = content if guarded else whole
    at = int(place * (len(mutated) - 1))
    mutated = mutated[:at] + piece + mutated[at + cut :]
    hypothesis.assume(mutated not in (content, whole))
    if guarded:
        mutated = client.request(kind, mutated)
    answered = lasting_office.answer(mutated)
    read, rest = decoder.decode(answered, asn1Spec=rfc9480.PKIMessage())
    assert not rest
    if failure(answered) is None:
        # Only a guarded message can pass: with another name, an unknown question.
        assert guarded
    else:
        assert _certificate_count(lasting_office) == count
    if not guarded:
        assert read["body"].getName() == "error"


_samples: dict[Body, tuple[Client, bytes]] = {}


def _sample(office: Office, kind: Body) -> tuple[Client, bytes]:
    if kind not in _samples:
        signer, _, certificate_der = cmp_office.enrolled(office)
        content = {
            Body.ir: lambda: cmp_office.cert_request(cmp_office.new_key()),
            Body.p10cr: ca_world.make_csr,
            Body.rr: lambda: cmp_office.revocation(certificate_der, 1),
            Body.genm: lambda: der.encode(
                der.SEQUENCE, der.encode(der.SEQUENCE, der.encode_oid("1.3.6.1.5.5.7.4.17"))
            ),
            Body.certConf: lambda: cmp_office.confirmation(bytes(48)),
        }[kind]()
        _samples[kind] = (signer if kind is Body.rr else _client(office), content)
    return _samples[kind]
