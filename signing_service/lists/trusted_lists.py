"""Trusted lists as a source of trust (TS 119 612): read, authenticated, and then believed.

A list names authorities, so whoever can write one decides whom we trust. It is believed only when
its signature covers all of it and was made with a certificate that was handed in for this, or with
one that the handed-in roots certified for signing lists and that is not revoked. What is read is
exactly what was signed. A list past its next update, or older than one seen before, is refused.
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Callable, Sequence

from cryptography import x509
from lxml import etree

from pki import (
    algorithms,
    certificates,
    errors,
    oids,
    xades_elements,
    xml_algorithms,
    xml_signature,
    xml_trees,
)
from signing_service import trust
from signing_service.lists import list_pointers, listed_services
from signing_service.validation import evidence
from signing_service.validation.certificates import paths

MAX_LIST_BYTES = 16 * 2**20
"""The largest national list in Europe has some 6 MB."""
MAX_SERVICES = 5000
"""The largest national list names some hundreds."""
CLOCK_TOLERANCE = datetime.timedelta(minutes=5)
"""How far ahead of ours the clock of a list's operator may be."""

_HASHES = frozenset({"sha256", "sha384", "sha512"})

FetchIssuer = Callable[[str], bytes]
FetchStatuses = Callable[[Sequence[evidence.MissingStatus]], evidence.Evidence]


class UntrustedListError(errors.PolicyError):
    """The list's signature is not known to be its operator's: nothing in it is believed."""

    code = "trusted-list-not-authenticated"


class ExpiredListError(errors.PolicyError):
    """The list should have been replaced: it may tell of services that were withdrawn since."""

    code = "trusted-list-expired"


class RolledBackListError(errors.PolicyError):
    """A newer list of the same scheme was seen before."""

    code = "trusted-list-rolled-back"


@dataclasses.dataclass(frozen=True)
class TrustedList:
    """What a list says.

    Attributes:
        territory: Of its scheme.
        list_type: Its TSLType.
        sequence_number: Higher than that of every earlier list.
        issued_at: When it was issued.
        next_update: When the next one is there at the latest; None: the scheme has ended.
        services: All of them, whatever their status.
        sha256: Of the bytes that were signed.
        pointers: To other lists.
        information_urls: Where more about the scheme is; a list of lists has its pivots there.
    """

    territory: str
    list_type: str
    sequence_number: int
    issued_at: datetime.datetime
    next_update: datetime.datetime | None
    services: tuple[listed_services.ListedService, ...]
    sha256: str
    pointers: tuple[list_pointers.ListPointer, ...] = ()
    information_urls: tuple[str, ...] = ()

    def anchors(self, at: datetime.datetime) -> trust.TrustAnchors:
        """The certificates that the list makes trustworthy at a time.

        Authorities of granted CA/QC services, and units of granted TSA/QTST services. A service
        for time stamps that is named by an authority's certificate is left out: an anchor here is
        not bound to a purpose, and such an authority might issue signing certificates too.
        """
        found: dict[bytes, x509.Certificate] = {}
        for one in self.services:
            if one.status != listed_services.GRANTED or one.since > at:
                continue
            for certificate in one.certificates:
                is_authority = certificates.read(certificate).is_authority
                if (one.kind == listed_services.CA_QC and is_authority) or (
                    one.kind == listed_services.QTST and not is_authority
                ):
                    found[certificates.to_der(certificate)] = certificate
        return trust.TrustAnchors(tuple(found.values()))


