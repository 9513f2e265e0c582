import contextlib
import datetime

import pytest
from asn1crypto import cms as asn1_cms
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import algorithms, errors, signature
from signing_service import documents
from signing_service.creation import cms, cms_signed_attributes
from tests.support import hierarchy as hierarchy_support
from tests.support import signing_world

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
HOLDER = hierarchy_support.make_hierarchy(NOW).signer()
ATTRIBUTES = cms_signed_attributes.build(
    content_digest=bytes(range(32)),
    hash_algorithm=algorithms.HashAlgorithm.SHA256,
    certificate=HOLDER.certificate,
    chosen=signing_world.pades(documents.SignatureLevel.B_B),
)
SIGNED = cms.signed_data(
    attributes=ATTRIBUTES,
    value=HOLDER.handle.sign(signature.represent(ATTRIBUTES, algorithms.HashAlgorithm.SHA256)),
    chain=HOLDER.chain[:-1],
)


def test_what_was_built_is_read_back() -> None:
    read = cms.parse(SIGNED + bytes(500))
    assert read.signed_attributes == ATTRIBUTES
    assert read.hash_algorithm is algorithms.HashAlgorithm.SHA256
    assert read.time_stamp_tokens() == ()


@pytest.mark.clause("EN 319 122-1", "5.3")
@given(tokens=st.lists(st.binary(max_size=300), max_size=3))
def test_time_stamps_are_added_without_touching_what_was_signed(tokens: list[bytes]) -> None:
    content = SIGNED
    made = [asn1_cms.OctetString(token).dump() for token in tokens]
    for token in made:
        content = cms.parse(content).with_time_stamp(token)

    read = cms.parse(content)
    assert sorted(read.time_stamp_tokens()) == sorted(made)
    assert read.signed_attributes == ATTRIBUTES
    assert read.signature_value == cms.parse(SIGNED).signature_value
    assert asn1_cms.ContentInfo.load(content, strict=True)["content"]["signer_infos"]


@settings(max_examples=400)
@given(
    places=st.lists(
        st.tuples(st.integers(0, len(SIGNED) - 1), st.integers(0, 255)), min_size=1, max_size=4
    ),
    cut=st.integers(0, len(SIGNED)),
)
def test_mutated_signature_raises_input_errors_and_nothing_else(
    places: list[tuple[int, int]], cut: int
) -> None:
    mutated = bytearray(SIGNED)
    for place, value in places:
        mutated[place] = value
    for content in (bytes(mutated), bytes(mutated[:cut])):
        with contextlib.suppress(errors.InputError):
            read = cms.parse(content)
            read.time_stamp_tokens()
            cms.parse(read.with_time_stamp(b"\x05\x00"))


def test_bytes_after_the_signature_are_refused() -> None:
    with pytest.raises(cms.CmsError):
        cms.parse(SIGNED + bytes(10) + b"hidden")


def test_signature_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(cms.CmsError):
        cms.parse(bytes(cms.MAX_CMS_BYTES + 1))
