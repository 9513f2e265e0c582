"""The statements by which a certificate says it is qualified (EN 319 412-5, RFC 3739 3.2.6)."""

import dataclasses

from pki import der, oids


@dataclasses.dataclass(frozen=True)
class PdsLocation:
    """Where a PKI disclosure statement is: an https address and its ISO 639-1 language."""

    url: str
    language: str


@dataclasses.dataclass(frozen=True)
class QcStatements:
    """What a certificate states; the default states nothing.

    Attributes:
        compliance: It is a qualified certificate (EN 319 412-5 4.2.1).
        secure_device: The private key resides in a qualified device (4.2.2).
        types: Object identifiers such as `oids.QC_TYPE_ESIGN` (4.2.3).
        legislation: The countries, outside the Union, under whose law it is qualified (4.2.4).
        pds: Disclosure statements (4.3.4).
        semantics: What the subject's identifiers mean (EN 319 412-1 5.1).
        others: Statements that are not known here.
        readable: False for an extension that is there and cannot be read: it states nothing.
    """

    compliance: bool = False
    secure_device: bool = False
    types: tuple[str, ...] = ()
    legislation: tuple[str, ...] = ()
    pds: tuple[PdsLocation, ...] = ()
    semantics: str | None = None
    others: tuple[str, ...] = ()
    readable: bool = True


def encode(statements: QcStatements) -> bytes:
    """Build the extension's value."""
    parts = []
    if statements.semantics is not None:
        parts.append(
            _statement(
                oids.PKIX_QC_SYNTAX_V2,
                der.encode(der.SEQUENCE, der.encode_oid(statements.semantics)),
            )
        )
    if statements.compliance:
        parts.append(_statement(oids.QC_COMPLIANCE))
    if statements.secure_device:
        parts.append(_statement(oids.QC_SSCD))
    if statements.types:
        parts.append(
            _statement(
                oids.QC_TYPE, der.encode(der.SEQUENCE, *map(der.encode_oid, statements.types))
            )
        )
    if statements.pds:
        locations = (
            der.encode(
                der.SEQUENCE,
                der.encode(der.IA5_STRING, one.url.encode("ascii")),
                der.encode(der.PRINTABLE_STRING, one.language.encode("ascii")),
            )
            for one in statements.pds
        )
        parts.append(_statement(oids.QC_PDS, der.encode(der.SEQUENCE, *locations)))
    if statements.legislation:
        codes = (
            der.encode(der.PRINTABLE_STRING, one.encode("ascii")) for one in statements.legislation
        )
        parts.append(_statement(oids.QC_CC_LEGISLATION, der.encode(der.SEQUENCE, *codes)))
    return der.encode(der.SEQUENCE, *parts)


def parse(value: bytes) -> QcStatements:
    """Read the extension's value.

    Raises:
        DERError: Not QCStatements, or a statement twice: which one holds would be a guess.
    """
    found: dict[str, der.Element | None] = {}
    for statement in der.read(value).expect(der.SEQUENCE).children():
        parts = statement.expect(der.SEQUENCE).children()
        if not 1 <= len(parts) <= 2:
            raise der.DERError(f"expected a QCStatement of 1 or 2 parts, got {len(parts)}")
        name = der.decode_oid(parts[0])
        if name in found:
            raise der.DERError(f"expected each QCStatement once, got {name} twice")
        found[name] = parts[1] if len(parts) == 2 else None
    known = {
        oids.QC_COMPLIANCE,
        oids.QC_SSCD,
        oids.QC_TYPE,
        oids.QC_PDS,
        oids.QC_CC_LEGISLATION,
        oids.PKIX_QC_SYNTAX_V2,
    }
    return QcStatements(
        compliance=oids.QC_COMPLIANCE in found,
        secure_device=oids.QC_SSCD in found,
        types=tuple(der.decode_oid(one) for one in _info(found, oids.QC_TYPE)),
        legislation=tuple(
            der.decode_text(one, der.PRINTABLE_STRING)
            for one in _info(found, oids.QC_CC_LEGISLATION)
        ),
        pds=tuple(_location(one) for one in _info(found, oids.QC_PDS)),
        semantics=_semantics(_info(found, oids.PKIX_QC_SYNTAX_V2)),
        others=tuple(name for name in found if name not in known),
    )


def _statement(name: str, info: bytes = b"") -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(name), info)


def _info(found: dict[str, der.Element | None], name: str) -> tuple[der.Element, ...]:
    element = found.get(name)
    return () if element is None else element.expect(der.SEQUENCE).children()


def _location(element: der.Element) -> PdsLocation:
    parts = element.expect(der.SEQUENCE).children()
    if len(parts) != 2:
        raise der.DERError(f"expected an address and a language, got {len(parts)} parts")
    return PdsLocation(
        der.decode_text(parts[0], der.IA5_STRING), der.decode_text(parts[1], der.PRINTABLE_STRING)
    )


def _semantics(parts: tuple[der.Element, ...]) -> str | None:
    # The semantics identifier is optional and comes first; names of registrars may follow.
    if parts and parts[0].tag == der.OBJECT_IDENTIFIER:
        return der.decode_oid(parts[0])
    return None
