"""CAdES signatures of a document: every signer and counter-signer found and checked."""

import contextlib
import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Mapping

from cryptography import x509

from pki import der, errors, originals
from signing_service.validation import evidence, findings, lone_proofs, report
from signing_service.validation.cades import (
    archive,
    attributes,
    carried_evidence,
    embedded_records,
    levels,
    signed_data,
    signed_data_file,
)
from signing_service.validation.cms import armour, cms_details, cms_signature

_ID_TIME_STAMP = der.encode_oid("1.2.840.113549.1.9.16.1.4")
MAX_COUNTER_DEPTH = 5
"""Counter-signatures of counter-signatures."""


@dataclasses.dataclass(frozen=True)
class Content:
    """What a signer signed, or what might be it.

    Attributes:
        candidates: The content by its name; several where it is not told which one was signed.
        is_inside: It is in the CMS itself.
    """

    candidates: Mapping[str, originals.Original]
    is_inside: bool

    def find(
        self, signer: signed_data.Signer, algorithm: str
    ) -> tuple[str, originals.Original] | None:
        """The content whose digest was signed; of a single one, that one."""
        first = next(iter(self.candidates.items()), None)
        if len(self.candidates) <= 1 or algorithm not in hashlib.algorithms_available:
            return first
        wanted = _message_digest(signer)
        for name, original in self.candidates.items():
            with contextlib.suppress(originals.OriginalMissingError):
                if originals.digest(original, algorithm) == wanted:
                    return name, original
        return first


def read(
    path: pathlib.Path,
    name: str,
    detached: Mapping[str, originals.Original],
    supplied: Iterable[x509.Certificate] = (),
) -> findings.FoundDocument:
    """Find every signature of a CMS file and check its cryptography.

    A time-stamp token is no signature: it is found as what it is.

    Args:
        path: The CMS, as octets or as text.
        name: What the document is called.
        detached: Originals by their names, for a signature without content.
        supplied: Certificates of trusted people, for a signature that leaves its own out.

    Raises:
        SignedDataError: The file is no CMS signature.
        ArmourError: It is text, and no base64 of one.
        LimitError: It is over a limit.
    """
    signed, has_more = _parse(path)
    if signed.content_type_der == _ID_TIME_STAMP and len(signed.signers) == 1:
        stamp = lone_proofs.time_stamp(originals.octets(signed.sent), detached)
        if stamp is not None:
            return stamp
    known = evidence.Evidence()
    found = signatures(signed, name, detached, known, supplied)
    if has_more:
        found = tuple(map(_with_bytes_behind, found))
    return findings.FoundDocument("CAdES", found, (), known)


def _parse(path: pathlib.Path) -> tuple[signed_data.SignedData, bool]:
    """Read a file, and say whether it has more than the CMS."""
    with path.open("rb") as file:
        is_text = not file.read(1).startswith(b"\x30")
    if not is_text:
        signed = signed_data_file.read(path)
        return signed, signed_data_file.has_other_bytes_behind(path, signed.ends_at)
    if path.stat().st_size > armour.MAX_BYTES:
        raise errors.LimitError(f"expected CMS as text of at most {armour.MAX_BYTES} bytes")
    unwrapped = armour.unwrap(path.read_bytes())
    signed = signed_data.parse(unwrapped.octets)
    return signed, unwrapped.has_more or signed.has_bytes_behind(unwrapped.octets)


_HEAD_BYTES = 24
_OTHER_NUMBER = report.Finding(
    "signing-certificate-number",
    "the signed attributes name the signing certificate by its digest, and by the issuer or number"
    " of another one (RFC 5035 4)",
)
_NESTED = report.Finding(
    "nested-signature",
    "the signed content is itself a CMS signature; what is signed in it was not looked into",
)
BYTES_BEHIND = report.Finding("bytes-behind-signature", "other bytes follow the signature")


def _with_bytes_behind(found: findings.FoundSignature) -> findings.FoundSignature:
    """A signature of a file that holds more than it: what that is, nobody signed."""
    full = found.scope_kind is report.ScopeKind.FULL
    return dataclasses.replace(
        found,
        scope_kind=report.ScopeKind.PARTIAL if full else found.scope_kind,
        warnings=(*found.warnings, BYTES_BEHIND),
    )


