"""A certificate's form: its bytes without what differs from one subscriber to the next.

Two certificates of one form are the same byte for byte but for the serial number, the two times,
the values in the subject's name (its country excepted), the key, and the identifier made of the
key. The kinds of those values (string types, kinds of time, algorithm and size of the key) belong
to the form, and so do all extensions with every address in them.
"""

import hashlib
import threading

from pki import certificates, der, oids

MAX_FORMS = 1024
"""Profiles times authorities times kinds of key times kinds of name come to some dozens."""

_COUNTRY = der.encode_oid(oids.COUNTRY_NAME)


class KnownForms:
    """The forms that were judged in full in this process and found good."""

    def __init__(self) -> None:
        """Know none."""
        self._lock = threading.Lock()
        self._known: dict[bytes, None] = {}

    def knows(self, form: bytes) -> bool:
        """Whether a certificate of this form was found good."""
        return form in self._known

    def learn(self, form: bytes) -> None:
        """Remember a form; the one that was learnt first is forgotten where there are too many."""
        with self._lock:
            self._known[form] = None
            while len(self._known) > MAX_FORMS:
                del self._known[next(iter(self._known))]


def form_of(
    certificate_der: bytes, facts: certificates.CertificateFacts, judged_as: tuple[str, ...]
) -> bytes:
    """Return the hash of a certificate's form.

    Args:
        certificate_der: A certificate or a twin.
        facts: What it says.
        judged_as: What else the judgement depends on, such as the kind it is judged as.

    Raises:
        DERError: It is no certificate of version 3.
    """
    to_be_signed, algorithm, _ = der.read(certificate_der).expect(der.SEQUENCE).children()
    fields = to_be_signed.expect(der.SEQUENCE).children()
    if len(fields) != 8:
        # Without its extensions, or with the unique identifiers that RFC 5280 4.1.2.8 forbids.
        raise der.DERError(f"expected the eight fields of a certificate, got {len(fields)}")
    version, serial, inner_algorithm, issuer, validity, subject, key, extensions = fields
    parts = (
        "\0".join(judged_as).encode(),
        _whole(version),
        bytes((serial.tag,)),
        _whole(inner_algorithm),
        _whole(issuer),
        bytes(one.tag for one in validity.expect(der.SEQUENCE).children()),
        _form_of_name(subject),
        _form_of_key(key),
        _without(extensions.content, facts.subject_key_identifier),
        _whole(algorithm),
    )
    # Each part is preceded by its length, so that no two lists of parts have the same bytes.
    return hashlib.sha256(b"".join(der.encode(der.OCTET_STRING, one) for one in parts)).digest()


def _form_of_name(name: der.Element) -> bytes:
    parts = []
    for relative in name.expect(der.SEQUENCE).children():
        parts.append(b"(")
        for attribute in relative.expect(der.SET).children():
            kind, value = attribute.expect(der.SEQUENCE).children()
            kind_der = _whole(kind)
            # Which countries there are is for linters to know: theirs is part of the form.
            shown = _whole(value) if kind_der == _COUNTRY else bytes((value.tag,))
            parts += (kind_der, shown)
        parts.append(b")")
    return b"".join(parts)


def _form_of_key(key: der.Element) -> bytes:
    algorithm, value = key.expect(der.SEQUENCE).children()
    return _whole(algorithm) + bytes((value.tag,)) + len(value.content).to_bytes(4, "big")


def _without(extensions: bytes, key_identifier: bytes | None) -> bytes:
    """Blank the key's identifier where it stands once; otherwise leave all as it is."""
    if key_identifier is None or len(key_identifier) < 8 or extensions.count(key_identifier) != 1:
        return extensions
    return extensions.replace(key_identifier, bytes(len(key_identifier)))


def _whole(element: der.Element) -> bytes:
    return der.encode(element.tag, element.content)
