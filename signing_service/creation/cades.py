"""CAdES baseline signatures (EN 319 122-1): prepare, embed, and raise from B-B to B-LTA.

A signature is attached (the document lies inside) or detached (a file beside the document, or
beside one that only its owner has). A document that is a CMS signature already gets one more
signer, in parallel: the others keep what they cover.
"""

import base64
import json
import mimetypes
import pathlib
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509

from pki import algorithms, certificates, der, errors, signature
from signing_service import documents, parameters, revocation_data
from signing_service.creation import (
    cms,
    cms_archive,
    cms_countersignatures,
    cms_files,
    cms_signed_attributes,
)

Packaging = parameters.Packaging

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]

_ID_OCSP_RESPONSE = der.encode_oid("1.3.6.1.5.5.7.16.2")
"""RFC 5940 2.1: an OCSP response among the CRLs."""


class OtherHashError(documents.DocumentRefusedError):
    """The document is known by another hash than the signer's key uses."""

    code = "document-other-hash"


def check_document(source: pathlib.Path, chosen: parameters.SignatureParameters) -> None:
    """Check that a document can be signed: any can, but a CMS signature must be readable.

    Raises:
        CmsError: It is a CMS signature in BER, or of a form that is not read here.
    """
    check_packaging(chosen)
    if cms_files.is_signed_data(source):
        cms_files.read(source)


def check_packaging(chosen: parameters.SignatureParameters) -> None:
    """Refuse a packaging that CMS does not have."""
    if chosen.packaging is parameters.Packaging.ENVELOPED:
        raise parameters.UnsupportedFormatError(
            "expected the packaging detached or enveloping for CAdES, got enveloped",
            field="packaging",
        )


def prepare(
    signed: documents.SignersDocuments,
    target: pathlib.Path,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    parameters: parameters.SignatureParameters,
    at: datetime,
) -> documents.PreparedSignature:
    """Make the data to be signed, and copy what the signature file will need.

    Args:
        signed: One file, or one hash for a detached signature; a detached signature that gets
            a further signer may come with the hash of its document. The signature that is to be
            countersigned comes alone.
        target: Becomes a copy of the document, or of the signature that gets a further signer;
            empty for a detached signature.
        certificate: The signing certificate, whose key decides the algorithms.
        chain: Its issuers; those but a root are put beside it.
        parameters: What the caller chose.
        at: The claimed signing time.

    Raises:
        DocumentRefusedError: Not exactly one document, or one known by another hash.
    """
    if parameters.counter_signature_of is not None:
        return _prepare_counter_signature(
            signed.only_file.path, target, parameters.counter_signature_of,
            certificate=certificate, chain=chain, chosen=parameters, at=at,
        )  # fmt: skip
    check_packaging(parameters)
    hash_algorithm = algorithms.key_kind(certificate.public_key()).hash_algorithm
    inside = [certificate, *(one for one in chain if one.issuer != one.subject)]
    context: dict[str, object] = {
        "chain": [base64.b64encode(certificates.to_der(one)).decode() for one in inside],
        "parallel": False,
        "attached": False,
    }
    content_type, mime_type = cms.ID_DATA, mime_type_of(signed.names[0] if signed.names else "")
    if len(signed.files) == 1 and cms_files.is_signed_data(signed.files[0].path):
        existing = cms_files.read(signed.files[0].path)
        if signed.digests and existing.content is None:
            digest = _digest_given(signed.digests, parameters, hash_algorithm)
        else:
            digest = _digest_of_existing(existing, hash_algorithm)
        content_type, mime_type = existing.content_type, None
        context["parallel"] = True
        shutil.copyfile(signed.files[0].path, target)
    elif signed.digests and not signed.files:
        digest = _digest_given(signed.digests, parameters, hash_algorithm)
        target.write_bytes(b"")
    else:
        document = signed.only_file
        size = document.path.stat().st_size
        digest = cms_files.Content(document.path, 0, size).digest(hash_algorithm)
        context["attached"] = parameters.packaging is Packaging.ENVELOPING
        if context["attached"]:
            shutil.copyfile(document.path, target)
        else:
            target.write_bytes(b"")
    return documents.PreparedSignature(
        format=documents.SignatureFormat.CADES,
        data_to_be_signed=cms_signed_attributes.build(
            content_digest=digest,
            hash_algorithm=hash_algorithm,
            certificate=certificate,
            chosen=parameters,
            content_type=content_type,
            signing_time=at,
            mime_type=mime_type,
        ),
        hash_algorithm=hash_algorithm,
        context=json.dumps(context).encode(),
    )


