"""Documents that arrive as multipart/form-data, read under limits and written to files."""

import contextlib
import dataclasses
import pathlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from collections.abc import Set as AbstractSet

import anyio.to_thread
import fastapi
from starlette import datastructures, formparsers

from pki import errors, web
from signing_service import documents
from signing_service.creation.pdf import pictures
from signing_service.signing import flow
from signing_service.web import schemas

MAX_FILES = 20
MAX_FIELDS = 10

ENVELOPE_BYTES = 256 * 2**10
"""Room for boundaries, headers and the parameters, besides the documents."""

MAX_NAME = 255

PICTURE = "appearance_image"


class MalformedUploadError(errors.InputError):
    """The body is not multipart/form-data, or not with the parts that the call takes."""

    code = "upload-malformed"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        """Keep the sentence and the part it is about."""
        super().__init__(message)
        self.field = field


@dataclasses.dataclass(frozen=True)
class Upload:
    """What arrived.

    Attributes:
        files: The parts `document`.
        detached: The parts `detached`.
        parameters: The part `parameters`, empty where there is none.
        picture: The part `appearance_image`.
    """

    files: tuple[documents.Document, ...]
    detached: tuple[documents.Document, ...]
    parameters: bytes
    picture: documents.Document | None = None

    @property
    def document(self) -> documents.Document:
        """The one document of a call that takes one."""
        return self.files[0]


@dataclasses.dataclass(frozen=True)
class CertificateUpload:
    """A certificate that arrived as a file, with others that a path may lead over.

    Attributes:
        parameters: The part `parameters`, empty where there is none.
    """

    certificate: bytes
    intermediates: tuple[bytes, ...]
    parameters: bytes


@contextlib.asynccontextmanager
async def read_upload(
    request: fastapi.Request,
    *,
    max_bytes: int,
    takes_detached: bool,
    takes_several: bool = False,
    takes_picture: bool = False,
) -> AsyncIterator[Upload]:
    """Read an upload into files that live as long as the block.

    Args:
        request: Its body is read here, in pieces.
        max_bytes: For all documents together.
        takes_detached: Whether parts called `detached` may come.
        takes_several: Whether any number of parts called `document` may come, none included,
            rather than one.
        takes_picture: Whether a part called `appearance_image` may come.

    Raises:
        UnsupportedMediaTypeError: Another content type.
        DocumentTooLargeError: More bytes than the limit.
        MalformedUploadError: Not as the standard or the call wants it; the part is named.
    """
    sent = content_type(request)
    if sent != "multipart/form-data":
        raise web.UnsupportedMediaTypeError(f"expected multipart/form-data, got {sent or 'none'}")
    form = await _parse(
        request, max_bytes + ENVELOPE_BYTES + (pictures.MAX_BYTES if takes_picture else 0)
    )
    allowed = {"document", "parameters"}
    allowed |= {"detached"} if takes_detached else set()
    allowed |= {PICTURE} if takes_picture else set()
    try:
        with tempfile.TemporaryDirectory(prefix="imza-upload-") as folder:
            yield await anyio.to_thread.run_sync(
                _store, form, pathlib.Path(folder), max_bytes, allowed, takes_several
            )
    finally:
        await form.close()


async def read_certificates(request: fastapi.Request, *, max_bytes: int) -> CertificateUpload:
    """Read an upload of one part `certificate`, parts `intermediate` and a part `parameters`.

    Args:
        request: Its body is read here.
        max_bytes: For all certificates together.

    Raises:
        DocumentTooLargeError, MalformedUploadError: As `read_upload`.
    """
    form = await _parse(request, max_bytes + ENVELOPE_BYTES)
    try:
        _check_names(form, {"certificate", "intermediate", "parameters"})
        received = form.getlist("certificate")
        if len(received) != 1:
            raise MalformedUploadError(
                f"certificate: expected one certificate, got {len(received)}", field="certificate"
            )
        return CertificateUpload(
            _octets(received[0], max_bytes),
            tuple(_octets(one, max_bytes) for one in form.getlist("intermediate")),
            _parameters(form),
        )
    finally:
        await form.close()


