"""What the caller of a signature chooses: format, level, packaging, meaning and appearance."""

import dataclasses
import enum

from pki import errors
from signing_service import documents

MAX_TEXT = 200
"""Longest place, reason or display text in characters; a viewer shows one line."""


class ParametersError(errors.InputError):
    """A parameter is missing, unknown, or does not fit the others.

    Attributes:
        field: The parameter's name in the request, with dots for nested ones.
    """

    code = "invalid-parameters"

    def __init__(self, message: str, *, field: str) -> None:
        """Keep the sentence and the name of the field it is about."""
        super().__init__(message)
        self.field = field


class UnsupportedFormatError(ParametersError):
    """A format, level or packaging that this service does not make."""

    code = "unsupported-format"


class Packaging(enum.Enum):
    """How a signature and its document lie together (EN 319 102-1 4.2.2)."""

    ENVELOPED = "enveloped"
    ENVELOPING = "enveloping"
    DETACHED = "detached"


class CommitmentType(enum.Enum):
    """What signing means (EN 319 122-1 5.2.3, EN 319 132-1 5.2.3; numbers from RFC 5126 5.11.1)."""

    PROOF_OF_ORIGIN = "proof-of-origin"
    PROOF_OF_RECEIPT = "proof-of-receipt"
    PROOF_OF_DELIVERY = "proof-of-delivery"
    PROOF_OF_SENDER = "proof-of-sender"
    PROOF_OF_APPROVAL = "proof-of-approval"
    PROOF_OF_CREATION = "proof-of-creation"

    @property
    def oid(self) -> str:
        """The dotted object identifier that CMS uses."""
        return f"1.2.840.113549.1.9.16.6.{list(CommitmentType).index(self) + 1}"

    @property
    def uri(self) -> str:
        """The identifier that XAdES uses (EN 319 132-1 5.2.3), such as `...#ProofOfOrigin`."""
        name = "".join(word.capitalize() for word in self.value.split("-"))
        return f"http://uri.etsi.org/01903/v1.2.2#{name}"


@dataclasses.dataclass(frozen=True)
class Appearance:
    """Where a visible signature stands on its page.

    Attributes:
        page: Counted from 1; -1 is the last page.
        box: Left, bottom, right, top in points from the lower left corner of the page; None takes
            the first free place at the foot of the page.
    """

    page: int
    box: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse a box without area and a page that cannot exist."""
        if self.page == 0 or self.page < -1:
            raise ParametersError(
                f"expected a page counted from 1, or -1 for the last one, got {self.page}",
                field="appearance.page",
            )
        if self.box is None:
            return
        left, bottom, right, top = self.box
        if not (0 <= left < right <= MAX_COORDINATE and 0 <= bottom < top <= MAX_COORDINATE):
            raise ParametersError(
                "expected a box of left, bottom, right and top in points, left before right and"
                f" bottom under top, each from 0 to {MAX_COORDINATE}",
                field="appearance.box",
            )
        if right - left < MIN_BOX[0] or top - bottom < MIN_BOX[1]:
            raise ParametersError(
                f"expected a box of at least {MIN_BOX[0]} by {MIN_BOX[1]} points, so that the"
                " text in it can be read",
                field="appearance.box",
            )


MAX_COORDINATE = 14_400
"""The largest page that a PDF has, in points (ISO 32000-1 annex C.2)."""

MIN_BOX = (60, 20)
"""Smallest width and height of a visible signature, in points."""


_CONTAINERS = (documents.SignatureFormat.ASIC_E, documents.SignatureFormat.ASIC_S)
_WITH_ROLE = (documents.SignatureFormat.XADES, *_CONTAINERS)
_INSIDE_THE_DOCUMENT = (documents.SignatureFormat.PADES, documents.SignatureFormat.XADES)


@dataclasses.dataclass(frozen=True)
class SignatureParameters:
    """Everything about a signature that its caller chooses.

    Attributes:
        packaging: None becomes what the format mostly has: enveloped for PAdES and XAdES, and
            detached for the others.
        place: Where the signer says it was made (`Location` of a PDF, `City` of XAdES).
        reason: Free words; a PDF holds either these or a commitment.
        role: As what the signer says to sign: a claim, which nobody has checked.
        container_signature: What an ASiC container's signatures are: XAdES or CAdES. A container
            that has signatures keeps its kind.
        display_text: What a phone shows beside its control code.
    """

    format: documents.SignatureFormat
    level: documents.SignatureLevel
    packaging: Packaging = None  # type: ignore[assignment]  # chosen below
    commitment: CommitmentType | None = None
    place: str | None = None
    reason: str | None = None
    appearance: Appearance | None = None
    role: str | None = None
    container_signature: documents.SignatureFormat = documents.SignatureFormat.XADES
    display_text: str | None = None

    def __post_init__(self) -> None:
        """Refuse combinations that the formats forbid."""
        if self.packaging is None:
            enveloped = self.format in _INSIDE_THE_DOCUMENT
            packaging = Packaging.ENVELOPED if enveloped else Packaging.DETACHED
            object.__setattr__(self, "packaging", packaging)
        for field in ("place", "reason", "role", "display_text"):
            _require_text(field, getattr(self, field))
        if self.format is documents.SignatureFormat.PADES:
            if self.packaging is not Packaging.ENVELOPED:
                raise UnsupportedFormatError(
                    "expected the packaging enveloped for PAdES: the signature lies in the PDF",
                    field="packaging",
                )
            # EN 319 142-1 6.3: Reason and the commitment attribute exclude each other.
            if self.reason is not None and self.commitment is not None:
                raise ParametersError(
                    "expected a reason or a commitment for PAdES, got both", field="reason"
                )
        elif self.appearance is not None:
            raise ParametersError(
                f"expected an appearance only for PAdES, got one for {self.format.value}",
                field="appearance",
            )

        if self.container_signature not in (
            documents.SignatureFormat.XADES,
            documents.SignatureFormat.CADES,
        ):
            raise ParametersError(
                f"expected XAdES or CAdES in a container, got {self.container_signature.value}",
                field="container_signature",
            )
        if self.format in _CONTAINERS and self.packaging is not Packaging.DETACHED:
            raise UnsupportedFormatError(
                f"expected the packaging detached for {self.format.value}: its signatures lie"
                " beside the documents",
                field="packaging",
            )
        if self.role is not None and self.format not in _WITH_ROLE:
            raise ParametersError(
                f"expected a role only for XAdES and ASiC-E, got one for {self.format.value}",
                field="role",
            )


def _require_text(field: str, text: str | None) -> None:
    if text is None:
        return
    if not text.strip() or len(text) > MAX_TEXT or not text.isprintable():
        raise ParametersError(
            f"expected 1 to {MAX_TEXT} printable characters on one line", field=field
        )
