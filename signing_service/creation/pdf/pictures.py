"""Pictures of strangers, decoded for a visible signature.

A decoder is where crafted bytes do harm, so a service that strangers reach runs this in a worker
process (`validation.isolation`), and takes back samples that cannot be misread.
"""

import pathlib
import struct
import zlib

from pki import errors
from signing_service import parameters

MAX_BYTES = 4 * 2**20
"""The largest file; a telephone's photograph of a signature on paper has two to four megabytes."""

MAX_PIXELS = 16 * 10**6
"""Decoded at once: 64 MB with opacity. Larger ones are refused before they are decoded."""

KINDS = ("PNG", "JPEG")


class PictureError(errors.InputError):
    """The picture is no PNG or JPEG, is damaged, or too large."""

    code = "appearance-image"


def read(path: pathlib.Path) -> parameters.Picture:
    """Decode a PNG or JPEG file, upright, and scale it down where it has more pixels than serve.

    Raises:
        PictureError: Another kind, damaged, or over a limit.
    """
    # Imported here: signing without pictures does without it.
    from PIL import Image, ImageOps

    if path.stat().st_size > MAX_BYTES:
        raise PictureError(f"expected a picture of at most {MAX_BYTES} bytes")
    try:
        with Image.open(path, formats=KINDS) as opened:
            # Only the header has been read so far.
            if opened.width * opened.height > MAX_PIXELS:
                raise PictureError(
                    f"expected a picture of at most {MAX_PIXELS} pixels,"
                    f" got {opened.width} by {opened.height}"
                )
            upright = ImageOps.exif_transpose(opened)
            is_clear = upright.has_transparency_data
            samples = upright.convert("RGBA" if is_clear else "RGB")
        side = parameters.MAX_PICTURE_SIDE
        samples.thumbnail((side, side), Image.Resampling.LANCZOS)
        return parameters.Picture(
            samples.width,
            samples.height,
            samples.convert("RGB").tobytes(),
            samples.getchannel("A").tobytes() if is_clear else None,
        )
    except Image.DecompressionBombError as error:
        raise PictureError(f"expected a picture of at most {MAX_PIXELS} pixels") from error
    except (
        OSError,
        SyntaxError,  # What Pillow raises on a damaged PNG.
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        EOFError,
        struct.error,
        zlib.error,
    ) as error:
        raise PictureError(
            f"expected a picture that is a whole PNG or JPEG ({type(error).__name__})"
        ) from error
