"""Forms are read back by the server's own parser, and by the standard library's."""

import email
import email.policy
import pathlib

import pytest

from pki import multipart


@pytest.mark.clause("RFC 7578", "4.2")
def test_a_form_is_read_back_by_another_parser(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "müqavilə.pdf"
    path.write_bytes(bytes(range(256)))
    form = multipart.build(
        [
            multipart.Part("parameters", b'{"level": "B-T"}', "application/json"),
            multipart.file_part("document", path),
        ]
    )
    message = email.message_from_bytes(
        f"Content-Type: {form.content_type}\r\n\r\n".encode() + form.body,
        policy=email.policy.HTTP,
    )
    first, second = message.iter_parts()
    assert first.get_param("name", header="content-disposition") == "parameters"
    assert first.get_content_type() == "application/json"
    assert first.get_payload(decode=True) == b'{"level": "B-T"}'
    assert second.get_filename() == "müqavilə.pdf"
    assert second.get_payload(decode=True) == bytes(range(256))


def test_a_files_name_cannot_add_a_header_or_a_field() -> None:
    name = 'a"\r\nContent-Type: text/html\r\n\r\n.pdf'
    form = multipart.build([multipart.Part("document", b"x", file_name=name)])
    assert form.body.count(b"\r\n") == 6
    assert b'filename="a%22%0D%0AContent-Type: text/html%0D%0A%0D%0A.pdf"' in form.body


def test_what_is_sent_does_not_stand_in_the_forms_text() -> None:
    form = multipart.build([multipart.Part("document", b"TEST content")])
    assert "TEST content" not in repr(form)
