import json

import pytest

from pki import terminal_text

HOSTILE = "a\x1b[2K\x9b1A\r\u202etxt.pdf\u2028\x7f\U000e0041"


def test_line_obeys_nothing_and_shows_that_something_was_there():
    shown = terminal_text.printable(HOSTILE)
    assert shown.isprintable()
    assert len(shown) == len(HOSTILE)
    assert terminal_text.printable("Əliyev გიორგი 1.pdf") == "Əliyev გიორგი 1.pdf"


@pytest.mark.clause("RFC 8259", "7")
@pytest.mark.parametrize("indent", [None, 1])
def test_json_says_the_same_in_what_can_be_printed(indent):
    said = {"name": HOSTILE, "Ə": [1, "გ"]}
    written = terminal_text.printable_json(json.dumps(said, ensure_ascii=False, indent=indent))
    assert json.loads(written) == said
    assert written.replace("\n", "").isprintable()
    assert "Ə" in written
