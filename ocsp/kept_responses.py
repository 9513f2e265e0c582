"""Responses that were signed for one and are sent to others who ask the same.

Whether one may still be sent is the responder's to say: it compares the status that the response
tells with the one that is known now, every time.
"""

import collections
import dataclasses
import datetime
import threading
from collections.abc import Sequence

from ocsp import answers, responder_key
from pki import status

DEFAULT_BYTES = 64 * 2**20
"""About 40,000 responses of a P-256 key."""

_OVERHEAD = 700
"""What an entry takes in memory besides its request and response."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """A response about one certificate, without a nonce.

    Attributes:
        request_der: The request that it answers.
        answer: The response.
        issuer_name: Which certificate it is about, with `serial_number`.
        serial_number: See there.
        status: What it says.
        key: Signed it.
        this_update: Since when it says so.
        fresh_until: When it is to be replaced, well before its nextUpdate.
    """

    request_der: bytes = dataclasses.field(repr=False)
    answer: answers.Answer
    issuer_name: str
    serial_number: int
    status: status.CertificateStatus
    key: responder_key.ResponderKey
    this_update: datetime.datetime
    fresh_until: datetime.datetime


class KeptResponses:
    """Responses by their requests, those used last; safe to use from several threads."""

    def __init__(self, limit_bytes: int = DEFAULT_BYTES) -> None:
        """Take no more memory than so many bytes; 0 keeps nothing."""
        self._limit = limit_bytes
        self._size = 0
        self._kept: collections.OrderedDict[bytes, Kept] = collections.OrderedDict()
        self._requests: dict[tuple[str, int], tuple[bytes, ...]] = {}
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """How much memory the responses take."""
        return self._size

    def find(self, request_der: bytes) -> Kept | None:
        """Return the response to exactly this request."""
        kept = self._kept.get(request_der)
        if kept is not None:
            with self._lock:
                # Another thread may have dropped it in between.
                if request_der in self._kept:
                    self._kept.move_to_end(request_der)
        return kept

    def about(self, issuer_name: str, serial_number: int) -> Sequence[Kept]:
        """Return the responses about one certificate, however it was named."""
        with self._lock:
            requests = self._requests.get((issuer_name, serial_number), ())
            return [self._kept[one] for one in requests]

    def keep(self, kept: Kept) -> None:
        """Keep a response, and forget those used longest ago where there is no room."""
        certificate = kept.issuer_name, kept.serial_number
        with self._lock:
            self._drop(kept.request_der)
            self._kept[kept.request_der] = kept
            self._requests[certificate] = (*self._requests.get(certificate, ()), kept.request_der)
            self._size += _size(kept)
            while self._size > self._limit:
                self._drop(next(iter(self._kept)))

    def forget(self, issuer_name: str, serial_number: int) -> None:
        """Forget the responses about one certificate."""
        if (issuer_name, serial_number) not in self._requests:
            return
        with self._lock:
            for request_der in self._requests.get((issuer_name, serial_number), ()):
                self._drop(request_der)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._requests.clear()
            self._size = 0

    def _drop(self, request_der: bytes) -> None:
        kept = self._kept.pop(request_der, None)
        if kept is None:
            return
        certificate = kept.issuer_name, kept.serial_number
        self._size -= _size(kept)
        left = tuple(one for one in self._requests[certificate] if one != request_der)
        if left:
            self._requests[certificate] = left
        else:
            del self._requests[certificate]


def _size(kept: Kept) -> int:
    return len(kept.request_der) + len(kept.answer.response_der) + _OVERHEAD
