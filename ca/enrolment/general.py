"""Answers to general messages: certificates of the CAs, their CRLs, keys that are certified."""

import datetime
from collections.abc import Callable, Mapping

from sqlalchemy import orm

from ca import settings as ca_settings
from ca.crls import addresses, partitions, published
from ca.enrolment import messages, requests
from pki import algorithms, certificates, der, der_types, registry

SIGN_KEY_PAIR_TYPES = "1.3.6.1.5.5.7.4.2"
CURRENT_CRL = "1.3.6.1.5.5.7.4.6"
UNSUPPORTED_OIDS = "1.3.6.1.5.5.7.4.7"
CA_CERTS = "1.3.6.1.5.5.7.4.17"
ROOT_CA_KEY_UPDATE = "1.3.6.1.5.5.7.4.18"
CERT_REQ_TEMPLATE = "1.3.6.1.5.5.7.4.19"
ROOT_CA_CERT = "1.3.6.1.5.5.7.4.20"
CRL_STATUS_LIST = "1.3.6.1.5.5.7.4.22"
CRLS = "1.3.6.1.5.5.7.4.23"

_REG_CTRL_ALG_ID = "1.3.6.1.5.5.7.5.1.11"
_REG_CTRL_RSA_KEY_LEN = "1.3.6.1.5.5.7.5.1.12"

_CURVES = (("1.2.840.10045.2.1", "1.2.840.10045.3.1.7"), ("1.2.840.10045.2.1", "1.3.132.0.34"))
_RSA_ENCRYPTION = "1.2.840.113549.1.1.1"

_UTC_TIME = 0x17


def answer(
    session: orm.Session,
    asked: tuple[requests.InfoTypeAndValue, ...],
    issuer_name: str,
    settings: ca_settings.Settings,
) -> bytes:
    """Return the body of the genp for a genm (RFC 9810 5.3.19, RFC 9483 4.3).

    Args:
        session: The database.
        asked: The questions; none at all asks for everything that needs no value.
        issuer_name: The CA that certifies, or certified, whoever asks.
        settings: Where CRLs are published.

    Raises:
        DERError: A question's value is malformed.
        CRLNotFoundError: The CA has published none.
    """
    simple: Mapping[str, Callable[[], tuple[str, bytes | None]]] = {
        SIGN_KEY_PAIR_TYPES: lambda: (SIGN_KEY_PAIR_TYPES, _key_pair_types()),
        CURRENT_CRL: lambda: (CURRENT_CRL, _newest_crl(session, issuer_name)),
        CA_CERTS: lambda: (CA_CERTS, _ca_certificates(session)),
        CERT_REQ_TEMPLATE: lambda: (CERT_REQ_TEMPLATE, _template()),
    }
    answers, unknown = [], []
    for one in asked or tuple(requests.InfoTypeAndValue(kind, None) for kind in simple):
        if one.kind in simple:
            answers.append(simple[one.kind]())
        elif one.kind == ROOT_CA_CERT:
            # RFC 9483 4.3.2: no value means that there is no newer root.
            answers.append((ROOT_CA_KEY_UPDATE, None))
        elif one.kind == CRL_STATUS_LIST:
            answers.append((CRLS, _newer_crls(session, one.value, settings)))
        else:
            unknown.append(der.encode_oid(one.kind))
    if unknown:
        answers.append((UNSUPPORTED_OIDS, der.encode(der.SEQUENCE, *unknown)))
    content = (
        der.encode(der.SEQUENCE, der.encode_oid(kind), value or b"") for kind, value in answers
    )
    return messages.encode_body(messages.BodyType.genp, der.encode(der.SEQUENCE, *content))


def _ca_certificates(session: orm.Session) -> bytes:
    # RFC 9483 4.3.1: those below the root; a root is trusted for other reasons.
    below = [one for one in registry.issuers(session) if one.issuer_name != one.name]
    return der.encode(der.SEQUENCE, *(certificates.to_der(one.certificate) for one in below))


def _newest_crl(session: orm.Session, issuer_name: str) -> bytes:
    newest = published.newest(session, addresses.Scope(issuer_name))
    return published.content(session, newest)


def _key_pair_types() -> bytes:
    rsa = der.encode(der.SEQUENCE, der.encode_oid(_RSA_ENCRYPTION), b"\x05\x00")
    return der.encode(der.SEQUENCE, *_curves(), rsa)


def _template() -> bytes:
    """A CertReqTemplateContent: a template that asks for nothing, and the keys (RFC 9483 4.3.3)."""
    specifications = [
        der.encode(der.SEQUENCE, der.encode_oid(_REG_CTRL_ALG_ID), one) for one in _curves()
    ]
    specifications.append(
        der.encode(
            der.SEQUENCE,
            der.encode_oid(_REG_CTRL_RSA_KEY_LEN),
            der_types.encode_integer(algorithms.MIN_RSA_BITS),
        )
    )
    return der.encode(
        der.SEQUENCE, der.encode(der.SEQUENCE), der.encode(der.SEQUENCE, *specifications)
    )


def _curves() -> list[bytes]:
    return [
        der.encode(der.SEQUENCE, der.encode_oid(kind), der.encode_oid(curve))
        for kind, curve in _CURVES
    ]


def _newer_crls(
    session: orm.Session, value: der.Element | None, settings: ca_settings.Settings
) -> bytes | None:
    """The CRLs of the sources asked for that are newer than what is there (RFC 9483 4.3.4)."""
    if value is None:
        raise der.DERError("expected the sources of the CRLs that are asked for")
    scopes = _sources(session, settings)
    found = []
    for one in value.expect(der.SEQUENCE).children()[: requests.MAX_INFO_TYPES]:
        fields = der_types.Fields(one)
        source = fields.take()
        present = fields.take_optional(der.GENERALIZED_TIME) or fields.take_optional(_UTC_TIME)
        fields.end()
        scope = scopes.get(_source_name(source))
        if scope is None:
            continue
        newest = published.newest(session, scope)
        if present is None or newest.this_update > _time(present):
            found.append(published.content(session, newest))
    return der.encode(der.SEQUENCE, *found) if found else None


def _time(element: der.Element) -> datetime.datetime:
    if element.tag == der.GENERALIZED_TIME:
        return der_types.decode_time(element)
    text = der.decode_text(element, _UTC_TIME)
    # RFC 5280 4.1.2.5.1: two digits of the year, from 1950 to 2049.
    century = b"19" if text[:2] >= "50" else b"20"
    return der_types.decode_time(der.Element(der.GENERALIZED_TIME, century + element.content))


def _sources(session: orm.Session, settings: ca_settings.Settings) -> dict[bytes, addresses.Scope]:
    found: dict[bytes, addresses.Scope] = {}
    for one in registry.issuers(session):
        for scope in partitions.scopes(session, one.name):
            found[settings.crl_url(one.name, scope.partition).encode()] = scope
        found[one.certificate.subject.public_bytes()] = addresses.Scope(one.name)
    return found


def _source_name(source: der.Element) -> bytes:
    """The address or the name of the issuer in a CRLSource; b"" for any other."""
    if source.tag == 0xA0:
        point = der_types.unwrap(source, 0xA0)
        first = point.expect(0xA0).children()[:1] if point.tag == 0xA0 else ()
        return first[0].content if first and first[0].tag == 0x86 else b""
    general_names = der_types.unwrap(source, 0xA1).expect(der.SEQUENCE).children()[:1]
    if not general_names or general_names[0].tag != 0xA4:
        return b""
    name = der_types.unwrap(general_names[0], 0xA4)
    return der.encode(name.tag, name.content)
