"""Forms with files in them, as clients send them (multipart/form-data, RFC 7578)."""

import dataclasses
import pathlib
import secrets
from collections.abc import Sequence

_FILE_NAME_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""RFC 7578 4.2 and the HTML living standard: these three are escaped in a file's name."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A field of a form; with a file name it is a file."""

    name: str
    content: bytes = dataclasses.field(repr=False)
    content_type: str = "application/octet-stream"
    file_name: str | None = None


@dataclasses.dataclass(frozen=True)
class Form:
    """What is sent, and the content type that says where the parts end."""

    content_type: str
    body: bytes = dataclasses.field(repr=False)


def file_part(name: str, path: pathlib.Path) -> Part:
    """Read a file into a part that carries its name."""
    return Part(name, path.read_bytes(), file_name=path.name)


def build(parts: Sequence[Part]) -> Form:
    """Build a form; its boundary is random, so that no content can hold it by intent."""
    boundary = secrets.token_hex(16)
    pieces = []
    for part in parts:
        file = ""
        if part.file_name is not None:
            file = f'; filename="{part.file_name.translate(_FILE_NAME_ESCAPES)}"'
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"{file}\r\n'
            f"Content-Type: {part.content_type}\r\n\r\n"
        )
        pieces += [head.encode("utf-8", errors="replace"), part.content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return Form(f"multipart/form-data; boundary={boundary}", b"".join(pieces))