def signatures(
    signed: signed_data.SignedData,
    name: str,
    detached: Mapping[str, originals.Original],
    known: evidence.Evidence,
    supplied: Iterable[x509.Certificate] = (),
    *,
    prefix: str = "",
) -> tuple[findings.FoundSignature, ...]:
    """Read the signatures of a SignedData, and give what it carries to `known`.

    Args:
        signed: It.
        name: What the document is called, where the content is inside.
        detached: Originals by their names.
        known: Takes the evidence.
        supplied: Certificates from elsewhere.
        prefix: Goes before the identifiers.
    """
    if signed.content is not None:
        content = Content({name: signed.content}, True)
    else:
        content = Content(detached, False)
    is_signed_again = signed.content is not None and signed_data.looks_like_cms(
        next(originals.pieces(signed.content), b"")[:_HEAD_BYTES]
    )
    carried_evidence.take(signed, known)
    candidates = (*supplied, *known.certificates.values())
    found = []
    for number, signer in enumerate(signed.signers, start=1):
        identifier = f"{prefix}signer-{number}"
        one = _signature(signed, signer, identifier, content, known, candidates)
        left_out = (
            [] if content.is_inside else [name for name in detached if name not in one.scope_names]
        )
        if left_out and one.scope_kind is report.ScopeKind.FULL:
            one = dataclasses.replace(
                one,
                scope_kind=report.ScopeKind.PARTIAL,
                warnings=(
                    *one.warnings,
                    report.Finding(
                        "file-not-covered",
                        f"{len(left_out)} of the detached documents are not covered by this"
                        " signature",
                    ),
                ),
            )
        if is_signed_again:
            one = dataclasses.replace(one, warnings=(*one.warnings, _NESTED))
        if content.is_inside and detached:
            one = dataclasses.replace(
                one,
                warnings=(
                    *one.warnings,
                    report.Finding(
                        "detached-not-used",
                        "the signature holds its own content: the detached document was not looked"
                        " at",
                    ),
                ),
            )
        found.append(one)
        found += _counter_signatures(signed, signer, identifier, known, candidates, 1, one)
    outside = {} if content.is_inside else detached
    records = embedded_records.records(signed, name, outside, known)
    return tuple(dataclasses.replace(one, evidence_records=records) for one in found)


def _signature(
    signed: signed_data.SignedData,
    signer: signed_data.Signer,
    identifier: str,
    content: Content,
    known: evidence.Evidence,
    candidates: Iterable[x509.Certificate],
) -> findings.FoundSignature:
    base = _unread(identifier)
    try:
        message = signed.message_of(signer)
    except errors.InputError as error:
        return _failed(base, False, report.SubIndication.FORMAT_FAILURE, error)
    chosen = content.find(signer, message.digest_algorithm)
    original = None if chosen is None else chosen[1]

    def content_digest(name: str) -> bytes:
        if original is None:
            raise originals.OriginalMissingError(
                "the signature is detached and its document is not here"
            )
        return originals.digest(original, name)

    certificate = message.certificate or message.certificate_among(candidates)
    known_whole = None if isinstance(original, originals.HashedOriginal) else original
    stamps = _time_stamps(signed, signer, message, content_digest, known_whole)
    for stamp in stamps:
        carried_evidence.take_token(stamp.token, known)
    binding = None if certificate is None else message.binding(certificate)
    found = dataclasses.replace(
        base,
        level=levels.level(signed, signer, certificate, known),
        certificate=certificate,
        is_bound=None if binding is None or not binding.present else binding.matches,
        claimed_signing_time=message.signing_time,
        time_stamps=stamps,
        scope_kind=report.ScopeKind.NONE if chosen is None else report.ScopeKind.FULL,
        scope_names=() if chosen is None else (chosen[0],),
    )
    if not signer.signed and known_whole is not None and signed_data.is_attributes(known_whole):
        # RFC 5652 5.4 signs attributes as it signs a content: such a value fits both.
        problem = report.Finding(
            "attributes-as-content", "the content is the signed attributes of another signature"
        )
        return dataclasses.replace(
            found, intact=False, failure=(report.SubIndication.FORMAT_FAILURE, problem)
        )
    return _checked(found, message, certificate, content_digest, original)


def _counter_signatures(
    signed: signed_data.SignedData,
    parent: signed_data.Signer,
    parent_identifier: str,
    known: evidence.Evidence,
    candidates: Iterable[x509.Certificate],
    depth: int,
    outside: findings.FoundSignature,
) -> list[findings.FoundSignature]:
    """Signatures over a signature's value, which it carries (RFC 5652 11.4).

    `outside` is the signature they lie in as it was found, with the archive time stamps over all
    that is in it and over itself.
    """
    values = [
        (attribute, value)
        for attribute in parent.unsigned
        if attribute.oid == attributes.COUNTER_SIGNATURE
        for value in attribute.values
    ]
    if not values:
        return []
    if depth > MAX_COUNTER_DEPTH or len(values) > signed_data.MAX_SIGNERS:
        raise errors.LimitError(
            f"expected at most {signed_data.MAX_SIGNERS} counter-signatures of one signature, and"
            f" {MAX_COUNTER_DEPTH} levels of them"
        )
    found = []
    for number, (attribute, raw) in enumerate(values, start=1):
        identifier = f"{parent_identifier}-counter-{number}"
        base = dataclasses.replace(
            _unread(identifier),
            scope_kind=report.ScopeKind.PARTIAL,
            scope_names=(f"the signature {parent_identifier}",),
            is_counter=True,
            counter_signature_of=parent_identifier,
            enclosing_stamps=(
                *outside.enclosing_stamps,
                *(
                    stamp
                    for stamp in outside.time_stamps
                    if archive.covers_value(stamp, attribute, raw)
                ),
            ),
        )
        try:
            signer = signed_data.parse_signer(raw)
            message = signed.message_of(signer, is_counter_signature=True)
        except errors.InputError as error:
            found.append(_failed(base, False, report.SubIndication.FORMAT_FAILURE, error))
            continue
        digest = archive.over([parent.signature_value])
        certificate = message.certificate or message.certificate_among(candidates)
        binding = None if certificate is None else message.binding(certificate)
        stamps = _time_stamps(signed, signer, message, digest, parent.signature_value)
        one = dataclasses.replace(
            base,
            level=levels.level(
                signed,
                signer,
                certificate,
                known,
                is_counter=True,
                is_archived=bool(base.enclosing_stamps),
            ),
            certificate=certificate,
            is_bound=None if binding is None or not binding.present else binding.matches,
            claimed_signing_time=message.signing_time,
            time_stamps=stamps,
        )
        one = _checked(one, message, certificate, digest, parent.signature_value)
        found.append(one)
        found += _counter_signatures(signed, signer, identifier, known, candidates, depth + 1, one)
    return found


