"""Which module makes which format; the rest of the main job does not tell them apart."""

import datetime
import pathlib
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography import x509

from pki import signature
from signing_service import documents, parameters, revocation_data
from signing_service.creation import asic, cades, countersigning, pades, xades
from signing_service.creation.pdf import fonts

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]

Packaging = parameters.Packaging

MAX_DOCUMENTS = 20
"""Under one signature; an upload has no more parts."""

MAX_NAME = 255

PADES = documents.SignatureFormat.PADES


class FormatModule(Protocol):
    """What a module offers that makes signatures beside PAdES; see `cades` for each function."""

    def check_document(self, source: pathlib.Path, chosen: parameters.SignatureParameters) -> None:
        """Refuse a document that cannot be signed."""

    def prepare(
        self,
        signed: documents.SignersDocuments,
        target: pathlib.Path,
        *,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate],
        parameters: parameters.SignatureParameters,
        at: datetime.datetime,
    ) -> documents.PreparedSignature:
        """Make the data to be signed, and the file that waits for its value."""

    def embed(
        self,
        prepared: documents.PreparedSignature,
        source: pathlib.Path,
        target: pathlib.Path,
        value: signature.SignatureValue,
    ) -> None:
        """Put the value into the prepared file: B-B."""

    def add_signature_time_stamp(
        self,
        source: pathlib.Path,
        target: pathlib.Path,
        request_token: RequestToken,
        *,
        position: documents.Position = -1,
    ) -> None:
        """Put a time stamp on a signature, the newest or the one at a position: B-T."""

    def add_validation_data(
        self,
        source: pathlib.Path,
        target: pathlib.Path,
        data: revocation_data.ValidationData,
        *,
        position: documents.Position = -1,
    ) -> None:
        """Put certificates and revocation data inside: B-LT."""

    def add_archive_time_stamp(
        self,
        source: pathlib.Path,
        target: pathlib.Path,
        request_token: RequestToken,
        *,
        position: documents.Position = -1,
    ) -> None:
        """Put an archive time stamp on a signature, the newest or another: B-LTA."""

    def time_stamp_tokens(
        self, source: pathlib.Path, *, position: documents.Position = -1
    ) -> tuple[bytes, ...]:
        """Return the tokens of a signature, the newest or another."""

    def add_counter_signature_place(
        self, source: pathlib.Path, target: pathlib.Path, countersigned: str
    ) -> None:
        """Put an empty counter-signature where one would be, to see what that would break."""

    def find_signatures(self, source: pathlib.Path) -> tuple[documents.FoundSignature, ...]:
        """Return all signatures but counter-signatures, in the order of their positions."""

    def find_position(self, source: pathlib.Path, identifier: str) -> documents.ValuePosition:
        """Return where the signature is that a validation report calls by a name."""


_MODULES: dict[documents.SignatureFormat, FormatModule] = {
    documents.SignatureFormat.CADES: cades,
    documents.SignatureFormat.XADES: xades,
    documents.SignatureFormat.ASIC_E: asic,
    documents.SignatureFormat.ASIC_S: asic,
}

_SEVERAL = (documents.SignatureFormat.XADES, documents.SignatureFormat.ASIC_E)
_BY_DIGEST = (documents.SignatureFormat.XADES, documents.SignatureFormat.CADES)

_SUFFIXES = {
    (documents.SignatureFormat.CADES, Packaging.DETACHED): ".p7s",
    (documents.SignatureFormat.CADES, Packaging.ENVELOPING): ".p7m",
    (documents.SignatureFormat.XADES, Packaging.DETACHED): ".xades.xml",
    (documents.SignatureFormat.XADES, Packaging.ENVELOPING): ".xades.xml",
    (documents.SignatureFormat.ASIC_E, Packaging.DETACHED): ".asice",
    (documents.SignatureFormat.ASIC_S, Packaging.DETACHED): ".asics",
}
"""What the signed document's name ends with, where the signature is not in the document."""

_ENDINGS = {
    documents.SignatureFormat.CADES: (".p7s", ".p7m"),
    documents.SignatureFormat.ASIC_E: (".asice", ".sce", ".bdoc"),
    documents.SignatureFormat.ASIC_S: (".asics", ".scs"),
}

MADE = (PADES, *_MODULES)
"""The formats that are made here."""


def module(format: documents.SignatureFormat) -> FormatModule:
    """Return the module of a format other than PAdES."""
    return _MODULES[format]


def check_document(document: documents.Document, chosen: parameters.SignatureParameters) -> None:
    """Refuse a document that cannot be signed as it is wanted, before a person is asked.

    Raises:
        DocumentRefusedError: For the reason that its code names.
    """
    if chosen.counter_signature_of is not None:
        countersigning.check(document, chosen, module(chosen.format).add_counter_signature_place)
    elif chosen.format is PADES:
        pades.check_document(document.path, chosen)
    else:
        module(chosen.format).check_document(document.path, chosen)