def embed(
    prepared: documents.PreparedSignature,
    source: pathlib.Path,
    target: pathlib.Path,
    value: signature.SignatureValue,
) -> None:
    """Write the signature file: level B-B.

    Args:
        prepared: What `prepare` gave.
        source: The prepared file.
        target: Becomes the signature.
        value: Already checked against the certificate.
    """
    context = json.loads(prepared.context)
    chain = [certificates.parse(base64.b64decode(one)) for one in context["chain"]]
    made = der.encode(der.SEQUENCE, cms.signed_part(prepared.data_to_be_signed, value, chain[0]))
    inside = [certificates.to_der(one) for one in chain]
    if "countersigned" in context:
        countersigned = base64.b64decode(context["countersigned"])
        cms_countersignatures.add(
            cms_files.read(source).with_validation_data(inside, ()), countersigned, made
        ).write(target)
        return
    if context["parallel"]:
        signed = cms_files.read(source)
    else:
        content = cms_files.Content(source, 0, source.stat().st_size)
        signed = cms_files.SignedDataFile(cms.ID_DATA, content if context["attached"] else None)
        expected = cms.message_digest(prepared.data_to_be_signed)
        if context["attached"] and content.digest(prepared.hash_algorithm) != expected:
            raise errors.TamperedError("the prepared document is not the one that was prepared")
    signed.with_signer(cms.parse_signer(der.read(made)), inside).write(target)


def add_signature_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: documents.Position = -1,
) -> None:
    """Put a time stamp on a signer, the newest or the one at a position: B-T.

    EN 319 122-1 5.3: over the octets of the signature value.

    Raises:
        OldArchiveError: It is a counter-signature in a signer with an archive time stamp that this
            would break.
    """

    def stamped(signer: cms.Signer) -> cms.Signer:
        token = request_token(signature.represent(signer.signature_value, signer.hash_algorithm))
        return signer.with_attribute(cms.attribute(cms.ID_TIME_STAMP_TOKEN, token))

    signed = cms_files.read(source)
    if isinstance(position, documents.ValuePosition):
        cms_archive.check_extensible(signed.signer(_outermost(signed, position)))
        changed = cms_countersignatures.change(signed, position.in_cms, stamped)
    else:
        changed = signed.with_changed_signer(position, stamped(signed.signer(position)))
    changed.write(target)


def add_validation_data(
    source: pathlib.Path,
    target: pathlib.Path,
    data: revocation_data.ValidationData,
    *,
    position: documents.Position = -1,
) -> None:
    """Put certificates and revocation data into SignedData: B-LT (EN 319 122-1 6.3).

    OCSP responses lie among the CRLs, as RFC 5940 has it. All signers share the place, so that
    `position` makes no difference.

    Raises:
        OldArchiveError: A signer has an archive time stamp that this would break.
    """
    signed = cms_files.read(source)
    for number in range(len(signed.signers)):
        cms_archive.check_extensible(signed.signer(number))
    responses = [
        # [1] IMPLICIT OtherRevocationInfoFormat (RFC 5652 10.2.1).
        der.encode(0xA1, _ID_OCSP_RESPONSE, one)
        for one in data.ocsp_responses
    ]
    signed.with_validation_data(
        [certificates.to_der(one) for one in data.certificates], [*data.crls, *responses]
    ).write(target)


def add_archive_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: documents.Position = -1,
) -> None:
    """Put an archive time stamp on a signer, the newest or the one at a position: B-LTA.

    EN 319 122-1 5.5.3 hashes the fields of an element of `signerInfos`, which a counter-signature
    is not. So its archive time stamp is that of the signature it lies in: the hash index has each
    attribute value, and so the counter-signature with all that is in it (5.5.2).
    """
    signed = cms_files.read(source)
    cms_archive.add(signed, _outermost(signed, position), request_token).write(target)


def time_stamp_tokens(
    source: pathlib.Path, *, position: documents.Position = -1
) -> tuple[bytes, ...]:
    """Return the time-stamp tokens of a signer, the newest or another; archive ones last."""
    signed = cms_files.read(source)
    outermost = own = signed.signer(_outermost(signed, position))
    if isinstance(position, documents.ValuePosition):
        own = cms_countersignatures.signer_with(signed, position.in_cms)
    return (*own.values(cms.ID_TIME_STAMP_TOKEN), *cms_archive.tokens(outermost))


def add_counter_signature_place(
    source: pathlib.Path, target: pathlib.Path, countersigned: str
) -> None:
    """Put an empty counter-signature where one would be, to see what that would break.

    Raises:
        UnknownSignatureError: No signature has the identifier.
        OldArchiveError: An archive time stamp covers whatever is added.
    """
    signed = cms_files.read(source)
    parent = cms_countersignatures.find(signed, countersigned)
    place = der.encode(der.SEQUENCE)
    cms_countersignatures.add(signed, parent.signature_value, place).write(target)


