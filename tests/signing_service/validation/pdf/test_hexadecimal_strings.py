import contextlib
import io

import hypothesis
from hypothesis import strategies
from pyhanko.pdf_utils import generic, misc

from signing_service.validation.pdf import hexadecimal_strings

PARTS = strategies.sampled_from(
    [
        b"0",
        b"9",
        b"aF",
        b"FEFF0041",
        b" ",
        b"\r\n",
        b"\0",
        b"%note\n",
        b">",
        b"<",
        b"g",
        b"41" * 9000,
    ]
)


@hypothesis.settings(deadline=None)
@hypothesis.given(strategies.lists(PARTS, max_size=12))
def test_string_is_read_as_pyhanko_reads_it_and_to_the_same_place(parts):
    content = b"<" + b"".join(parts)
    found = []
    for read in (hexadecimal_strings.read, generic.read_hex_string_from_stream):
        stream = io.BytesIO(b"//" + content)
        stream.seek(2)
        try:
            value = read(stream)
        except misc.PdfReadError as error:
            found.append((type(error), str(error)))
        else:
            found.append((type(value), value, value.original_bytes, stream.tell()))
    assert found[0] == found[1]


def test_pyhanko_reads_by_itself_again_afterwards():
    before = generic.read_hex_string_from_stream
    with contextlib.suppress(ZeroDivisionError), hexadecimal_strings.read_in_pieces():
        assert generic.read_hex_string_from_stream is hexadecimal_strings.read
        raise ZeroDivisionError
    assert generic.read_hex_string_from_stream is before
