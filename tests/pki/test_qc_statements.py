import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.der import decoder
from pyasn1_alt_modules import rfc3739

from pki import der, oids, qc_statements

FULL = qc_statements.QcStatements(
    compliance=True,
    secure_device=True,
    types=(oids.QC_TYPE_ESIGN,),
    legislation=("AZ",),
    pds=(
        qc_statements.PdsLocation("https://pki.example.com/en.pdf", "en"),
        qc_statements.PdsLocation("https://pki.example.com/az.pdf", "az"),
    ),
    semantics=oids.SEMANTICS_NATURAL,
)


@pytest.mark.parametrize(
    "statements",
    [FULL, qc_statements.QcStatements(semantics=oids.SEMANTICS_LEGAL)],
)
@pytest.mark.clause("EN 319 412-5", "4.2.1")
def test_statements_are_read_back(statements: qc_statements.QcStatements) -> None:
    assert qc_statements.parse(qc_statements.encode(statements)) == statements


@pytest.mark.clause("RFC 3739", "3.2.6")
def test_another_decoder_reads_the_same_statements() -> None:
    decoded, rest = decoder.decode(qc_statements.encode(FULL), asn1Spec=rfc3739.QCStatements())
    assert not rest
    assert [str(one["statementId"]) for one in decoded] == [
        oids.PKIX_QC_SYNTAX_V2,
        oids.QC_COMPLIANCE,
        oids.QC_SSCD,
        oids.QC_TYPE,
        oids.QC_PDS,
        oids.QC_CC_LEGISLATION,
    ]


def test_a_statement_made_twice_is_refused() -> None:
    once = der.encode(der.SEQUENCE, der.encode_oid(oids.QC_COMPLIANCE))
    with pytest.raises(der.DERError):
        qc_statements.parse(der.encode(der.SEQUENCE, once, once))


def test_an_unknown_statement_is_named() -> None:
    unknown = der.encode(der.SEQUENCE, der.encode_oid("1.2.3"))
    assert qc_statements.parse(der.encode(der.SEQUENCE, unknown)).others == ("1.2.3",)


GOOD = qc_statements.encode(FULL)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_mutated_input_raises_der_error_and_nothing_else(place: int, value: int) -> None:
    mutated = bytearray(GOOD)
    mutated[place] = value
    try:
        parsed = qc_statements.parse(bytes(mutated))
    except der.DERError:
        return
    assert (parsed == FULL) == (bytes(mutated) == GOOD)