@dataclasses.dataclass(frozen=True)
class Authenticator:
    """Decides whose lists are believed.

    Attributes:
        signers: Certificates that were handed in as those of list signers.
        roots: Where the path of another signer's certificate must end.
        fetch_issuer: Gets the certificate that issued a signer's, by its address; None: offline.
        fetch_statuses: Gets the statuses of a path's certificates; None: offline.
    """

    signers: tuple[x509.Certificate, ...] = ()
    roots: tuple[x509.Certificate, ...] = ()
    fetch_issuer: FetchIssuer | None = None
    fetch_statuses: FetchStatuses | None = None

    def read(self, list_xml: bytes, at: datetime.datetime) -> TrustedList:
        """Return what an authentic list says.

        Args:
            list_xml: The signed list.
            at: The real present: a list is not believed for the time at which it was good.

        Raises:
            TrustedListError: It is no trusted list.
            UntrustedListError: Its signature does not cover it, does not verify, or was made by
                somebody who may not.
            ExpiredListError: Its next update has passed, or its scheme has ended.
        """
        found = self._read_authentic(list_xml, at)
        if found.next_update is None:
            raise ExpiredListError("the trusted list is the last one of a scheme that has ended")
        if found.next_update <= at:
            raise ExpiredListError(
                f"the trusted list should have been replaced by {found.next_update:%Y-%m-%d %H:%M}"
                " UTC: get the present one"
            )
        return found

    def read_past(self, list_xml: bytes, at: datetime.datetime) -> TrustedList:
        """Return what an authentic list said that may have been replaced since: a pivot.

        Its signer's certificate has to be one that was handed in, and may have ended.

        Raises:
            TrustedListError, UntrustedListError: As `read`.
        """
        return self._read_authentic(list_xml, at, is_past=True)

    def _read_authentic(
        self, list_xml: bytes, at: datetime.datetime, *, is_past: bool = False
    ) -> TrustedList:
        root = _read_root(list_xml)
        signature = _signature_of(root)
        signer = _signer_of(signature)
        octets = _signed_octets(root, signature, signer)
        if not is_past:
            self._check_signer(signer, at)
        elif signer not in self.signers:
            raise UntrustedListError("the pivot was signed by somebody who is not known")
        found = parse(octets)
        if found.issued_at > at + CLOCK_TOLERANCE:
            raise UntrustedListError("the trusted list was issued in the future: check the clock")
        return found

    def _check_signer(self, signer: x509.Certificate, at: datetime.datetime) -> None:
        if not signer.not_valid_before_utc <= at <= signer.not_valid_after_utc:
            raise UntrustedListError(
                "the certificate of the trusted list's signer is not valid now"
            )
        if signer in self.signers:
            return
        if oids.TRUSTED_LIST_SIGNING not in certificates.read(signer).extended_key_usage:
            raise UntrustedListError(
                "the trusted list is signed with a certificate that was not handed in for it and is"
                " not for signing lists"
            )
        known = evidence.Evidence(certificates_der=[certificates.to_der(signer)])
        anchors = trust.TrustAnchors(self.roots)
        verdict = self._judge(signer, known, anchors, at)
        if not verdict.path and anchors.certificates and self.fetch_issuer is not None:
            for url in certificates.read(signer).ca_issuers_urls[:1]:
                known.add(certificates_der=[self.fetch_issuer(url)])
            verdict = self._judge(signer, known, anchors, at)
        if verdict.missing and self.fetch_statuses is not None:
            fetched = self.fetch_statuses(verdict.missing)
            fetched.add(certificates_der=list(known.certificates))
            verdict = self._judge(signer, fetched, anchors, at)
        if verdict.sub_indication is not None:
            raise UntrustedListError(
                f"the trusted list's signer is not known to be its operator: {verdict.message};"
                " hand in the signer's certificate or the list's own root"
            )

    def _judge(
        self,
        signer: x509.Certificate,
        known: evidence.Evidence,
        anchors: trust.TrustAnchors,
        at: datetime.datetime,
    ) -> paths.PathVerdict:
        return paths.judge(
            signer,
            evidence=known,
            anchors=anchors,
            at=at,
            role=paths.Role.SIGNER,
            proven=False,
        )


def parse(list_xml: bytes) -> TrustedList:
    """Return what a list says, whoever wrote it: nothing of it may be believed yet.

    Raises:
        listed_services.TrustedListError: It is no trusted list.
    """
    root = _read_root(list_xml)
    try:
        information = xml_trees.child(root, _name("SchemeInformation"))
        next_update = xml_trees.child(information, _name("NextUpdate")).find(_name("dateTime"))
        territory = listed_services.text(information, "SchemeTerritory")
        listed = tuple(
            dataclasses.replace(listed_services.read(one), territory=territory)
            for one in root.iter(_name("TSPService"))
        )
        if len(listed) > MAX_SERVICES:
            raise listed_services.TrustedListError(
                f"expected at most {MAX_SERVICES} services in a trusted list"
            )
        return TrustedList(
            territory=territory,
            list_type=listed_services.text(information, "TSLType"),
            sequence_number=_number(listed_services.text(information, "TSLSequenceNumber")),
            issued_at=listed_services.moment(
                listed_services.text(information, "ListIssueDateTime")
            ),
            next_update=None
            if next_update is None
            else listed_services.moment(xml_trees.read_text(next_update)),
            services=listed,
            sha256=hashlib.sha256(list_xml).hexdigest(),
            pointers=list_pointers.read(information),
            information_urls=_information_urls(information),
        )
    except (xml_trees.XMLSignatureError, certificates.CertificateError) as error:
        raise listed_services.TrustedListError(
            f"the trusted list cannot be read: {error.message}"
        ) from error


