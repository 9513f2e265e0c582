"""A responder's answers (RFC 6960 4.2.1) with everything encoded once that stays the same.

Of an answer only the identifiers, the statuses, the times, the nonce and the signature change;
encoding the rest anew would take several times as long as a signature.
"""

import datetime
import functools
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509

from ocsp import cert_id, messages
from pki import algorithms, certificates, der, der_types, status

_GOOD = messages.encode_status(status.CertificateStatus())
_UNKNOWN = messages.encode_status(None)

_MAX_FRAMES = 4096
"""Nonces have 128 lengths, ECDSA values a few; requests for many certificates make the rest."""


class Times(NamedTuple):
    """When a response was made and from when until when it holds, in DER.

    Attributes:
        produced_at: A GeneralizedTime.
        this_update: Likewise.
        next_update: Likewise, with its tag [0].
    """

    produced_at: bytes
    this_update: bytes
    next_update: bytes


def encode_times(
    produced_at: datetime.datetime, this_update: datetime.datetime, next_update: datetime.datetime
) -> Times:
    """Encode the times of a response."""
    return Times(
        der_types.encode_time(produced_at),
        der_types.encode_time(this_update),
        der.encode(0xA0, der_types.encode_time(next_update)),
    )


_sequence_header = functools.lru_cache(maxsize=_MAX_FRAMES)(
    functools.partial(der.encode_header, der.SEQUENCE)
)


class ResponseTemplate:
    """What one responder's answers are made from."""

    def __init__(
        self,
        certificate: x509.Certificate,
        kind: algorithms.KeyKind,
        archive_cutoff: datetime.datetime,
    ) -> None:
        """Encode what stays.

        Args:
            certificate: The responder's, which every answer carries.
            kind: Of its key.
            archive_cutoff: Since when the issuer's statuses are kept (RFC 6960 4.4.4).
        """
        # RFC 6960 4.2.2.3: byKey is the SHA-1 of the responder's public key.
        key_hash = cert_id.key_hash(certificate, cert_id.CertIDHash.SHA1)
        self._responder = der.encode(0xA2, der.encode(der.OCTET_STRING, key_hash))
        self._algorithm = der_types.encode_key_algorithm(kind)
        self._certificates = der.encode(
            0xA0, der.encode(der.SEQUENCE, certificates.to_der(certificate))
        )
        self._archive_cutoff = archive_cutoff
        self._of_good = messages.encode_single_extensions(archive_cutoff, None)
        self._frames: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._good: tuple[Times | None, dict[tuple[int, int], tuple[bytes, bytes]]] = None, {}

    def response_data(
        self,
        asked: Sequence[tuple[cert_id.CertID, status.CertificateStatus | None]],
        times: Times,
        nonce: bytes | None,
    ) -> bytes:
        """Return the ResponseData, which is what is signed.

        Args:
            asked: Each certificate with its status; None is `unknown`.
            times: Of the response and of each certificate in it.
            nonce: The request's.
        """
        if len(asked) == 1 and (known := asked[0][1]) is not None and known.revoked_at is None:
            return self._one_good(asked[0], times, nonce)
        return self._encode_data(asked, times, nonce)

    def _one_good(
        self,
        asked: tuple[cert_id.CertID, status.CertificateStatus | None],
        times: Times,
        nonce: bytes | None,
    ) -> bytes:
        """About one good certificate; within a second only its CertID and the nonce change."""
        encoded = asked[0].encoded
        end = nonce or b""
        made_for, frames = self._good
        if made_for is not times:
            frames = {}
            self._good = times, frames
        sizes = len(encoded), len(end)
        frame = frames.get(sizes)
        if frame is None:
            # The nonce stands last, and the CertID, which holds two hashes, nowhere else.
            whole = self._encode_data((asked,), times, nonce)
            before, _, after = whole.partition(encoded)
            frame = frames[sizes] = before, after[: len(after) - len(end)]
        return b"".join((frame[0], encoded, frame[1], end))

    def _encode_data(
        self,
        asked: Sequence[tuple[cert_id.CertID, status.CertificateStatus | None]],
        times: Times,
        nonce: bytes | None,
    ) -> bytes:
        singles = b"".join([self._single(one, known, times) for one, known in asked])
        extensions = messages.encode_nonce(nonce, 0xA1) if nonce is not None else b""
        header = _sequence_header(len(singles))
        produced_at = times.produced_at
        size = (
            len(self._responder) + len(produced_at) + len(header) + len(singles) + len(extensions)
        )
        return b"".join(
            (_sequence_header(size), self._responder, produced_at, header, singles, extensions)
        )

    def response(self, response_data: bytes, value: bytes) -> bytes:
        """Return the successful OCSPResponse.

        Args:
            response_data: What `response_data` gave.
            value: The signature over it as X.509 carries it (DER for ECDSA).
        """
        sizes = len(response_data), len(value)
        frame = self._frames.get(sizes)
        if frame is None:
            if len(self._frames) >= _MAX_FRAMES:
                self._frames.clear()
            frame = self._frames[sizes] = self._encode_frame(*sizes)
        return b"".join((frame[0], response_data, frame[1], value, self._certificates))

    def _single(
        self, asked: cert_id.CertID, known: status.CertificateStatus | None, times: Times
    ) -> bytes:
        encoded = asked.encoded
        _, this_update, next_update = times
        if known is None:
            # Newer information of an unknown serial may come any moment (RFC 6960 4.2.2.1).
            said, next_update, extensions = _UNKNOWN, b"", b""
        elif known.revoked_at is None:
            said, extensions = _GOOD, self._of_good
        else:
            said = messages.encode_status(known)
            extensions = messages.encode_single_extensions(
                self._archive_cutoff, known.invalidity_date
            )
        size = len(encoded) + len(said) + len(this_update) + len(next_update) + len(extensions)
        return b"".join(
            (_sequence_header(size), encoded, said, this_update, next_update, extensions)
        )

    def _encode_frame(self, data_size: int, value_size: int) -> tuple[bytes, bytes]:
        """What stands before the ResponseData, and between it and the signature."""
        between = self._algorithm + der.encode_header(der.BIT_STRING, value_size + 1) + b"\x00"
        size = data_size + len(between) + value_size + len(self._certificates)
        before = der.encode_header(der.SEQUENCE, size)
        for tag, beginning in (
            (der.OCTET_STRING, messages.BASIC_RESPONSE),
            (der.SEQUENCE, b""),
            (0xA0, messages.SUCCESSFUL),
            (der.SEQUENCE, b""),
        ):
            before = beginning + der.encode_header(tag, len(before) + size) + before
        return before, between
