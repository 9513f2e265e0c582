"""A list's control code: made from every name and every hash in their order, and nothing else."""

import itertools
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mobile_id import control_code, signature_list
from mobile_id.signature_list import ListedDocument, SignatureList, SignatureListError
from pki import signature
from pki.algorithms import HashAlgorithm

NAMES = st.text(min_size=1, max_size=60).map(signature_list.shown_name)
DOCUMENTS = st.builds(
    ListedDocument,
    NAMES,
    st.builds(signature.represent, st.binary(max_size=8), st.sampled_from(HashAlgorithm)),
)
LISTS = st.lists(DOCUMENTS, min_size=1, max_size=signature_list.MAX_DOCUMENTS).map(
    lambda found: SignatureList(tuple(found))
)


def made(*texts: str) -> SignatureList:
    return SignatureList(
        tuple(
            ListedDocument(f"{one}.pdf", signature.represent(one.encode(), HashAlgorithm.SHA256))
            for one in texts
        )
    )


@given(LISTS, LISTS)
def test_no_two_lists_have_the_same_control_code_input(
    one: SignatureList, other: SignatureList
) -> None:
    assert (one.encoded == other.encoded) == (one == other)


@given(LISTS, st.randoms())
def test_another_order_another_omission_or_another_name_is_another_input(
    found: SignatureList, random: Any
) -> None:
    documents = list(found.documents)
    place = random.randrange(len(documents))
    changed = [
        documents[:place] + documents[place + 1 :],
        [*documents, documents[place]],
        random.sample(documents, len(documents)),
        [
            ListedDocument(signature_list.shown_name(f"x{one.name}"), one.representation)
            if at == place
            else one
            for at, one in enumerate(documents)
        ],
    ]
    for other in changed:
        if other == documents or not 1 <= len(other) <= signature_list.MAX_DOCUMENTS:
            continue
        assert SignatureList(tuple(other)).encoded != found.encoded
        assert SignatureList(tuple(other)).digest != found.digest


def test_every_permutation_of_a_list_has_a_digest_of_its_own() -> None:
    digests = {
        made(*order).digest.hash
        for size in range(1, 5)
        for order in itertools.permutations("abcd", size)
    }
    assert len(digests) == 4 + 12 + 24 + 24


def test_a_name_that_takes_a_letter_from_the_next_field_is_another_list() -> None:
    representation = signature.represent(b"x", HashAlgorithm.SHA256)
    pairs = [("ab", "c"), ("a", "bc")]
    one, other = (
        SignatureList(tuple(ListedDocument(name, representation) for name in names))
        for names in pairs
    )
    assert one.encoded != other.encoded


def test_the_control_code_is_that_of_the_digest_and_no_document_has_the_digest() -> None:
    found = made("a", "b")
    assert found.control_code == control_code.control_code(found.digest)
    assert found.digest not in found.representations
    # DER of signed attributes begins with 0x31, SignedInfo with an angle bracket.
    assert found.encoded.startswith(b"imza signature list 1\0\x02")


@given(LISTS)
def test_a_list_survives_the_wire(found: SignatureList) -> None:
    assert SignatureList.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "value",
    [
        None, "text", {}, [], [None], [{}], [{"name": "a", "hash": "AA==", "hashType": "SHA256"}],
        [{"name": "a", "hash": "?", "hashType": "SHA256"}],
        [{"name": "a", "hash": "A" * 43 + "=", "hashType": "MD5"}],
        [{"name": "", "hash": "A" * 43 + "=", "hashType": "SHA256"}],
        [{"name": "a" * 51, "hash": "A" * 43 + "=", "hashType": "SHA256"}],
        [{"name": "fdp.\u202eexe", "hash": "A" * 43 + "=", "hashType": "SHA256"}],
        [{"name": "a\nb", "hash": "A" * 43 + "=", "hashType": "SHA256"}],
        [{"name": "a", "hash": "A" * 43 + "=", "hashType": "SHA256"}] * 21,
    ],
)  # fmt: skip
def test_what_a_phone_cannot_show_or_a_key_cannot_sign_is_refused(value: object) -> None:
    with pytest.raises(SignatureListError):
        SignatureList.from_json(value)


@given(st.text(max_size=300))
def test_a_shown_name_fits_and_is_shown_as_it_is(name: str) -> None:
    assume("\ud800" not in name)
    shown = signature_list.shown_name(name)
    assert 1 <= len(shown) <= signature_list.MAX_NAME_CHARACTERS
    assert signature_list.shown_name(shown) == shown


def test_a_long_name_keeps_its_beginning_and_its_ending() -> None:
    shown = signature_list.shown_name(f"Müqavilə {'x' * 100} № 17.pdf")
    assert shown.startswith("Müqavilə xxx")
    assert shown.endswith(" № 17.pdf")
    assert shown.count("…") == 1
