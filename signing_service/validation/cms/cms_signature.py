"""CMS signatures of strangers, read and verified (RFC 5652, RFC 5035).

This module runs in a worker process with limits on time and memory: its library takes some lengths
badly.
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterable
from typing import Any

from asn1crypto import cms as asn1_cms
from asn1crypto import core as asn1_core
from asn1crypto import x509 as asn1_x509
from cryptography import x509

from pki import certificates, der, errors, originals
from signing_service.validation.certificates import foreign_certificates
from signing_service.validation.cms import ber, signature_values

ASN1_FAULTS = signature_values.ASN1_FAULTS
UnsupportedCMSError = signature_values.UnsupportedCMSError
ValueMismatchError = signature_values.ValueMismatchError

_BINDINGS = ("signing_certificate_v2", "signing_certificate")
MAX_BYTES = 20 * 2**20
"""Largest CMS that is looked at: long-term material inside stays far below."""


class CMSFormatError(errors.InputError):
    """The bytes are no CMS signature with one signer."""

    code = "cms-format"


class DigestMismatchError(errors.InputError):
    """The content is not what was signed."""

    code = "content-digest"


class AttributeOrderError(ValueMismatchError):
    """The value verifies over the attributes as they were sent, which is not the order of DER."""

    code = "signed-attributes-order"


@dataclasses.dataclass(frozen=True)
class CertificateBinding:
    """What the signing-certificate attribute says (RFC 5035).

    Attributes:
        present: There is such an attribute.
        matches: It names the signing certificate.
    """

    present: bool
    matches: bool


class Message:
    """A CMS SignedData with one signer."""

    def __init__(self, data: bytes, *, is_counter_signature: bool = False) -> None:
        """Read the structure; raises `CMSFormatError`.

        Args:
            data: BER or DER; what follows it is not looked at.
            is_counter_signature: The signer signs another one's value (RFC 5652 11.4).
        """
        if len(data) > MAX_BYTES:
            raise errors.LimitError(f"expected a CMS signature of at most {MAX_BYTES} bytes")
        self._is_counter_signature = is_counter_signature
        try:
            definite, _ = ber.to_definite(data)
        except ber.BERError as error:
            raise CMSFormatError(f"expected CMS SignedData: {error.message}") from error
        try:
            outer = asn1_cms.ContentInfo.load(definite)
            if outer["content_type"].native != "signed_data":
                raise CMSFormatError("expected CMS SignedData, got another content type")
            self._signed = outer["content"]
            signers = self._signed["signer_infos"]
            if len(signers) != 1:
                raise CMSFormatError(f"expected one signer in the CMS, got {len(signers)}")
            self._signer = signers[0]
            self.content_type: str = self._signed["encap_content_info"]["content_type"].native
            content = self._signed["encap_content_info"]["content"]
            # Present and empty is not absent: a detached signature has no content at all.
            absent = isinstance(content, asn1_core.Void)
            self.content: bytes | None = None if absent else bytes(content.contents)
            self.digest_algorithm = signature_values.hash_name(self._signer["digest_algorithm"])
            # Taken before anything in it is looked at: the library may encode it anew then.
            self._signed_octets = bytes(self._signer["signed_attrs"].contents or b"")
            self._has_attributes = not isinstance(self._signer["signed_attrs"], asn1_core.Void)
            self._attributes = _by_type(self._signer["signed_attrs"])
            self._unsigned = _readable(self._signer["unsigned_attrs"])
            self.certificates_der = tuple(
                _encoded(one.chosen)
                for one in self._signed["certificates"] or ()
                if isinstance(one.chosen, asn1_x509.Certificate)
            )
            self.crls, self.ocsp_responses = self._revocation_data()
        except ASN1_FAULTS as error:
            raise CMSFormatError(
                f"expected CMS SignedData, got something else ({type(error).__name__})"
            ) from error

    @property
    def certificate(self) -> x509.Certificate | None:
        """The signing certificate, found by the signer's identifier and the signed digest."""
        try:
            identifier = self._signer["sid"]
            named_so = []
            for der in self.certificates_der:
                candidate = asn1_x509.Certificate.load(der)
                if identifier.name == "issuer_and_serial_number":
                    named = identifier.chosen
                    found = (
                        candidate.serial_number == named["serial_number"].native
                        and candidate.issuer == named["issuer"]
                    )
                else:
                    found = candidate.key_identifier == identifier.chosen.native
                if found:
                    named_so.append(foreign_certificates.read_certificate(der))
        except (*ASN1_FAULTS, errors.InputError):
            return None
        # Anybody can add a certificate with the same name and number; the signed digest decides.
        bound = (one for one in named_so if self.binding(one).matches)
        return next(bound, named_so[0] if named_so else None)

    def certificate_among(self, candidates: Iterable[x509.Certificate]) -> x509.Certificate | None:
        """The signing certificate, found by the signer's identifier among others' certificates."""
        for one in candidates:
            try:
                if self._is_identified(one):
                    return one
            except (*ASN1_FAULTS, *foreign_certificates.FAULTS):
                # A certificate without a key identifier, or an unreadable one, hides no other.
                continue
        return None

    def _is_identified(self, candidate: x509.Certificate) -> bool:
        """Whether the signer's identifier names this certificate."""
        identifier = self._signer["sid"]
        named = identifier.chosen
        if identifier.name != "issuer_and_serial_number":
            extension = candidate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
            return bool(extension.value.digest == named.native)
        return candidate.serial_number == named[
            "serial_number"
        ].native and candidate.issuer.public_bytes() == _encoded(named["issuer"].chosen)

    @property
    def attribute_names(self) -> frozenset[str]:
        """The signed attributes, as asn1crypto names them."""
        return frozenset(self._attributes)

    @property
    def unsigned_attribute_names(self) -> frozenset[str]:
        """The unsigned attributes that can be read, as asn1crypto names them."""
        return frozenset(self._unsigned)

    @property
    def signature_algorithm(self) -> str | None:
        """The identifier of the signature algorithm, by asn1crypto's name where it has one."""
        try:
            return str(self._signer["signature_algorithm"]["algorithm"].native)
        except ASN1_FAULTS:
            return None

    def attribute_octets(self, name: str) -> tuple[bytes, ...]:
        """The values of a signed attribute, each a whole element; none where it is not there."""
        try:
            return tuple(_encoded(one) for one in self._attributes.get(name, ()))
        except ASN1_FAULTS:
            return ()

    @property
    def signing_time(self) -> datetime.datetime | None:
        """The signing-time attribute; what the signer claims."""
        try:
            value = self._attributes["signing_time"][0].native
        except ASN1_FAULTS:
            return None
        return value if isinstance(value, datetime.datetime) and value.tzinfo else None

    def time_stamp_tokens(self, name: str = "signature_time_stamp_token") -> tuple[bytes, ...]:
        """Tokens among the unsigned attributes (or, for content time stamps, the signed ones)."""
        try:
            found = [*self._unsigned.get(name, ()), *self._attributes.get(name, ())]
            return tuple(_encoded(one) for one in found)
        except ASN1_FAULTS:
            return ()

    @property
    def signature_value(self) -> bytes:
        """The octets of the signature value, over which a signature time stamp is."""
        return bytes(self._signer["signature"].native)

    def binding(self, certificate: x509.Certificate) -> CertificateBinding:
        """Compare the signing-certificate attribute with the certificate."""
        der = certificates.to_der(certificate)
        present = [name for name in _BINDINGS if name in self._attributes]
        try:
            for name in present:
                # RFC 5035 3: one attribute with one value; a second one would name another signer.
                (value,) = self._attributes[name]
                first = value["certs"][0]
                is_first_version = not name.endswith("v2")
                algorithm = (
                    "sha1"
                    if is_first_version
                    else signature_values.hash_name(first["hash_algorithm"])
                )
                digest = originals.digest(der, algorithm)
                if first["cert_hash"].native != digest:
                    return CertificateBinding(True, False)
        except ASN1_FAULTS:
            return CertificateBinding(True, False)
        return CertificateBinding(bool(present), bool(present))

    def names_another_number(self, certificate: x509.Certificate) -> bool:
        """Whether the signing-certificate attribute says another issuer or number (RFC 5035 4)."""
        try:
            issuer = asn1_x509.Certificate.load(certificates.to_der(certificate)).issuer
            for name in _BINDINGS:
                for value in self._attributes.get(name, ()):
                    told = value["certs"][0]["issuer_serial"]
                    if told.native is None:
                        continue
                    if told["serial_number"].native != certificate.serial_number:
                        return True
                    if not any(one.chosen == issuer for one in told["issuer"]):
                        return True
        except ASN1_FAULTS:
            return True
        return False

    def check(
        self,
        certificate: x509.Certificate,
        content_digest: Callable[[str], bytes],
        content: originals.Original | None = None,
    ) -> frozenset[str]:
        """Verify digest and value; return the hash algorithms that were relied on.

        Args:
            certificate: Whose key is said to have signed.
            content_digest: Gives the hash of the content by a function's hashlib name.
            content: The content, where it is at hand whole; EdDSA without attributes signs it.

        Raises:
            DigestMismatchError: The content is another.
            ValueMismatchError: The value does not verify.
            UnsupportedCMSError: An algorithm that is not known here.
            CMSFormatError: A mandatory attribute is missing or malformed.
        """
        if self.digest_algorithm not in signature_values.KNOWN:
            raise UnsupportedCMSError(f"the hash {self.digest_algorithm!r} is not known")
        try:
            scheme = signature_values.scheme_of(
                self._signer["signature_algorithm"], self.digest_algorithm
            )
            digest = content_digest(self.digest_algorithm)
            value = self.signature_value
            if self._has_attributes:
                self._check_attributes(digest)
            elif self.content_type != "data":
                # RFC 5652 5.3: otherwise attributes of one signature pass as another's content.
                raise CMSFormatError("expected signed attributes: the content is not plain data")
            # RFC 5652 5.4: the attributes are hashed as a SET OF in DER, whatever tag and order
            # they travel with.
            ordered = der.encode(der.SET, *sorted(_elements(self._signed_octets)))
        except ASN1_FAULTS as error:
            raise CMSFormatError(
                f"the CMS signature cannot be read ({type(error).__name__})"
            ) from error
        if not self._has_attributes:
            # RFC 8419 3.1: EdDSA is over the content itself then.
            is_whole = scheme.name in signature_values.EDWARDS and content is not None
            signed = originals.octets(content) if is_whole and content is not None else None
            signature_values.verify(certificate, scheme, value, signed, content_digest)
        else:
            self._check_value(certificate, scheme, value, ordered)
        return frozenset({self.digest_algorithm}) | scheme.hashes

    def _check_value(
        self,
        certificate: x509.Certificate,
        scheme: signature_values.Scheme,
        value: bytes,
        ordered: bytes,
    ) -> None:
        """Verify the value over the signed attributes; the order in which they came is told."""
        try:
            _verify_over(certificate, scheme, value, ordered)
        except ValueMismatchError:
            sent = der.encode(der.SET, self._signed_octets)
            if sent != ordered and _verifies_over(certificate, scheme, value, sent):
                raise AttributeOrderError(
                    "the value was made over the signed attributes in the order in which they were"
                    " sent, not in that of DER (RFC 5652 5.4): it does not verify"
                ) from None
            raise

    def _check_attributes(self, digest: bytes) -> None:
        # RFC 5652 11: exactly one of each, with one value; a counter-signature has no type.
        expected = 0 if self._is_counter_signature else 1
        types = self._attributes.get("content_type", ())
        if len(types) != expected:
            raise CMSFormatError(f"expected {expected} content-type attribute(s), got {len(types)}")
        if types and types[0].native != self.content_type:
            raise CMSFormatError("the content-type attribute names another type of content")
        if len(self._attributes.get("message_digest", ())) != 1:
            raise CMSFormatError("expected one message-digest attribute")
        if self._attributes["message_digest"][0].native != digest:
            raise DigestMismatchError("the document is not what was signed: its digest differs")
        for protected in self._attributes.get("cms_algorithm_protection", ()):
            # RFC 6211 2: the algorithms are themselves signed, against substitution.
            if (
                signature_values.hash_name(protected["digest_algorithm"]) != self.digest_algorithm
                or protected["signature_algorithm"]["algorithm"].dotted
                != self._signer["signature_algorithm"]["algorithm"].dotted
            ):
                raise CMSFormatError("the algorithms are not those that were signed")

    def _revocation_data(self) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """CRLs and OCSP responses inside: RFC 5652 10.2.1, and Adobe's signed attribute."""
        crls, responses = [], []
        for choice in self._signed["crls"] or ():
            if choice.name == "crl":
                crls.append(_encoded(choice.chosen))
            elif choice.name == "other" and "ocsp" in choice.chosen["other_rev_info_format"].native:
                responses.append(_encoded(choice.chosen["other_rev_info"]))
        for value in filter(None, self._attributes.get("adobe_revocation_info_archival", ())):
            crls += [_encoded(one) for one in value["crl"] or ()]
            responses += [_encoded(one) for one in value["ocsp"] or ()]
        return tuple(crls), tuple(responses)


