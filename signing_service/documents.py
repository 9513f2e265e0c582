"""The values that travel through the main job, from a document to a signed document."""

import dataclasses
import enum
import pathlib

from cryptography import x509

from pki import algorithms, errors


class DocumentRefusedError(errors.InputError):
    """The document cannot be signed, for the reason its code names."""

    code = "document-refused"


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
