import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import der


@given(st.binary(max_size=70_000))
@settings(max_examples=60)
def test_what_is_encoded_is_read_back(content: bytes) -> None:
    element = der.read(der.encode(der.OCTET_STRING, content))
    assert element == der.Element(der.OCTET_STRING, content)


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65535, 65536])
def test_lengths_at_the_edges_are_read_back(size: int) -> None:
    assert len(der.read(der.encode(der.OCTET_STRING, bytes(size))).content) == size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",  # indefinite
        b"\x30\x81\x01\x00",  # not the shortest
        b"\x30\x82\x00\x80" + bytes(128),  # not the shortest
        b"\x30\x85\x00\x00\x00\x00\x01\x00",  # five octets of length
        b"\x30\x02\x00",  # cut
        b"\x30\x00\x00",  # something after it
        b"\x1f\x81\x01\x00",  # a long tag
    ],
)
@pytest.mark.clause("X.690", "10.1")
def test_what_is_not_der_is_refused(data: bytes) -> None:
    with pytest.raises(der.DERError):
        der.read(data)


@given(st.lists(st.integers(0, 2**70), min_size=0, max_size=8), st.integers(0, 39))
def test_identifiers_are_read_back(arcs: list[int], second: int) -> None:
    for first in (0, 1, 2):
        text = ".".join(map(str, (first, second, *arcs)))
        if len(der.encode_oid(text)) < 64:
            assert der.decode_oid(der.read(der.encode_oid(text))) == text
    assert der.decode_oid(der.read(der.encode_oid("2.999.1"))) == "2.999.1"


@pytest.mark.parametrize("text", ["", "1", "3.1", "1.40", "1.2.", "1.02", "a.b", "1.-2"])
def test_what_is_no_identifier_is_refused(text: str) -> None:
    with pytest.raises(der.DERError):
        der.encode_oid(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        element = der.read(data)
        element.children()
        der.decode_oid(element)
        der.decode_text(element, der.UTF8_STRING)
    except der.DERError:
        pass
    else:
        assert der.encode(element.tag, element.content) == data