def _checked(
    found: findings.FoundSignature,
    message: cms_signature.Message,
    certificate: x509.Certificate | None,
    content_digest: archive.ContentDigest,
    content: originals.Original | None,
) -> findings.FoundSignature:
    """Verify digest and value, and keep what is needed to tell of the signature."""
    verified = _verified(found, message, certificate, content_digest, content)
    return dataclasses.replace(
        verified, details=lambda: cms_details.of_signature(message, verified)
    )


def _verified(
    found: findings.FoundSignature,
    message: cms_signature.Message,
    certificate: x509.Certificate | None,
    content_digest: archive.ContentDigest,
    content: originals.Original | None,
) -> findings.FoundSignature:
    """Verify digest and value (EN 319 102-1 5.2.7)."""
    if message.content_type == "tst_info":
        problem = report.Finding("content-type", "a time-stamp token is no signature of a document")
        return dataclasses.replace(
            found, intact=False, failure=(report.SubIndication.FORMAT_FAILURE, problem)
        )
    if certificate is None:
        return found
    if found.is_bound and message.names_another_number(certificate):
        found = dataclasses.replace(found, warnings=(*found.warnings, _OTHER_NUMBER))
    try:
        used = message.check(certificate, content_digest, content)
    except originals.OriginalMissingError as error:
        return _failed(found, None, report.SubIndication.SIGNED_DATA_NOT_FOUND, error)
    except cms_signature.DigestMismatchError as error:
        return _failed(found, False, report.SubIndication.HASH_FAILURE, error)
    except cms_signature.ValueMismatchError as error:
        return _failed(found, False, report.SubIndication.SIG_CRYPTO_FAILURE, error)
    except cms_signature.UnsupportedCMSError as error:
        sub_indication = report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        return _failed(found, None, sub_indication, error)
    except errors.LimitError:
        raise
    except errors.InputError as error:
        return _failed(found, False, report.SubIndication.FORMAT_FAILURE, error)
    return dataclasses.replace(found, intact=True, digest_algorithms=used)


def _time_stamps(
    signed: signed_data.SignedData,
    signer: signed_data.Signer,
    message: cms_signature.Message,
    content_digest: archive.ContentDigest,
    content: originals.Original | None,
) -> tuple[findings.FoundTimeStamp, ...]:
    early = [
        findings.FoundTimeStamp(report.TimeStampKind.CONTENT, value, content_digest)
        for one in signer.signed
        if one.oid == attributes.CONTENT_TIME_STAMP
        for value in one.values
    ]
    return (*early, *archive.time_stamps(signed, signer, content_digest, content))


def _message_digest(signer: signed_data.Signer) -> bytes:
    values = [
        value
        for one in signer.signed
        if one.oid == attributes.MESSAGE_DIGEST
        for value in one.values
    ]
    return signed_data.content_of(values[0], None) if values else b""


def _unread(identifier: str) -> findings.FoundSignature:
    return findings.FoundSignature(
        identifier=identifier,
        format="CAdES",
        level="UNKNOWN",
        intact=None,
        failure=None,
        certificate=None,
        is_bound=None,
        digest_algorithms=frozenset(),
        claimed_signing_time=None,
        time_stamps=(),
        scope_kind=report.ScopeKind.NONE,
        scope_names=(),
    )


def _failed(
    found: findings.FoundSignature,
    intact: bool | None,
    sub_indication: report.SubIndication,
    error: errors.ImzaError,
) -> findings.FoundSignature:
    return dataclasses.replace(
        found, intact=intact, failure=(sub_indication, report.Finding(error.code, error.message))
    )
