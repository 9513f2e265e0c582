import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import errors
from signing_service import documents, parameters
from signing_service.web import schemas, validation_schemas

PADES = documents.SignatureFormat.PADES
XADES = documents.SignatureFormat.XADES
B_B = documents.SignatureLevel.B_B


@pytest.mark.clause("EN 319 142-1", "6.3")
def test_reason_and_commitment_exclude_each_other_in_a_pdf() -> None:
    with pytest.raises(parameters.ParametersError) as caught:
        parameters.SignatureParameters(
            PADES,
            B_B,
            reason="because",
            commitment=parameters.CommitmentType.PROOF_OF_APPROVAL,
        )
    assert caught.value.field == "reason"


@pytest.mark.parametrize(
    "text", ["", "   ", "x" * 201, "two\nlines", "nul\0", "\u202eright to left"]
)
def test_text_that_no_viewer_shows_on_one_line_is_refused(text: str) -> None:
    with pytest.raises(parameters.ParametersError):
        parameters.SignatureParameters(PADES, B_B, place=text)


def test_appearance_belongs_to_pdf_alone() -> None:
    with pytest.raises(parameters.ParametersError):
        parameters.SignatureParameters(
            XADES, B_B, appearance=parameters.Appearance(1, (0, 0, 100, 50))
        )


def test_commitments_have_the_numbers_and_addresses_of_the_standards() -> None:
    approval = parameters.CommitmentType.PROOF_OF_APPROVAL
    assert approval.oid == "1.2.840.113549.1.9.16.6.5"
    assert approval.uri == "http://uri.etsi.org/01903/v1.2.2#ProofOfApproval"


@given(text=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_mutated_parameters_raise_input_errors_and_nothing_else(text: bytes) -> None:
    for read in (schemas.read_signing, schemas.read_signature_value):
        with pytest.raises(errors.InputError):
            read(text)


@given(st.text(max_size=40))
def test_time_is_read_or_refused(text: str) -> None:
    try:
        chosen = validation_schemas.read_validation(json.dumps({"at": text}).encode())
    except parameters.ParametersError as error:
        assert error.field == "at"  # noqa: PT017 - either outcome is right
    else:
        assert chosen.at is not None
        assert chosen.at.tzinfo is datetime.UTC
