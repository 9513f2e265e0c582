"""How a person's identity was checked: the words that registration offices and the CA share."""

import base64
import dataclasses
import datetime
import enum

from pki import errors


class VettingInputError(errors.InputError):
    """A vetting method or an identity document that cannot be read."""

    code = "vetting-invalid"


class Method(enum.Enum):
    """By what the identity was established (EN 319 411-1 6.2.2; Regulation 910/2014 24.1).

    `IN_PERSON`: the officer saw the person and a document. `QUALIFIED_SIGNATURE`: the person
    signed the application's text with a qualified certificate of ours. `CONSULATE`: a consul saw
    the person and a document abroad.
    """

    IN_PERSON = "in_person"
    QUALIFIED_SIGNATURE = "qualified_signature"
    CONSULATE = "consulate"


class DocumentKind(enum.Enum):
    """What kinds of identity document are accepted."""

    PASSPORT = "passport"
    IDENTITY_CARD = "identity_card"
    RESIDENCE_PERMIT = "residence_permit"


@dataclasses.dataclass(frozen=True)
class Document:
    """An identity document that was seen.

    Attributes:
        kind: Which one.
        country: Who issued it, ISO 3166-1, two capitals.
        number: As it is printed.
        expires: Its last day.
    """

    kind: DocumentKind
    country: str
    number: str = dataclasses.field(repr=False)
    expires: datetime.date

    @classmethod
    def parse(cls, text: str) -> "Document":
        """Read `KIND:COUNTRY:NUMBER:EXPIRES`, such as `passport:AZ:C01234567:2031-05-31`.

        Raises:
            VettingInputError: Another shape; the number is not in the message.
        """
        parts = text.split(":")
        if len(parts) != 4:
            raise VettingInputError(
                f"expected KIND:COUNTRY:NUMBER:EXPIRES for a document, got {len(parts)} parts"
            )
        kind, country, number, expires = parts
        try:
            return cls(DocumentKind(kind), country, number, datetime.date.fromisoformat(expires))
        except ValueError as error:
            kinds = ", ".join(one.value for one in DocumentKind)
            raise VettingInputError(
                f"expected a document of the kind {kinds} and its last day as YYYY-MM-DD"
            ) from error

    def as_json(self) -> dict[str, object]:
        """The document as the registration API takes it."""
        return {
            "kind": self.kind.value,
            "country": self.country,
            "number": self.number,
            "expires": self.expires.isoformat(),
        }

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return f"{self.kind.value}:{self.country}:{self.number}:{self.expires.isoformat()}"


@dataclasses.dataclass(frozen=True)
class Vetting:
    """What an officer hands in about a person's identity; who the officer is, the CA knows.

    Attributes:
        documents: What was seen.
        method: By what the identity was established.
        consulate: Where the consul saw the person, for `CONSULATE` alone.
        signature: The person's CMS signature over the application's text, in DER, for
            `QUALIFIED_SIGNATURE` alone.
    """

    documents: tuple[Document, ...] = ()
    method: Method = Method.IN_PERSON
    consulate: str | None = None
    signature: bytes | None = dataclasses.field(default=None, repr=False)

    def as_json(self) -> dict[str, object]:
        """The record as the registration API takes it."""
        return {
            "method": self.method.value,
            "documents": [one.as_json() for one in self.documents],
            "consulate": self.consulate,
            "signature": (
                None if self.signature is None else base64.b64encode(self.signature).decode("ascii")
            ),
        }
