"""A list of trusted lists: who signs each country's list, and how that list itself is handed on.

Whoever trusts the signers of such a list once needs no more than that. When its signers change, its
operator publishes a pivot: a version signed by the old ones that names the new ones. Following the
pivots, oldest first, leads from signers known years ago to those of today.
"""

import dataclasses
import datetime
import logging
from collections.abc import Callable, Sequence

from cryptography import x509

from pki import certificates, errors
from signing_service.lists import list_pointers, listed_services, trusted_lists

log = logging.getLogger(__name__)

MAX_LISTS = 100
"""Lists that one list of lists is followed to; Europe has about thirty."""
MAX_PIVOTS = 50

Fetch = Callable[[str], bytes]


@dataclasses.dataclass(frozen=True)
class FollowedLists:
    """What came of following a list of lists.

    Attributes:
        lists: The lists it names that are authentic and present, and itself first.
        problems: By address, why a list is not believed: its country is left out, not the others.
    """

    lists: tuple[trusted_lists.TrustedList, ...]
    problems: tuple[tuple[str, str], ...]


def is_list_of_lists(list_xml: bytes) -> bool:
    """Whether a list says that it names other schemes' lists; nothing of it is believed by that.

    Raises:
        TrustedListError: It is no trusted list.
    """
    return trusted_lists.parse(list_xml).list_type.endswith(list_pointers.LIST_OF_LISTS)


def follow(
    list_xml: bytes,
    authenticator: trusted_lists.Authenticator,
    fetch: Fetch,
    at: datetime.datetime,
) -> FollowedLists:
    """Authenticate a list of lists, through its pivots where needed, and the lists that it names.

    Args:
        list_xml: The list of lists.
        authenticator: Knows signers of it, present ones or former.
        fetch: Gets what is at an address.
        at: The present.

    Raises:
        TrustedListError: It is no trusted list.
        UntrustedListError: No pivot leads from the known signers to those of this list.
        ExpiredListError: Its next update has passed.
    """
    signers = _signers_today(list_xml, authenticator, fetch, at)
    main = dataclasses.replace(authenticator, signers=signers).read(list_xml, at)
    found, problems = [main], []
    for pointer in _national(main.pointers):
        try:
            found.append(_read_national(pointer, fetch, at))
        except errors.ImzaError as error:
            log.warning("trusted_list_left_out territory=%s code=%s", pointer.territory, error.code)
            problems.append((pointer.location, error.message))
    return FollowedLists(tuple(found), tuple(problems))


def _signers_today(
    list_xml: bytes,
    authenticator: trusted_lists.Authenticator,
    fetch: Fetch,
    at: datetime.datetime,
) -> tuple[x509.Certificate, ...]:
    """Return the known signers, and those whom authentic pivots name after them."""
    try:
        authenticator.read(list_xml, at)
    except trusted_lists.UntrustedListError:
        # Where the pivots are is read from a list that nobody vouches for yet: each of them has
        # to be signed by somebody who is known, whatever address it comes from.
        addresses = trusted_lists.parse(list_xml).information_urls
    else:
        return authenticator.signers
    pivots: list[tuple[int, bytes]] = []
    for address in addresses[:MAX_PIVOTS]:
        try:
            content = fetch(address)
            pivots.append((trusted_lists.parse(content).sequence_number, content))
        except errors.ImzaError as error:
            # Among the addresses are pages for people, too.
            log.info("no_pivot code=%s", error.code)
    known = authenticator
    for _, content in sorted(pivots, key=lambda one: one[0]):
        try:
            pivot = known.read_past(content, at)
        except (trusted_lists.UntrustedListError, listed_services.TrustedListError) as error:
            # From before the signers that are known, or by somebody else.
            log.info("pivot_not_followed code=%s", error.code)
            continue
        own = [
            one
            for one in pivot.pointers
            if one.list_type == pivot.list_type and one.is_for_programs
        ]
        named = {certificates.to_der(one): one for pointer in own for one in pointer.signers}
        if named:
            known = dataclasses.replace(known, signers=tuple(named.values()))
    return known.signers


def _national(
    pointers: Sequence[list_pointers.ListPointer],
) -> list[list_pointers.ListPointer]:
    found = [
        one
        for one in pointers
        if one.is_for_programs
        and one.signers
        and not one.list_type.endswith(list_pointers.LIST_OF_LISTS)
    ]
    return found[:MAX_LISTS]


def _read_national(
    pointer: list_pointers.ListPointer, fetch: Fetch, at: datetime.datetime
) -> trusted_lists.TrustedList:
    """Read one country's list, which the signers alone may have signed whom the pointer names."""
    found = trusted_lists.Authenticator(pointer.signers).read(fetch(pointer.location), at)
    if pointer.territory and found.territory != pointer.territory:
        raise trusted_lists.UntrustedListError(
            f"expected the list of {pointer.territory[:8]}, got that of {found.territory[:8]}"
        )
    return found
