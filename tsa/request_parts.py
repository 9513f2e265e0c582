"""The parts of a request that a token repeats byte for byte, and the TSTInfo made around them.

Nearly all requests have one form, and of a TSTInfo only four parts change. Reading and writing
no more than that takes a few microseconds, where a P-256 signature takes twenty.
"""

import datetime
from typing import NamedTuple

from pki import algorithms, der, der_types
from tsa import messages

SERIAL_OCTETS = 18
"""Of every serial number that the authority gives; the first octet is neither zero nor negative."""


class RequestParts(NamedTuple):
    """What is asked for; a named tuple, because it is made for each token.

    Attributes:
        policy: The policy asked for, or None for the authority's own.
        imprint_der: The MessageImprint.
        nonce_der: The INTEGER, or nothing.
        cert_req: Whether the token shall hold the unit's certificate.
    """

    policy: str | None
    imprint_der: bytes
    nonce_der: bytes
    cert_req: bool


_SERIAL_HEADER = bytes((der.INTEGER, SERIAL_OCTETS))
_VERSION_1 = der_types.encode_integer(1)
_CERT_REQ = der.encode(der.BOOLEAN, b"\xff")
_IMPRINT_AT = 2 + len(_VERSION_1)


def _usual_imprints() -> dict[int, tuple[bytes, int]]:
    """What stands before the digest of an imprint, and where it ends, by the imprint's size.

    With and without NULL for the hash's parameters (RFC 5754 2); no two are of the same size.
    """
    found = {}
    for one in algorithms.HashAlgorithm:
        for parameters in (b"", b"\x05\x00"):
            algorithm = der_types.encode_hash_algorithm(one)[2:]
            imprint = der.encode(
                der.SEQUENCE,
                der.encode(der.SEQUENCE, algorithm, parameters),
                der.encode(der.OCTET_STRING, bytes(one.size)),
            )
            found[imprint[1]] = imprint[: -one.size], _IMPRINT_AT + len(imprint)
    return found


_USUAL_IMPRINTS = _usual_imprints()
_SHORTEST = min(end for _, end in _USUAL_IMPRINTS.values())


def read(request_der: bytes) -> RequestParts:
    """Read a request.

    Raises:
        RequestRefusedError: As `messages.parse_request` does.
    """
    return _read_usual(request_der) or parts_of(messages.parse_request(request_der))


def parts_of(request: messages.TimeStampRequest) -> RequestParts:
    """Return the parts of a request that was read."""
    nonce_der = der_types.encode_integer(request.nonce) if request.nonce is not None else b""
    return RequestParts(request.policy, request.imprint.to_der(), nonce_der, request.cert_req)


def _read_usual(request_der: bytes) -> RequestParts | None:
    """Read a request of the form that nearly all have: no policy, no extension, short lengths.

    Returns:
        None where anything at all is otherwise: then the whole reader decides.
    """
    size = len(request_der)
    if not _SHORTEST <= size < 0x82 or request_der[0] != der.SEQUENCE:
        return None
    if request_der[1] != size - 2 or request_der[2:_IMPRINT_AT] != _VERSION_1:
        return None
    usual = _USUAL_IMPRINTS.get(request_der[_IMPRINT_AT + 1])
    if usual is None or not request_der.startswith(usual[0], _IMPRINT_AT):
        return None
    end = usual[1]
    cert_req = request_der.endswith(_CERT_REQ)
    nonce_end = size - len(_CERT_REQ) if cert_req else size
    octets = nonce_end - end - 2
    if octets == -2:
        return RequestParts(None, request_der[_IMPRINT_AT:end], b"", cert_req)
    if not 1 <= octets <= der_types.MAX_INTEGER_OCTETS:
        return None
    if request_der[end] != der.INTEGER or request_der[end + 1] != octets:
        return None
    first = request_der[end + 2]
    # A zero in front is there for the sign of what follows, or is one too many.
    if first >= 0x80 or (first == 0 and (octets == 1 or request_der[end + 3] < 0x80)):
        return None
    imprint_der = request_der[_IMPRINT_AT:end]
    return RequestParts(None, imprint_der, request_der[end:nonce_end], cert_req)


class InfoTemplate:
    """The TSTInfo of one policy in one second: all but imprint, serial number and nonce."""

    def __init__(
        self,
        policy: str,
        gen_time: datetime.datetime,
        accuracy: datetime.timedelta,
        *,
        qualified: bool,
    ) -> None:
        """Encode what stays; see `messages.TSTInfo`."""
        self._begin = _VERSION_1 + der.encode_oid(policy)
        self._time = der_types.encode_time(gen_time) + messages.encode_accuracy(accuracy)
        self._end = messages.encode_qualified() if qualified else b""
        self._fixed = (
            len(self._begin)
            + len(_SERIAL_HEADER)
            + SERIAL_OCTETS
            + len(self._time)
            + len(self._end)
        )
        self._starts: dict[int, bytes] = {}

    def encode(self, parts: RequestParts, serial: bytes) -> bytes:
        """Return the TSTInfo in DER.

        Args:
            parts: Of the request.
            serial: The octets of the serial number, `SERIAL_OCTETS` of them.
        """
        changing = len(parts.imprint_der) + len(parts.nonce_der)
        start = self._starts.get(changing)
        if start is None:
            # A few sizes of digests and nonces, and no more: it stays small.
            size = self._fixed + changing
            start = der.encode_header(der.SEQUENCE, size) + self._begin
            self._starts[changing] = start
        return b"".join(
            (
                start,
                parts.imprint_der,
                _SERIAL_HEADER,
                serial,
                self._time,
                parts.nonce_der,
                self._end,
            )
        )
