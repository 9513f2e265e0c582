"""The values that travel through the main job, from a document to a signed document."""

import dataclasses
import enum
import json
import pathlib
from collections.abc import Sequence
from typing import TypeAlias

from cryptography import x509

from pki import algorithms, errors, signature


class DocumentRefusedError(errors.InputError):
    """The document cannot be signed, for the reason its code names."""

    code = "document-refused"


class UnknownSignatureError(DocumentRefusedError):
    """No signature of the document has the identifier, or several have it."""

    code = "signature-unknown"

    def __init__(self, identifier: str, present: Sequence[str]) -> None:
        """Tell the identifiers that there are; they are a stranger's, so they are cut and few."""
        shown = ", ".join(repr(one[:100]) for one in present[:MAX_NAMED]) or "none"
        count = list(present).count(identifier)
        super().__init__(
            f"expected the identifier of one signature of the document, got {identifier[:100]!r},"
            f" which {'none' if count == 0 else count} of them have; there are: {shown}"
        )


MAX_NAMED = 20
"""Identifiers in a message."""


class SignatureFormat(enum.Enum):
    """A signature format, named as the API names it."""

    PADES = "PAdES"
    XADES = "XAdES"
    ASIC_E = "ASiC-E"
    ASIC_S = "ASiC-S"
    CADES = "CAdES"


class SignatureLevel(enum.IntEnum):
    """A baseline level; a higher one contains the lower ones."""

    B_B = 1
    B_T = 2
    B_LT = 3
    B_LTA = 4

    @property
    def label(self) -> str:
        """The level as the API names it: `B-B`, `B-T`, `B-LT` or `B-LTA`."""
        return self.name.replace("_", "-")

    @classmethod
    def from_label(cls, label: str) -> "SignatureLevel":
        """Return the level of a label such as `B-LT`."""
        for level in cls:
            if level.label == label:
                return level
        raise errors.InputError(f"expected a level from B-B to B-LTA, got {label!r}")


@dataclasses.dataclass(frozen=True)
class ValuePosition:
    """The signature that has a value, wherever it lies, counter-signatures included.

    Attributes:
        in_xml: The value as a XAdES signature has it: r||s of ECDSA.
        in_cms: The value as a CMS signature has it: a DER SEQUENCE of ECDSA.
    """

    in_xml: bytes
    in_cms: bytes

    @classmethod
    def of(cls, value: signature.SignatureValue) -> "ValuePosition":
        """Return the position of the signature that a value was made for."""
        return cls(value.value, value.encoded_for_cms())


Position: TypeAlias = int | ValuePosition
"""Which signature of a document: its place among those that lie in no other one, where -1 is the
newest; or the one with a value."""


@dataclasses.dataclass(frozen=True)
class Document:
    """A document on disk, and the name its owner gave it.

    Documents are files rather than bytes in memory, since a portal may send a hundred megabytes.
    """

    name: str
    path: pathlib.Path


@dataclasses.dataclass(frozen=True)
class DocumentDigest:
    """A document that its owner keeps: its name and its hash are all that is known here."""

    name: str
    hash_algorithm: algorithms.HashAlgorithm
    value: bytes

    def __post_init__(self) -> None:
        """Refuse a hash whose length does not fit its algorithm."""
        if len(self.value) != self.hash_algorithm.size:
            raise errors.InputError(
                f"expected a {self.hash_algorithm.value} hash of {self.hash_algorithm.size} bytes,"
                f" got {len(self.value)} bytes"
            )


Detached = Document | DocumentDigest
"""What lies beside a detached signature: a file, or the hash of one that its owner keeps."""


@dataclasses.dataclass(frozen=True)
class SignersDocuments:
    """What one signature covers: files, or the hashes of files that their owner keeps."""

    files: tuple[Document, ...] = ()
    digests: tuple[DocumentDigest, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, in their order."""
        return (*(one.name for one in self.files), *(one.name for one in self.digests))

    @property
    def only_file(self) -> Document:
        """The single file, where the format takes one and no hash.

        Raises:
            DocumentRefusedError: There are several, or hashes.
        """
        if len(self.files) != 1 or self.digests:
            raise DocumentRefusedError(
                f"expected one document, got {len(self.files)} files and {len(self.digests)} hashes"
            )
        return self.files[0]


def single(path: pathlib.Path) -> SignersDocuments:
    """Return one file, under the name it has on the disk."""
    return SignersDocuments((Document(path.name, path),))


COUNTER_SIGNATURE_OF = "counter_signature_of"
"""The member of a context that makes it a counter-signature's."""

ORIGINALS = "originals"
"""The member of a context that names the documents which an archive time stamp will cover."""


@dataclasses.dataclass(frozen=True)
class PreparedSignature:
    """A signature that waits for its value; it can be stored, and any worker can finish it.

    The prepared document itself lies in a file beside this value.

    Attributes:
        format: Which module embeds the value.
        data_to_be_signed: Exactly the bytes that are hashed: the DER signed attributes of a CMS
            signature, or the canonical SignedInfo of an XML one.
        hash_algorithm: The hash of the representation.
        context: What `embed` needs besides, as JSON of the format's own module.
    """

    format: SignatureFormat
    data_to_be_signed: bytes
    hash_algorithm: algorithms.HashAlgorithm
    context: bytes

    @property
    def counter_signature_of(self) -> str | None:
        """The identifier of the signature whose value is signed, or None."""
        found = self._member(COUNTER_SIGNATURE_OF)
        return None if found is None else str(found)

    @property
    def originals(self) -> tuple[str, ...]:
        """The names of the documents that are kept beside the prepared one, in their order."""
        found = self._member(ORIGINALS)
        return tuple(map(str, found)) if isinstance(found, list) else ()

    def countersigning(self, identifier: str | None) -> "PreparedSignature":
        """Return the same, as the counter-signature of the signature with an identifier."""
        return self if identifier is None else self._with(COUNTER_SIGNATURE_OF, identifier)

    def keeping(self, originals: Sequence[Document]) -> "PreparedSignature":
        """Return the same, with documents that are kept for the archive time stamp."""
        return self._with(ORIGINALS, [one.name for one in originals]) if originals else self

    def _member(self, name: str) -> object:
        # A context may hold a whole signature file, which is read for this alone.
        return json.loads(self.context).get(name) if name.encode() in self.context else None

    def _with(self, name: str, value: object) -> "PreparedSignature":
        context = json.loads(self.context) | {name: value}
        return dataclasses.replace(self, context=json.dumps(context).encode())

    def position(self, value: signature.SignatureValue) -> Position:
        """Return which signature of the document it has become, once it has its value."""
        return -1 if self.counter_signature_of is None else ValuePosition.of(value)


@dataclasses.dataclass(frozen=True)
class FoundSignature:
    """A signature of a document that is to be augmented.

    Attributes:
        certificate: The signing certificate.
        besides: Others that the signature carries.
        tokens: Its time-stamp tokens, in the order of time.
        is_archived: Whether one of them is an archive or document time stamp.
    """

    certificate: x509.Certificate
    besides: tuple[x509.Certificate, ...]
    tokens: tuple[bytes, ...]
    is_archived: bool


@dataclasses.dataclass(frozen=True)
class SignedDocument:
    """A document with a signature, and the level that its newest signature has reached."""

    document: Document
    format: SignatureFormat
    level: SignatureLevel