def check_documents(
    signed: documents.SignersDocuments, chosen: parameters.SignatureParameters
) -> None:
    """Refuse a number or kind of documents that the format does not take in one signature.

    Raises:
        UnsupportedFormatError: The format is not made here.
        DocumentRefusedError: Too many or too few documents, two of one name, or hashes where the
            document itself is needed.
    """
    if chosen.format not in MADE:
        raise parameters.UnsupportedFormatError(
            f"expected a format of {', '.join(one.value for one in MADE)},"
            f" got {chosen.format.value}",
            field="format",
        )
    if chosen.counter_signature_of is not None:
        if len(signed.files) != 1 or signed.digests:
            raise documents.DocumentRefusedError(
                "expected one document, with the signature that is to be countersigned, got"
                f" {len(signed.names)}"
            )
        return
    if signed.digests and _archives_documents(chosen):
        raise parameters.UnsupportedFormatError(
            "expected the documents themselves for detached XAdES at B-LTA, whose archive time"
            " stamp covers them too, got hashes: sign at B-LT, and augment it where the documents"
            " are",
            field="level",
        )
    count = len(signed.names)
    several = chosen.format in _SEVERAL and chosen.packaging is not Packaging.ENVELOPED
    if not 1 <= count <= (MAX_DOCUMENTS if several else 1):
        raise documents.DocumentRefusedError(
            f"expected {f'1 to {MAX_DOCUMENTS} documents' if several else 'one document'} under a"
            f" {chosen.format.value} signature, got {count}"
        )
    if len(set(signed.names)) != count:
        raise documents.DocumentRefusedError("expected documents with different names")
    if signed.digests and (
        chosen.format not in _BY_DIGEST or chosen.packaging is not Packaging.DETACHED
    ):
        raise documents.DocumentRefusedError(
            "expected documents: hashes are signed in detached CAdES and XAdES alone"
        )


def originals(
    signed: documents.SignersDocuments, chosen: parameters.SignatureParameters
) -> tuple[documents.Document, ...]:
    """Return the documents that are needed once more, for the archive time stamp."""
    return signed.files if _archives_documents(chosen) else ()


def _archives_documents(chosen: parameters.SignatureParameters) -> bool:
    """Whether an archive time stamp will cover documents beside the signature.

    EN 319 132-1 5.5.2.2: it is over what each reference names. A counter-signature refers to a
    signature's value alone, CMS has the documents' hash inside, and a container its documents.
    """
    return (
        chosen.format is documents.SignatureFormat.XADES
        and chosen.packaging is Packaging.DETACHED
        and chosen.level is documents.SignatureLevel.B_LTA
        and chosen.counter_signature_of is None
    )


def signed_name(signed: documents.SignersDocuments, chosen: parameters.SignatureParameters) -> str:
    """Return the name of the signed document: the first original's, with what is added to it."""
    first = signed.names[0]
    if chosen.counter_signature_of is not None:
        return first
    added = _SUFFIXES.get((chosen.format, chosen.packaging), "")
    if first.lower().endswith(_ENDINGS.get(chosen.format, (added,))):
        return first  # A signature or container of others, which got one more.
    return first[: MAX_NAME - len(added)] + added


def prepare(
    signed: documents.SignersDocuments,
    target: pathlib.Path,
    *,
    path: Sequence[x509.Certificate],
    chosen: parameters.SignatureParameters,
    at: datetime.datetime,
    font: pathlib.Path = fonts.DEFAULT_FONT,
) -> documents.PreparedSignature:
    """Write the file that waits for a value, and say what is to be signed.

    Args:
        signed: What the signature covers.
        target: Receives the prepared file.
        path: The signing certificate first, its root last.
        chosen: What the caller chose.
        at: The claimed signing time.
        font: For a visible signature.

    Raises:
        DocumentRefusedError: For the reason that its code names.
    """
    if chosen.format is PADES:
        return pades.prepare(
            signed.only_file.path,
            target,
            certificate=path[0],
            chain=path[1:],
            parameters=chosen,
            at=at,
            font=font,
        )
    prepared = module(chosen.format).prepare(
        signed, target, certificate=path[0], chain=path[1:], parameters=chosen, at=at
    )
    return prepared.countersigning(chosen.counter_signature_of)


def embed(
    prepared: documents.PreparedSignature,
    source: pathlib.Path,
    target: pathlib.Path,
    value: signature.SignatureValue,
) -> None:
    """Put a checked signature value into a prepared file: level B-B."""
    if prepared.format is PADES:
        pades.embed(prepared, source, target, value)
    else:
        module(prepared.format).embed(prepared, source, target, value)


def add_signature_time_stamp(
    format: documents.SignatureFormat,
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: documents.Position = -1,
) -> None:
    """Raise a signature, the newest or another, from B-B to B-T."""
    if format is PADES:
        pades.add_signature_time_stamp(source, target, request_token)
    else:
        module(format).add_signature_time_stamp(source, target, request_token, position=position)


def add_validation_data(
    format: documents.SignatureFormat,
    source: pathlib.Path,
    target: pathlib.Path,
    data: revocation_data.ValidationData,
    *,
    position: documents.Position = -1,
) -> None:
    """Raise a signature, the newest or another, from B-T to B-LT."""
    if format is PADES:
        pades.add_validation_data(source, target, data)
    else:
        module(format).add_validation_data(source, target, data, position=position)


def add_archive_time_stamp(
    format: documents.SignatureFormat,
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: documents.Position = -1,
    detached: Sequence[documents.Document] = (),
) -> None:
    """Raise a signature, the newest or another, from B-LT to B-LTA.

    Detached XAdES takes the documents that the signature covers.
    """
    if format is PADES:
        pades.add_document_time_stamp(source, target, request_token)
    elif format is documents.SignatureFormat.XADES:
        xades.add_archive_time_stamp(
            source, target, request_token, position=position, detached=detached
        )
    else:
        module(format).add_archive_time_stamp(source, target, request_token, position=position)


def time_stamp_tokens(
    format: documents.SignatureFormat,
    source: pathlib.Path,
    *,
    position: documents.Position = -1,
) -> tuple[bytes, ...]:
    """Return the tokens that belong to a signature, the newest or another."""
    if format is PADES:
        return pades.time_stamp_tokens(source)
    return module(format).time_stamp_tokens(source, position=position)
