"""Where trust comes from: PEM files with anchors, and trusted lists as files or addresses."""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Sequence

from cryptography import x509

from pki import certificates, clock, durable_files, errors, outbound
from signing_service import trust
from signing_service.lists import list_of_lists, listed_services, trusted_lists
from signing_service.validation import evidence, fetching

LIST_TYPES = "application/vnd.etsi.tsl+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1"
MAX_MEMORY_BYTES = 2**20


class OfflineListError(errors.PolicyError):
    """A trusted list at an address, while nothing may be fetched."""

    code = "trusted-list-offline"


class ListMemoryError(errors.InputError):
    """The file that remembers which lists were seen cannot be read."""

    code = "trusted-list-memory"


@dataclasses.dataclass(frozen=True)
class TrustSources:
    """Reads what a person names as trustworthy.

    Attributes:
        present: Lists are judged by the real present, whatever time a document is judged at.
        client: Fetches lists, and the path of their signers; None fetches nothing.
        signers: PEM files with certificates of list signers.
        memory: A file that remembers the newest list of each scheme; None remembers nothing.
    """

    present: clock.Clock
    client: outbound.Client | None = None
    signers: tuple[pathlib.Path, ...] = ()
    memory: pathlib.Path | None = None

    def load(self, sources: Sequence[str]) -> trust.TrustAnchors:
        """Return the anchors of all sources together.

        Args:
            sources: Each a PEM file, a file with a trusted list, or the http(s) address of one.

        Raises:
            TrustFileError: A file cannot be read.
            UntrustedListError: A list is not authentic; ExpiredListError, RolledBackListError: it
                is not the present one. Nothing is trusted then, not even the other sources.
            PeerError: A list could not be fetched.
        """
        pems, lists = [], []
        for source in sources:
            if source.startswith(("http://", "https://")):
                lists.append(self._fetch(source))
            elif _holds_xml(path := pathlib.Path(source)):
                lists.append(path.read_bytes())
            else:
                pems.append(path)
        anchors = trust.load(pems)
        found = {certificates.to_der(one): one for one in anchors.certificates}
        services: list[listed_services.ListedService] = []
        for list_xml in lists:
            for listed in self._read(list_xml, anchors):
                for anchor in listed.anchors(self.present.now()).certificates:
                    found[certificates.to_der(anchor)] = anchor
                services += listed.services
        return trust.TrustAnchors(tuple(found.values()), tuple(services))

    def read_list(
        self, address: str, roots: trust.TrustAnchors
    ) -> Sequence[trusted_lists.TrustedList]:
        """Return the list at an http(s) address, or in a file; a list of lists with its lists.

        Args:
            address: Where it is.
            roots: Where the path of its signer's certificate may end.

        Raises:
            UntrustedListError, ExpiredListError, RolledBackListError, PeerError: As `load`.
        """
        if address.startswith(("http://", "https://")):
            return self._read(self._fetch(address), roots)
        path = pathlib.Path(address)
        if not _holds_xml(path):
            raise listed_services.TrustedListError(f"expected a trusted list in {path.name}")
        return self._read(path.read_bytes(), roots)

    def _read(
        self, list_xml: bytes, roots: trust.TrustAnchors
    ) -> Sequence[trusted_lists.TrustedList]:
        found = self._follow(list_xml, self._authenticator(roots), self.present.now())
        if self.memory is not None:
            for one in found:
                remember(self.memory, one)
        return found

    def _follow(
        self, list_xml: bytes, reader: trusted_lists.Authenticator, at: datetime.datetime
    ) -> Sequence[trusted_lists.TrustedList]:
        """Return a list, or a list of lists with those that it names."""
        if not list_of_lists.is_list_of_lists(list_xml):
            return (reader.read(list_xml, at),)
        return list_of_lists.follow(list_xml, reader, self._fetch, at).lists

    def _authenticator(self, anchors: trust.TrustAnchors) -> trusted_lists.Authenticator:
        signers = trust.load(self.signers).certificates
        roots: tuple[x509.Certificate, ...] = anchors.certificates
        client = self.client
        if client is None:
            return trusted_lists.Authenticator(signers, roots)
        fetch = fetching.fetcher(client, self.present)

        def fetch_statuses(missing: Sequence[evidence.MissingStatus]) -> evidence.Evidence:
            fetched = fetch(missing)
            return evidence.Evidence(ocsp_responses=fetched.ocsp_responses, crls=fetched.crls)

        return trusted_lists.Authenticator(
            signers,
            roots,
            fetch_issuer=lambda url: client.send("GET", url).body,
            fetch_statuses=fetch_statuses,
        )

    def _fetch(self, url: str) -> bytes:
        if self.client is None:
            raise OfflineListError(
                "a trusted list at an address cannot be read offline: hand it in as a file"
            )
        return self.client.send("GET", url, accept=LIST_TYPES).body


def remember(memory: pathlib.Path, listed: trusted_lists.TrustedList) -> None:
    """Note the number of a list, and refuse one that is older than what was noted before.

    TS 119 612 5.3.2 lets numbers grow only: a lower one is an old list that somebody plays back,
    and another list of the same number is somebody's mistake or worse.

    Raises:
        RolledBackListError: A newer list of the scheme was seen, or another one of this number.
        ListMemoryError: The file is not what was written.
    """
    noted = _read_memory(memory)
    scheme = f"{listed.territory} {listed.list_type}"
    number, sha256 = noted.get(scheme, (0, ""))
    if listed.sequence_number < number:
        raise trusted_lists.RolledBackListError(
            f"the trusted list has number {listed.sequence_number}, but number {number} of the same"
            " scheme was seen before"
        )
    if listed.sequence_number == number and listed.sha256 != sha256:
        raise trusted_lists.RolledBackListError(
            f"there are two different trusted lists of number {number}"
        )
    noted[scheme] = (listed.sequence_number, listed.sha256)
    content = {
        name: {"sequence_number": one, "sha256": digest} for name, (one, digest) in noted.items()
    }
    durable_files.replace(memory, json.dumps(content, indent=2, sort_keys=True).encode())


def _read_memory(memory: pathlib.Path) -> dict[str, tuple[int, str]]:
    try:
        if not memory.exists():
            return {}
        if memory.stat().st_size > MAX_MEMORY_BYTES:
            raise ListMemoryError(f"expected a list memory in {memory.name}, it is far too large")
        content = json.loads(memory.read_bytes())
        return {
            str(name): (int(one["sequence_number"]), str(one["sha256"]))
            for name, one in content.items()
        }
    except OSError as error:
        raise ListMemoryError(f"cannot read the list memory in {memory}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # Fail closed: a broken memory would let every old list in.
        raise ListMemoryError(f"{memory.name} does not hold a list memory") from error


def _holds_xml(path: pathlib.Path) -> bool:
    try:
        if path.stat().st_size > max(trust.MAX_PEM_BYTES, trusted_lists.MAX_LIST_BYTES):
            raise trust.TrustFileError(f"expected a PEM file or a trusted list in {path.name}")
        with path.open("rb") as file:
            beginning = file.read(512)
    except OSError as error:
        raise trust.TrustFileError(f"cannot read the trust anchors in {path}") from error
    return beginning.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