def find_signatures(source: pathlib.Path) -> tuple[documents.FoundSignature, ...]:
    """Return all signers, in the order of their positions.

    Raises:
        CmsError: A signer's certificate is not in the signature.
    """
    signed = cms_files.read(source)
    inside = [certificates.parse(one) for one in signed.certificates if one[0] == der.SEQUENCE]
    found = []
    for position in range(len(signed.signers)):
        signer = signed.signer(position)
        mine = [one for one in inside if cms.names(signer.identifier, one)]
        if not mine:
            raise cms.CmsError("expected the signing certificate in the signature, found it not")
        found.append(
            documents.FoundSignature(
                mine[0], tuple(inside), _tokens(signer), bool(cms_archive.tokens(signer))
            )
        )
    return tuple(found)


def find_position(source: pathlib.Path, identifier: str) -> documents.ValuePosition:
    """Return where the signature is that a validation report calls by a name.

    Raises:
        UnknownSignatureError: There is none.
    """
    value = cms_countersignatures.find(cms_files.read(source), identifier).signature_value
    return documents.ValuePosition(value, value)


def _prepare_counter_signature(
    source: pathlib.Path,
    target: pathlib.Path,
    countersigned: str,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    chosen: parameters.SignatureParameters,
    at: datetime,
) -> documents.PreparedSignature:
    """A signature over the value of another one (RFC 5652 11.4): no content, so no type of it."""
    hash_algorithm = algorithms.key_kind(certificate.public_key()).hash_algorithm
    parent = cms_countersignatures.find(cms_files.read(source), countersigned)
    inside = [certificate, *(one for one in chain if one.issuer != one.subject)]
    shutil.copyfile(source, target)
    context = {
        "chain": [base64.b64encode(certificates.to_der(one)).decode() for one in inside],
        "countersigned": base64.b64encode(parent.signature_value).decode(),
    }
    return documents.PreparedSignature(
        format=documents.SignatureFormat.CADES,
        data_to_be_signed=cms_signed_attributes.build(
            content_digest=hash_algorithm.digest(parent.signature_value),
            hash_algorithm=hash_algorithm,
            certificate=certificate,
            chosen=chosen,
            content_type=None,
            signing_time=at,
        ),
        hash_algorithm=hash_algorithm,
        context=json.dumps(context).encode(),
    )


def _outermost(signed: cms_files.SignedDataFile, position: documents.Position) -> int:
    if isinstance(position, documents.ValuePosition):
        return cms_countersignatures.outermost_with(signed, position.in_cms)
    return position


def mime_type_of(name: str) -> str | None:
    """Return the type that a file's name tells, or None."""
    return mimetypes.guess_type(name)[0]


def _tokens(signer: cms.Signer) -> tuple[bytes, ...]:
    return (*signer.values(cms.ID_TIME_STAMP_TOKEN), *cms_archive.tokens(signer))


def _digest_given(
    digests: Sequence[documents.DocumentDigest],
    chosen: parameters.SignatureParameters,
    hash_algorithm: algorithms.HashAlgorithm,
) -> bytes:
    if len(digests) != 1:
        raise documents.DocumentRefusedError(
            f"expected one document or one hash for CAdES, got {len(digests)} hashes"
        )
    if chosen.packaging is not Packaging.DETACHED:
        raise parameters.UnsupportedFormatError(
            "expected the packaging detached for a document that is known by its hash alone",
            field="packaging",
        )
    (known,) = digests
    if known.hash_algorithm is not hash_algorithm:
        # RFC 5652 5.4: one algorithm is used for the content and for the signed attributes.
        raise OtherHashError(
            f"expected the {hash_algorithm.value} hash of the document, as the signer's key uses,"
            f" got {known.hash_algorithm.value}"
        )
    return known.value


def _digest_of_existing(
    existing: cms_files.SignedDataFile, hash_algorithm: algorithms.HashAlgorithm
) -> bytes:
    """The hash of the content that others have signed: from it, or from what they signed."""
    if existing.content is not None:
        return existing.content.digest(hash_algorithm)
    for position in range(len(existing.signers)):
        try:
            signer = existing.signer(position)
        except algorithms.UnsupportedAlgorithmError:
            continue
        if signer.hash_algorithm is hash_algorithm:
            return signer.message_digest
    raise OtherHashError(
        f"expected a detached signature with a {hash_algorithm.value} hash of its document, as the"
        " signer's key uses: sign the document itself instead"
    )
