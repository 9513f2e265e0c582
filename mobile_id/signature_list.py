"""A list of documents that a person confirms at once on the phone: our extension of Mobile-ID REST.

The control code of a list is computed from a digest over everything that the phone shows and
signs: how many documents, and of each, in its order, the name and the hash. So two screens with
the same digits are about the same list, as far as 13 bits can tell.
"""

import base64
import dataclasses
import unicodedata
from collections.abc import Mapping, Sequence

from mobile_id import control_code, display_text, results
from pki import algorithms, errors, signature

MAX_DOCUMENTS = 20
"""More names than these nobody reads on a phone."""

MAX_NAME_CHARACTERS = 50
"""As long as a text on a SIM's screen in UCS-2."""

_PREFIX = b"imza signature list 1\0"
"""Nothing else that is hashed to be signed begins so: DER and XML do not."""


class SignatureListError(errors.InputError):
    """The list cannot be shown on a phone, or signed by one key."""

    code = "signature-list"


@dataclasses.dataclass(frozen=True)
class ListedDocument:
    """One document of a list.

    Attributes:
        name: As the phone shows it.
        representation: What the SIM signs for it.
    """

    name: str
    representation: signature.DataToBeSignedRepresentation


@dataclasses.dataclass(frozen=True)
class SignatureList:
    """The documents in the order in which they are shown and signed."""

    documents: tuple[ListedDocument, ...]

    def __post_init__(self) -> None:
        """Check that a phone can show all of it.

        Raises:
            SignatureListError: None or too many documents, or a name that the phone would change.
        """
        if not 1 <= len(self.documents) <= MAX_DOCUMENTS:
            raise SignatureListError(
                f"expected 1 to {MAX_DOCUMENTS} documents, got {len(self.documents)}"
            )
        for one in self.documents:
            if not one.name or shown_name(one.name) != one.name:
                raise SignatureListError(
                    f"expected names of 1 to {MAX_NAME_CHARACTERS} characters that a phone shows"
                    " as they are"
                )

    @property
    def representations(self) -> tuple[signature.DataToBeSignedRepresentation, ...]:
        """What the SIM signs, in order."""
        return tuple(one.representation for one in self.documents)

    @property
    def encoded(self) -> bytes:
        """The list as bytes; no two lists have the same.

        A prefix, the number of documents in one byte, and of each document its name in UTF-8, the
        name of its hash algorithm and the hash, each with its length in two bytes before it.
        """
        parts = [_PREFIX, bytes([len(self.documents)])]
        for one in self.documents:
            for field in (
                one.name.encode(),
                one.representation.hash_algorithm.value.encode(),
                one.representation.hash,
            ):
                parts += [len(field).to_bytes(2, "big"), field]
        return b"".join(parts)

    @property
    def digest(self) -> signature.DataToBeSignedRepresentation:
        """SHA-256 over the list: what the control code is made from; no key ever signs it."""
        return signature.represent(self.encoded, algorithms.HashAlgorithm.SHA256)

    @property
    def control_code(self) -> str:
        """The digits on both screens."""
        return control_code.control_code(self.digest)

    def to_json(self) -> list[dict[str, str]]:
        """The list as it goes over the wire and into the database."""
        return [
            {
                "name": one.name,
                "hash": base64.b64encode(one.representation.hash).decode(),
                "hashType": results.HASH_TYPE_NAMES[one.representation.hash_algorithm],
            }
            for one in self.documents
        ]

    @classmethod
    def from_json(cls, value: object) -> "SignatureList":
        """Read a list.

        Raises:
            SignatureListError: It is none.
        """
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise SignatureListError("expected a list of documents")
        if len(value) > MAX_DOCUMENTS:
            raise SignatureListError(f"expected 1 to {MAX_DOCUMENTS} documents, got {len(value)}")
        return cls(tuple(_document(one) for one in value))


def shown_name(name: str) -> str:
    """Return a document's name as a phone shows it.

    What a phone cannot show becomes a space, so that no letter hides or turns the others; of a
    long name the beginning and the end are kept, around an ellipsis.
    """
    shown = "".join(
        one if display_text.is_showable(one) and one != "\n" else " "
        for one in unicodedata.normalize("NFC", name)
    ).strip()
    if len(shown) > MAX_NAME_CHARACTERS:
        kept = MAX_NAME_CHARACTERS - 1
        shown = f"{shown[: kept - kept // 2]}…{shown[-(kept // 2) :]}"
    return shown or "?"


def _document(value: object) -> ListedDocument:
    if not isinstance(value, Mapping):
        raise SignatureListError("expected an object for each document")
    name, encoded, hash_type = (value.get(field) for field in ("name", "hash", "hashType"))
    if not (isinstance(name, str) and isinstance(encoded, str) and isinstance(hash_type, str)):
        raise SignatureListError("expected name, hash and hashType of each document")
    algorithm = results.HASH_TYPES.get(hash_type)
    if algorithm is None:
        raise SignatureListError(f"hashType must be one of {', '.join(results.HASH_TYPES)}")
    try:
        representation = signature.DataToBeSignedRepresentation(
            algorithm, base64.b64decode(encoded, validate=True)
        )
    except (ValueError, errors.InputError) as error:
        raise SignatureListError(
            "expected each hash in Base64, as long as its hashType says"
        ) from error
    return ListedDocument(name, representation)