def has_other_bytes_behind(data: bytes) -> bool:
    """Whether something but padding with zeros follows the CMS signature."""
    try:
        _, end = ber.to_definite(data)
    except errors.InputError:
        return False
    return any(data[end:])


def _verify_over(
    certificate: x509.Certificate, scheme: signature_values.Scheme, value: bytes, signed: bytes
) -> None:
    signature_values.verify(certificate, scheme, value, signed, signature_values.digest_of(signed))


def _verifies_over(
    certificate: x509.Certificate, scheme: signature_values.Scheme, value: bytes, signed: bytes
) -> bool:
    try:
        _verify_over(certificate, scheme, value, signed)
    except ValueMismatchError:
        return False
    return True


def _encoded(value: Any) -> bytes:
    """The bytes a value was read from.

    asn1crypto's own `dump` takes every header that ends in 0x80 for one of indefinite length, and
    then encodes each level below it anew, over and over: seconds for a token with such a length,
    which one in 256 has. Only what really has an indefinite length needs that.
    """
    header = value._header
    if header is None or (len(header) == 2 and header[1] == 0x80):
        return bytes(value.dump())
    return bytes(header + value.contents + value._trailer)


def _by_type(attributes: Any) -> dict[str, list[Any]]:
    """Attribute values by type; a type that comes twice gives all its values.

    In place of values that are not of their type's form stands None: the attribute is there, and
    whoever asks what it says gets a fault of `ASN1_FAULTS`.
    """
    found: dict[str, list[Any]] = {}
    if isinstance(attributes, asn1_core.Void):
        return found
    for attribute in attributes:
        held = found.setdefault(attribute["type"].native, [])
        try:
            held.extend(attribute["values"])
        except ASN1_FAULTS:
            held.append(None)
    return found


def _readable(attributes: Any) -> dict[str, list[Any]]:
    """Unsigned attributes, without those that cannot be read: anybody can add one."""
    found: dict[str, list[Any]] = {}
    if isinstance(attributes, asn1_core.Void):
        return found
    for place in range(len(attributes)):
        try:
            attribute = attributes[place]
            found.setdefault(attribute["type"].native, []).extend(attribute["values"])
        except ASN1_FAULTS:
            continue
    return found


def _elements(content: bytes) -> list[bytes]:
    """The elements that follow each other, each as it was sent."""
    found = []
    offset = 0
    while offset < len(content):
        body, size = ber.header(content, offset, len(content))
        if size is None:
            raise CMSFormatError("expected definite lengths in the signed attributes")
        found.append(content[offset : body + size])
        offset = body + size
    return found
