"""A certificate's form: its bytes without what differs from one subscriber to the next.

Two certificates of one form are the same byte for byte but for the serial number, the two times,
the values in the subject's name (its country excepted), the key, and the identifier made of the
key. The kinds of those values (string types, kinds of time, algorithm and size of the key) belong
to the form, and so do all extensions with every address in them.
"""

import hashlib
import threading
from collections.abc import Hashable

from pki import certificates, der, oids

MAX_FORMS = 1024
"""Profiles times authorities times kinds of key times kinds of name come to some dozens."""

_COUNTRY = der.encode_oid(oids.COUNTRY_NAME)


class KnownForms:
    """The forms that were judged in full in this process and found good, with what they say."""

    def __init__(self) -> None:
        """Know none."""
        self._lock = threading.Lock()
        self._known: dict[Hashable, certificates.CertificateFacts] = {}

    def find(self, judged: Hashable) -> certificates.CertificateFacts | None:
        """What a certificate said that was found good in the same form and circumstances."""
        return self._known.get(judged)

    def learn(self, judged: Hashable, facts: certificates.CertificateFacts) -> None:
        """Remember a form; the one that was learnt first is forgotten where there are too many.

        Args:
            judged: The form, and all else that the judgement depended on.
            facts: What the certificate said.
        """
        with self._lock:
            self._known[judged] = facts
            while len(self._known) > MAX_FORMS:
                del self._known[next(iter(self._known))]


def form_of(certificate_der: bytes) -> bytes:
    """Return the hash of a certificate's form.

    Args:
        certificate_der: A certificate or a twin.

    Raises:
        DERError: It is no certificate of version 3.
    """
    data = certificate_der
    (whole,) = der.spans(data)[:1]
    to_be_signed, algorithm, value = _expect(der.spans(data, whole.content, whole.end), 3)
    # Without its extensions, or with the unique identifiers that RFC 5280 4.1.2.8 forbids, a
    # certificate has more or fewer.
    version, serial, inner_algorithm, issuer, validity, subject, key, extensions = _expect(
        der.spans(data, to_be_signed.content, to_be_signed.end), 8
    )
    key_algorithm, key_bits = _expect(der.spans(data, key.content, key.end), 2)
    parts = (
        bytes([one.tag for one in (whole, to_be_signed, value, serial, validity, subject, key)]),
        data[version.start : version.end],
        data[inner_algorithm.start : inner_algorithm.end],
        data[issuer.start : issuer.end],
        bytes([one.tag for one in der.spans(data, validity.content, validity.end)]),
        _form_of_name(data, subject),
        data[key_algorithm.start : key_algorithm.end],
        bytes((key_bits.tag,)) + (key_bits.end - key_bits.content).to_bytes(4, "big"),
        bytes((extensions.tag,)),
        _without(
            data[extensions.content : extensions.end],
            certificates.key_identifier(data[key_bits.content : key_bits.end]),
        ),
        data[algorithm.start : algorithm.end],
    )
    # Each part is preceded by its length, so that no two lists of parts have the same bytes.
    return hashlib.sha256(
        b"".join([part for one in parts for part in (len(one).to_bytes(4, "big"), one)])
    ).digest()


def _expect(found: list[der.Span], count: int) -> list[der.Span]:
    if len(found) != count:
        raise der.DERError(f"expected {count} parts of a certificate, got {len(found)}")
    return found


def _form_of_name(data: bytes, name: der.Span) -> bytes:
    parts = []
    for relative in der.spans(data, name.content, name.end):
        parts.append(bytes((relative.tag,)))
        for attribute in der.spans(data, relative.content, relative.end):
            kind, value = _expect(der.spans(data, attribute.content, attribute.end), 2)
            kind_der = data[kind.start : kind.end]
            # Which countries there are is for linters to know: theirs is part of the form.
            shown = data[value.start : value.end] if kind_der == _COUNTRY else bytes((value.tag,))
            parts += (bytes((attribute.tag,)), kind_der, shown)
        parts.append(b"\x00")
    return b"".join(parts)


def _without(extensions: bytes, key_identifier: bytes) -> bytes:
    """Blank the certified key's identifier where it stands once; otherwise leave all as it is.

    It is blanked only where it is the one made of the key, so another one is another form.
    """
    if extensions.count(key_identifier) != 1:
        return extensions
    return extensions.replace(key_identifier, bytes(len(key_identifier)))