def _information_urls(information: etree._Element) -> tuple[str, ...]:
    holder = information.find(_name("SchemeInformationURI"))
    found = () if holder is None else map(xml_trees.read_text, holder.iterfind(_name("URI")))
    return tuple(dict.fromkeys(found))


def _read_root(list_xml: bytes) -> etree._Element:
    if len(list_xml) > MAX_LIST_BYTES:
        raise errors.LimitError(f"expected a trusted list of at most {MAX_LIST_BYTES} bytes")
    try:
        root = xml_trees.parse(list_xml).getroot()
    except xml_trees.XMLUnreadableError as error:
        raise listed_services.TrustedListError(error.message) from error
    if root.tag != _name("TrustServiceStatusList"):
        raise listed_services.TrustedListError(
            "expected a trusted list (TrustServiceStatusList), got other XML"
        )
    return root


def _signature_of(root: etree._Element) -> etree._Element:
    """The one signature, which stands where TS 119 612 puts it and nowhere else."""
    found = xml_signature.signatures_in(root)
    if len(found) != 1 or found[0].getparent() is not root:
        raise UntrustedListError(f"expected one signature at the list's end, got {len(found)}")
    return found[0]


def _signer_of(signature: etree._Element) -> x509.Certificate:
    try:
        key_info = xml_trees.child(signature, xml_signature.name("KeyInfo"))
        holder = next(key_info.iter(xml_signature.name("X509Certificate")), None)
        if holder is None:
            raise UntrustedListError("the trusted list does not carry its signer's certificate")
        return certificates.parse(xml_trees.read_base64(holder))
    except (xml_trees.XMLSignatureError, certificates.CertificateError) as error:
        raise UntrustedListError(
            f"the certificate of the trusted list's signer cannot be read: {error.message}"
        ) from error


def _signed_octets(
    root: etree._Element, signature: etree._Element, signer: x509.Certificate
) -> bytes:
    """Verify the signature and return exactly the bytes of the list that it covers."""
    try:
        method = xml_signature.check_value(signature, certificates.public_key(signer))
        references = xml_signature.check_references(signature)
        if method.digest_algorithm not in _HASHES or method.scheme not in (
            "ECDSA",
            "RSA",
            "RSA-PSS",
        ):
            raise UntrustedListError("the trusted list is signed with an algorithm too weak for it")
        if any(one.digest_algorithm not in _HASHES for one in references):
            raise UntrustedListError("the trusted list is hashed with an algorithm too weak for it")
        whole = [one for one in references if one.whole_document and one.element is root]
        if len(whole) != 1:
            raise UntrustedListError("the signature does not cover the whole trusted list")
        _check_signing_certificate(signature, references, signer)
    except (xml_trees.XMLSignatureError, algorithms.UnsupportedAlgorithmError) as error:
        raise UntrustedListError(f"the trusted list does not verify: {error.message}") from error
    return whole[0].octets


def _check_signing_certificate(
    signature: etree._Element,
    references: Sequence[xml_signature.SignedReference],
    signer: x509.Certificate,
) -> None:
    """XAdES baseline B: the signature names its own certificate (EN 319 132-1 5.2.2)."""
    for one in references:
        element = one.element
        if one.type_uri != xades_elements.SIGNED_PROPERTIES_TYPE or element is None:
            continue
        if element.tag != xades_elements.name("SignedProperties"):
            continue
        if signature not in element.iterancestors():
            continue
        for digest in element.iter(xades_elements.name("CertDigest")):
            method = xml_trees.child(digest, xml_signature.name("DigestMethod"))
            try:
                algorithm = xml_algorithms.read_digest_method(method)
            except xml_algorithms.UnknownAlgorithmError as error:
                raise UntrustedListError(error.message) from error
            value = xml_trees.read_base64(
                xml_trees.child(digest, xml_signature.name("DigestValue"))
            )
            der = certificates.to_der(signer)
            if algorithm in _HASHES and hashlib.new(algorithm, der).digest() == value:
                return
    raise UntrustedListError("the signature does not say which certificate it was made with")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < 1:
        raise listed_services.TrustedListError(
            "expected a sequence number above zero in the trusted list"
        )
    return int(text)


def _name(local: str) -> str:
    return f"{{{listed_services.TSL}}}{local}"
