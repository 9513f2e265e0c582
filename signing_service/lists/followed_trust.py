"""What a service trusts as time goes by: its own anchors, and trusted lists read again and again.

A list that cannot be read again stays in force until its next update has passed; then nothing of it
is trusted any more, as if it had never been there.
"""

import datetime
import logging
import threading
from collections.abc import Sequence

from pki import certificates, errors
from signing_service import trust
from signing_service.lists import listed_services, trust_sources, trusted_lists

log = logging.getLogger(__name__)

REFRESH = datetime.timedelta(hours=1)
"""Lists are read again after this; the Union's rules count on a day."""
RETRY = datetime.timedelta(minutes=1)
"""When a list that could not be read is tried again."""


class FollowedTrust:
    """Anchors that stay, and those of trusted lists; safe to use from several threads."""

    def __init__(
        self,
        own: trust.TrustAnchors,
        sources: trust_sources.TrustSources,
        addresses: Sequence[str],
    ) -> None:
        """Take the lists' addresses; `refresh` reads them."""
        self._own = own
        self._sources = sources
        self._addresses = tuple(addresses)
        self._due = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        self._lists: dict[str, tuple[trusted_lists.TrustedList, ...]] = {}
        self._lock = threading.Lock()

    def refresh(self, at: datetime.datetime) -> None:
        """Read the lists again if it is time; a list that cannot be read is logged and kept."""
        if not self._addresses or at < self._due:
            return
        complete = True
        for address in self._addresses:
            try:
                found = self._newest(self._sources.read_list(address, self._own))
            except errors.ImzaError as error:
                complete = False
                log.warning("trusted_list_not_read address=%s code=%s", address, error.code)
                continue
            with self._lock:
                self._lists[address] = found
        self._due = at + (REFRESH if complete else RETRY)

    def _newest(
        self, found: Sequence[trusted_lists.TrustedList]
    ) -> tuple[trusted_lists.TrustedList, ...]:
        """The lists that were read; for one older than what is in use of it, the one in use.

        An old list may be within its next update, and name an authority that was withdrawn since
        (TS 119 612 5.3.2). It keeps no other country's list from being renewed. A `list_memory`
        knows the numbers of former runs too.

        Raises:
            RolledBackListError: The first of them is older, by whose word the others stand.
        """
        used: dict[tuple[str, str], trusted_lists.TrustedList] = {}
        with self._lock:
            for one in (one for group in self._lists.values() for one in group):
                known = used.setdefault((one.territory, one.list_type), one)
                if one.sequence_number > known.sequence_number:
                    used[one.territory, one.list_type] = one
        kept = []
        for one in found:
            newer = used.get((one.territory, one.list_type))
            if newer is None or newer.sequence_number <= one.sequence_number:
                kept.append(one)
                continue
            if not kept:
                raise trusted_lists.RolledBackListError(
                    f"the trusted list has number {one.sequence_number}, and"
                    f" {newer.sequence_number} is in use"
                )
            log.warning(
                "trusted_list_rolled_back territory=%s number=%d used=%d",
                one.territory, one.sequence_number, newer.sequence_number,
            )  # fmt: skip
            kept.append(newer)
        return tuple(kept)

    def anchors(self, at: datetime.datetime) -> trust.TrustAnchors:
        """Return what is trusted now.

        Args:
            at: The real present, whatever time a document is judged at.
        """
        found = {certificates.to_der(one): one for one in self._own.certificates}
        services: list[listed_services.ListedService] = []
        for listed in self._in_force(at):
            for anchor in listed.anchors(at).certificates:
                found[certificates.to_der(anchor)] = anchor
            services += listed.services
        return trust.TrustAnchors(tuple(found.values()), tuple(services))

    def _in_force(self, at: datetime.datetime) -> list[trusted_lists.TrustedList]:
        with self._lock:
            lists = tuple(self._lists.values())
        # A list of lists comes first, and the countries' lists stand by its word.
        return [
            one
            for group in lists
            if _is_in_force(group[0], at)
            for one in group
            if _is_in_force(one, at)
        ]


def _is_in_force(listed: trusted_lists.TrustedList, at: datetime.datetime) -> bool:
    return listed.next_update is not None and at < listed.next_update
