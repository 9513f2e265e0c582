"""Sign responses ahead of need, and have every process use them."""

import datetime
import logging
import pathlib

from ocsp import preproduced, responder, responder_key
from pki import clock, errors

log = logging.getLogger(__name__)


class StockKeeper:
    """A folder with a file of responses for each issuer.

    One process produces, each loads. Responses are sent for half of their life; they are made
    anew after a quarter of it, so that a run has another quarter to finish.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        answering: responder.Responder,
        statuses: preproduced.Statuses,
    ) -> None:
        """Take the folder, whose answers it is for, and where certificates are enumerated."""
        self._folder = folder
        self._answering = answering
        self._statuses = statuses
        self._made: dict[str, tuple[datetime.datetime, responder_key.ResponderKey]] = {}
        self._loaded: dict[str, tuple[tuple[int, int], preproduced.PreproducedFile]] = {}
        answering.use_preproduced({})

    def produce(self, at: datetime.datetime) -> int:
        """Sign about the certificates of each issuer where it is time; return how many responses.

        Raises:
            DeviceError, PeerError, StorageError: It is tried again next time.
        """
        count = 0
        validity = self._answering.validity
        for issuer in self._answering.issuers:
            key = next((one for one in issuer.newest_first if one.is_valid_at(at)), None)
            made_at, made_by = self._made.get(issuer.name, (None, None))
            if key is None or (made_by is key and made_at and at < made_at + validity / 4):
                continue
            if made_at is not None and at < made_at:
                # The clock went back: what would be signed now is older than what was.
                continue
            this_update = clock.whole_seconds(at)
            path = preproduced.path_of(self._folder, issuer.name)
            found = preproduced.produce(
                path, issuer, key, self._statuses(issuer.name), this_update, validity
            )
            self._made[issuer.name] = this_update, key
            log.info("responses_preproduced issuer=%s count=%d", issuer.name, found)
            count += found
        return count

    def load(self) -> bool:
        """Use the files that are there now; return whether any changed."""
        found: dict[str, tuple[tuple[int, int], preproduced.PreproducedFile]] = {}
        for issuer in self._answering.issuers:
            path = preproduced.path_of(self._folder, issuer.name)
            before = self._loaded.get(issuer.name)
            try:
                state = path.stat()
                version = state.st_ino, state.st_mtime_ns
                if before is None or before[0] != version:
                    file = preproduced.PreproducedFile(path, issuer)
                    if before is None or file.this_update >= before[1].this_update:
                        before = version, file
            except FileNotFoundError:
                continue
            except errors.ImzaError as error:
                log.warning("preproduced_refused issuer=%s code=%s", issuer.name, error.code)
            if before is not None:
                found[issuer.name] = before
        if found == self._loaded:
            return False
        self._loaded = found
        self._answering.use_preproduced({name: file for name, (_, file) in found.items()})
        return True
