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


class PermittedChanges(enum.Enum):
    """What may be done to a PDF after a signature (P of DocMDP, ISO 32000-1 table 254).

    Evidence of validity and document time stamps may always be added (ISO 32000-2 12.8.2.2).
    """

    NO_CHANGES = "no-changes"
    FORM_FILLING = "form-filling"
    ANNOTATIONS = "annotations"

    @property
    def number(self) -> int:
        """The value of P: 1 permits least, 3 most."""
        return list(PermittedChanges).index(self) + 1

    @classmethod
    def from_number(cls, number: int) -> "PermittedChanges":
        """Return the member of a value of P; what is not known permits nothing."""
        known = {one.number: one for one in cls}
        return known.get(number, cls.NO_CHANGES)


class LockAction(enum.Enum):
    """Which form fields a lock is about (ISO 32000-1 table 233)."""

    ALL = "all"
    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclasses.dataclass(frozen=True)
class FieldLock:
    """Form fields that a signature locks (SigFieldLock and FieldMDP, ISO 32000-1 12.8.2.4).

    Attributes:
        action: All fields, those named, or all but those named.
        fields: Their full names, with dots; a name stands for the fields under it too.
        changes: What else may be changed afterwards (P of ISO 32000-2 table 236), or None.
    """

    action: LockAction
    fields: tuple[str, ...] = ()
    changes: PermittedChanges | None = None

    def __post_init__(self) -> None:
        """Refuse names where all fields are meant, and none where some are."""
        if (self.action is LockAction.ALL) is bool(self.fields):
            raise ParametersError(
                "expected fields with the action include or exclude, and none with all",
                field="lock.fields",
            )
        if len(self.fields) > MAX_LOCKED or any(
            not 0 < len(one) <= MAX_FIELD_NAME for one in self.fields
        ):
            raise ParametersError(
                f"expected at most {MAX_LOCKED} names of 1 to {MAX_FIELD_NAME} characters",
                field="lock.fields",
            )


MAX_LOCKED = 200
"""Names in one lock."""

MAX_FIELD_NAME = 400
"""Characters in a form field's full name."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture for a visible signature, decoded: rows from the top, without padding.

    Attributes:
        colours: Red, green and blue of each pixel, a byte each.
        opacity: A byte for each pixel, 0 is clear; None where all is opaque.
    """

    width: int
    height: int
    colours: bytes
    opacity: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse what is not as large as it says: it may come from a process that was misled."""
        sides = (self.width, self.height)
        if not all(type(one) is int and 0 < one <= MAX_PICTURE_SIDE for one in sides):
            raise ParametersError(
                f"expected a picture of 1 to {MAX_PICTURE_SIDE} pixels a side",
                field="appearance_image",
            )
        pixels = self.width * self.height
        kinds = type(self.colours), type(self.opacity)
        if (
            kinds not in ((bytes, bytes), (bytes, type(None)))
            or len(self.colours) != 3 * pixels
            or (self.opacity is not None and len(self.opacity) != pixels)
        ):
            raise ParametersError(
                "expected as many samples as the picture has pixels", field="appearance_image"
            )


MAX_PICTURE_SIDE = 1000
"""Pixels: at 300 dots to the inch more than three inches, the whole width of a signature."""


@dataclasses.dataclass(frozen=True)
class Appearance:
    """How a visible signature looks and where it stands.

    Attributes:
        page: Counted from 1; -1 is the last page.
        box: Left, bottom, right, top in points from the lower left corner of the page as it is
            shown: turned by its rotation and cut to its crop box. None takes the first free place
            at the foot of the page.
        field: The full name of an empty signature field that is signed, where it stands; page and
            box do not count then.
        text: Whether it tells who signed, when and why.
        picture: Stands left of the text, or alone.
    """

    page: int = -1
    box: tuple[int, int, int, int] | None = None
    field: str | None = None
    text: bool = True
    picture: Picture | None = None

    def __post_init__(self) -> None:
        """Refuse a box without area, a page that cannot exist, and two places at once."""
        if self.field is not None and (self.box is not None or self.page != -1):
            raise ParametersError(
                "expected a page and a box, or the name of a field that has its own, got both",
                field="appearance.field",
            )
        if self.field is not None and not 0 < len(self.field) <= MAX_FIELD_NAME:
            raise ParametersError(
                f"expected a field name of 1 to {MAX_FIELD_NAME} characters",
                field="appearance.field",
            )
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


MAX_IDENTIFIER = 500
"""Longest identifier of a signature: one of XML is as long as its maker likes."""

_CONTAINERS = (documents.SignatureFormat.ASIC_E, documents.SignatureFormat.ASIC_S)
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
        certification: Makes a PDF's first signature a certification: what it permits after it.
        lock: Form fields of a PDF that must not change any more.
        counter_signature_of: The identifier of a signature of the document, as a validation report
            names it: that signature's value is signed, and not the document.
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
    certification: PermittedChanges | None = None
    lock: FieldLock | None = None
    counter_signature_of: str | None = None

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
            if self.certification and self.lock is not None and self.lock.changes is not None:
                raise ParametersError(
                    "expected a certification or a lock to say what may be changed, got both",
                    field="lock.changes",
                )
        else:
            for field in ("appearance", "certification", "lock"):
                if getattr(self, field) is not None:
                    raise ParametersError(
                        f"expected {field} only for PAdES, got it for {self.format.value}",
                        field=field,
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
        if self.counter_signature_of is not None:
            self._check_counter_signature(self.counter_signature_of)

    def _check_counter_signature(self, identifier: str) -> None:
        if self.format is documents.SignatureFormat.PADES:
            raise UnsupportedFormatError(
                "expected XAdES, CAdES or a container for a counter-signature: a PDF gets one more"
                " signature instead",
                field="counter_signature_of",
            )
        if not 1 <= len(identifier) <= MAX_IDENTIFIER:
            raise ParametersError(
                f"expected an identifier of 1 to {MAX_IDENTIFIER} characters",
                field="counter_signature_of",
            )


def _require_text(field: str, text: str | None) -> None:
    if text is None:
        return
    if not text.strip() or len(text) > MAX_TEXT or not text.isprintable():
        raise ParametersError(
            f"expected 1 to {MAX_TEXT} printable characters on one line", field=field
        )