def content_type(request: fastapi.Request) -> str:
    """The media type of a body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _octets(part: datastructures.UploadFile | str, limit: int) -> bytes:
    """The content of a part; PEM may also come as text, without a file name."""
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass")
    octets = part.file.read(limit + 1)
    if len(octets) > limit:
        raise flow.DocumentTooLargeError(f"expected at most {limit} bytes, got more")
    return octets


async def _parse(request: fastapi.Request, limit: int) -> datastructures.FormData:
    parser = formparsers.MultiPartParser(
        request.headers,
        _limited(request, limit),
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=schemas.MAX_PARAMETERS_BYTES,
    )
    try:
        return await parser.parse()
    except formparsers.MultiPartException as error:
        raise MalformedUploadError(f"the upload is malformed: {error.message}") from error
    except (LookupError, ValueError, AssertionError) as error:
        # A charset that does not exist, and the like.
        raise MalformedUploadError("the upload is malformed") from error


async def _limited(request: fastapi.Request, limit: int) -> AsyncGenerator[bytes, None]:
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > limit:
            raise flow.DocumentTooLargeError(f"expected at most {limit} bytes, got more")
        yield chunk


def _store(
    form: datastructures.FormData,
    folder: pathlib.Path,
    max_bytes: int,
    allowed: AbstractSet[str],
    takes_several: bool,
) -> Upload:
    _check_names(form, allowed)
    received = form.getlist("document")
    if len(received) != 1 and not takes_several:
        raise MalformedUploadError(
            f"document: expected one document, got {len(received)}", field="document"
        )
    kept = [
        _keep(part, name, folder / str(number), max_bytes)
        for number, (name, part) in enumerate(
            (name, part) for name in ("document", "detached") for part in form.getlist(name)
        )
    ]
    count = len(received)
    pictures_sent = form.getlist(PICTURE)
    if len(pictures_sent) > 1:
        raise MalformedUploadError(f"{PICTURE}: expected one picture", field=PICTURE)
    picture = None
    if pictures_sent:
        picture = _keep(pictures_sent[0], PICTURE, folder / PICTURE, pictures.MAX_BYTES)
    return Upload(tuple(kept[:count]), tuple(kept[count:]), _parameters(form), picture)


def _check_names(form: datastructures.FormData, allowed: AbstractSet[str]) -> None:
    for name in form:
        if name not in allowed:
            # The name is a stranger's and is not repeated.
            raise MalformedUploadError(
                f"expected parts among {', '.join(sorted(allowed))}, got another one", field="parts"
            )


def _keep(
    part: datastructures.UploadFile | str, field: str, path: pathlib.Path, max_bytes: int
) -> documents.Document:
    if isinstance(part, str):
        raise MalformedUploadError(f"{field}: expected a file part, with a file name", field=field)
    if (part.size or 0) > max_bytes:
        raise flow.DocumentTooLargeError(
            f"expected a document of at most {max_bytes} bytes, got {part.size}"
        )
    with path.open("wb") as file:
        shutil.copyfileobj(part.file, file, 2**20)
    # Browsers send a name, some programs a path; what cannot be printed is left out.
    name = "".join(one for one in (part.filename or "") if one.isprintable())
    name = name.replace("\\", "/").rpartition("/")[2].strip()[-MAX_NAME:]
    return documents.Document(name or "document", path)


def _parameters(form: datastructures.FormData) -> bytes:
    parts = form.getlist("parameters")
    if len(parts) > 1:
        raise MalformedUploadError("parameters: expected one part", field="parameters")
    if not parts:
        return b""
    if isinstance(parts[0], str):
        return parts[0].encode("utf-8", "surrogatepass")
    text = parts[0].file.read(schemas.MAX_PARAMETERS_BYTES + 1)
    if len(text) > schemas.MAX_PARAMETERS_BYTES:
        raise MalformedUploadError(
            f"parameters: expected at most {schemas.MAX_PARAMETERS_BYTES} bytes",
            field="parameters",
        )
    return text
