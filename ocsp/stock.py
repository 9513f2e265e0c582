"""The responses that were signed ahead of need, and when they may be sent."""

import datetime
import threading
from collections.abc import Iterable, Mapping

from ocsp import cert_id, preproduced
from pki import status

MAX_REMEMBERED = 100_000
"""So many certificates are remembered that were answered on demand; about 30 MB."""

_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Stock:
    """Files of responses by the issuer's name, and which certificates had newer answers since.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._files: dict[str, preproduced.PreproducedFile] = {}
        self._signed: dict[tuple[str, int], datetime.datetime] = {}
        self._signed_all = _LONG_AGO
        self._lock = threading.Lock()

    def replace(self, files: Mapping[str, preproduced.PreproducedFile]) -> None:
        """Take other files."""
        oldest = min((one.this_update for one in files.values()), default=_LONG_AGO)
        with self._lock:
            self._files = dict(files)
            self._signed = {one: at for one, at in self._signed.items() if at > oldest}

    def remember(
        self, issuer_name: str, serial_numbers: Iterable[int], at: datetime.datetime
    ) -> None:
        """Remember that certificates were answered on demand; no older answer may follow."""
        with self._lock:
            for one in serial_numbers:
                self._signed[issuer_name, one] = at
            if len(self._signed) > MAX_REMEMBERED:
                # Rather nothing of the present files than an old answer after a new one.
                self._signed = {}
                self._signed_all = at

    def find(
        self,
        issuer_name: str,
        asked: cert_id.CertID,
        known: status.CertificateStatus,
        at: datetime.datetime,
    ) -> tuple[preproduced.PreproducedFile, bytes] | None:
        """Return the response about a certificate, with its file, if it may be sent.

        It says what is known now, less than half of its life is over, and no answer about the
        certificate has a later thisUpdate.
        """
        file = self._files.get(issuer_name)
        if file is None:
            return None
        signed_at = max(
            self._signed.get((issuer_name, asked.serial_number), _LONG_AGO), self._signed_all
        )
        if not signed_at <= file.this_update <= at < file.fresh_until:
            return None
        response_der = file.find(asked, known)
        return None if response_der is None else (file, response_der)
