"""Read the requests that nearly everybody sends without taking them apart.

What stands before the serial number is the same in every question about an issuer's certificates,
and what stands before a nonce depends on its length alone. So the bytes are compared with what
they must be; `messages.parse_request` reads whatever is not of this shape.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ocsp import cert_id, messages
from pki import der

_MAX_SERIAL_OCTETS = 21
"""Twenty (RFC 5280 4.1.2.2), and a sign octet for those who do not count it."""

_SHORTEST_LIST = 60
"""A list of one certificate, named by SHA-1, takes more octets."""

_NULL = b"\x05\x00"


class Question(NamedTuple):
    """A status request whose identifiers all name one issuer.

    A tuple and no dataclass, as one is made for every request.

    Attributes:
        issuer: As every identifier names it.
        cert_ids: Which certificates are meant.
        nonce: What must come back.
        canonical: One certificate, named by SHA-1 with NULL parameters, and no nonce: what
            `build_request` and nearly every client send.
    """

    issuer: cert_id.IssuerID
    cert_ids: tuple[cert_id.CertID, ...]
    nonce: bytes | None
    canonical: bool = False


class _Beginning(NamedTuple):
    """What a Request begins with, up to the content of its serial number."""

    issuer: cert_id.IssuerID
    serial_octets: int
    canonical: bool


def _encode_headers(size: int) -> bytes:
    """The headers of OCSPRequest and TBSRequest around so many octets."""
    inner = der.encode_header(der.SEQUENCE, size)
    return der.encode_header(der.SEQUENCE, len(inner) + size) + inner


_LONGEST = 1024
"""A request for ten certificates; longer ones are read in full."""

_HEADERS = {
    len(headers) + size: headers for size in range(_LONGEST) for headers in (_encode_headers(size),)
}
"""From the length of a request to what it begins with."""

_NONCES = {
    len(encoded): encoded[:-octets]
    for octets in range(1, messages.MAX_NONCE_OCTETS + 1)
    for encoded in (messages.encode_nonce(bytes(octets), 0xA2),)
}
"""From the length of [2] requestExtensions with a nonce alone to what stands before the nonce."""


class RequestReader:
    """Knows how requests about some issuers begin."""

    def __init__(self, issuers: Iterable[cert_id.IssuerID]) -> None:
        """Encode the beginnings."""
        self._beginnings: dict[bytes, _Beginning] = {}
        self._sizes: tuple[int, ...] = ()
        known = tuple(issuers)
        for parameters in (_NULL, b""):
            for issuer in known:
                for octets in range(1, _MAX_SERIAL_OCTETS + 1):
                    self._add(issuer, parameters, octets)

    def _add(self, issuer: cert_id.IssuerID, parameters: bytes, octets: int) -> None:
        named = cert_id.encode(issuer, bytes(octets), parameters)
        beginning = der.encode(der.SEQUENCE, named)[:-octets]
        canonical = issuer.hash_algorithm is cert_id.CertIDHash.SHA1 and parameters == _NULL
        self._beginnings[beginning] = _Beginning(issuer, octets, canonical)
        if len(beginning) not in self._sizes:
            self._sizes += (len(beginning),)

    def read(self, request_der: bytes) -> Question | None:
        """Return what is asked, exactly as `messages.parse_request` reads it.

        None where the request is of another shape, be it right or wrong, or names an issuer that
        is not known here.
        """
        whole = len(request_der)
        headers = _HEADERS.get(whole)
        if headers is None or not request_der.startswith(headers):
            return None
        # TBSRequest begins with the list: no version, which is 1 by default, and no name.
        start = len(headers)
        if whole < start + _SHORTEST_LIST or request_der[start] != der.SEQUENCE:
            return None
        size = request_der[start + 1]
        start += 2
        if size & 0x80:
            if size == 0x81:
                size = request_der[start]
                start += 1
                shortest = 0x80
            elif size == 0x82:
                size = request_der[start] << 8 | request_der[start + 1]
                start += 2
                shortest = 0x100
            else:
                return None
            if size < shortest:
                return None
        end = start + size
        if end > whole:
            return None
        nonce = None
        if end < whole:
            before = _NONCES.get(whole - end)
            if before is None or not request_der.startswith(before, end):
                return None
            nonce = request_der[end + len(before) :]
        return self._read_list(request_der, start, end, nonce)

    def _read_list(
        self, request_der: bytes, start: int, end: int, nonce: bytes | None
    ) -> Question | None:
        asked: list[cert_id.CertID] = []
        found = issuer = None
        while start < end:
            for size in self._sizes:
                found = self._beginnings.get(request_der[start : start + size])
                if found is not None:
                    break
            else:
                return None
            following = start + size + found.serial_octets
            number = request_der[start + size : following]
            # The shortest form of a number that is not negative; the rest is read in full.
            if following > end or number[0] & 0x80:
                return None
            if number[0] == 0 and len(number) > 1 and not number[1] & 0x80:
                return None
            if issuer is not None and found.issuer is not issuer:
                return None
            issuer = found.issuer
            # The header of Request is two octets, as a CertID is far below 128.
            encoded = request_der[start + 2 : following]
            asked.append(cert_id.CertID(issuer, int.from_bytes(number, "big"), encoded))
            start = following
        if issuer is None or found is None or len(asked) > messages.MAX_CERTS_PER_REQUEST:
            return None
        canonical = found.canonical and nonce is None and len(asked) == 1
        return Question(issuer, tuple(asked), nonce, canonical)
