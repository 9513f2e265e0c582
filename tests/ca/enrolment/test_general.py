import datetime

import pytest
from cryptography import x509

from ca.enrolment import general, messages
from pki import der, der_types
from tests.support import cmp_office, crls
from tests.support.cmp_office import Client, Office


def _ask(office: Office, *questions: bytes) -> dict[str, der.Element | None]:
    reference, secret = office.reference()
    client = Client(office.world.at, reference, secret)
    sent = client.request(messages.BodyType.genm, der.encode(der.SEQUENCE, *questions))
    message = messages.parse_message(office.answer(sent))
    assert message.body_tag == messages.BodyType.genp.value
    answers = {}
    for one in message.body.children():
        parts = one.children()
        answers[der.decode_oid(parts[0])] = parts[1] if len(parts) == 2 else None
    return answers


def _question(kind: str, value: bytes = b"") -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(kind), value)


def _der(element: der.Element) -> bytes:
    return der.encode(element.tag, element.content)


@pytest.mark.clause("RFC 9483", "4.3.1")
def test_the_cas_below_the_root_are_told(office: Office) -> None:
    found = _ask(office, _question(general.CA_CERTS))[general.CA_CERTS]
    assert found is not None
    subjects = {x509.load_der_x509_certificate(_der(one)).subject for one in found.children()}
    known = office.world.hierarchy.authorities
    assert subjects == {one.certificate.subject for name, one in known.items() if name != "root"}


@pytest.mark.clause("RFC 9483", "4.3.2")
def test_there_is_no_newer_root(office: Office) -> None:
    answers = _ask(office, _question(general.ROOT_CA_CERT))
    assert answers == {general.ROOT_CA_KEY_UPDATE: None}


@pytest.mark.clause("RFC 9810", "5.3.19.6")
def test_the_current_crl_is_that_of_ones_own_ca(office: Office) -> None:
    found = _ask(office, _question(general.CURRENT_CRL))[general.CURRENT_CRL]
    assert found is not None
    with office.world.sessions() as session:
        assert _der(found) == crls.newest_der(session, "citizen")


@pytest.mark.clause("RFC 9810", "5.3.19.7")
def test_what_is_not_known_is_told_to_be_so(office: Office) -> None:
    found = _ask(office, _question("1.2.3.4"), _question(general.CURRENT_CRL))
    unsupported = found[general.UNSUPPORTED_OIDS]
    assert unsupported is not None
    assert [der.decode_oid(one) for one in unsupported.children()] == ["1.2.3.4"]
    assert general.CURRENT_CRL in found


def test_no_question_asks_for_everything(office: Office) -> None:
    assert set(_ask(office)) == {
        general.SIGN_KEY_PAIR_TYPES,
        general.CURRENT_CRL,
        general.CA_CERTS,
        general.CERT_REQ_TEMPLATE,
    }


def _by_point(url: str) -> bytes:
    return der.encode(0xA0, der.encode(0xA0, der.encode(0x86, url.encode())))


def _by_issuer(name: x509.Name) -> bytes:
    return der.encode(0xA1, der.encode(der.SEQUENCE, der.encode(0xA4, name.public_bytes())))


@pytest.mark.parametrize("minutes", [None, -1, 0, 1])
@pytest.mark.parametrize("by", ["point", "issuer"])
@pytest.mark.clause("RFC 9483", "4.3.4")
def test_a_crl_is_sent_where_it_is_newer_than_the_one_known(
    office: Office, by: str, minutes: int | None
) -> None:
    source = {
        "point": _by_point("http://pki.example.com/crl/official.crl"),
        "issuer": _by_issuer(office.world.hierarchy.authorities["official"].certificate.subject),
    }[by]
    known = b""
    if minutes is not None:
        at = office.world.at + datetime.timedelta(minutes=minutes)
        known = der.encode(0x17, at.strftime("%y%m%d%H%M%SZ").encode())
    value = der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, source, known))

    found = _ask(office, _question(general.CRL_STATUS_LIST, value))[general.CRLS]

    if minutes in (None, -1):
        assert found is not None
        with office.world.sessions() as session:
            expected = crls.newest_der(session, "official")
        assert [_der(one) for one in found.children()] == [expected]
    else:
        assert found is None


def test_a_crl_of_nobody_here_is_not_there(office: Office) -> None:
    source = _by_point("http://elsewhere.example/crl")
    other = der.encode(0xA1, der.encode(der.SEQUENCE, der.encode(0x86, b"x")))
    value = der.encode(
        der.SEQUENCE, der.encode(der.SEQUENCE, source), der.encode(der.SEQUENCE, other)
    )
    assert _ask(office, _question(general.CRL_STATUS_LIST, value)) == {general.CRLS: None}


def test_the_keys_that_are_certified_are_told(office: Office) -> None:
    found = _ask(
        office, _question(general.SIGN_KEY_PAIR_TYPES), _question(general.CERT_REQ_TEMPLATE)
    )
    types = found[general.SIGN_KEY_PAIR_TYPES]
    assert types is not None
    assert len(types.children()) == 3
    template = found[general.CERT_REQ_TEMPLATE]
    assert template is not None
    specification = template.children()[1].children()[-1]
    assert der_types.decode_integer(specification.children()[1]) == 3072


def test_too_many_questions_are_refused(office: Office) -> None:
    reference, secret = office.reference()
    client = Client(office.world.at, reference, secret)
    questions = _question(general.CURRENT_CRL) * 17
    sent = client.request(messages.BodyType.genm, der.encode(der.SEQUENCE, questions))
    assert cmp_office.failure(office.answer(sent)) == "badDataFormat"
