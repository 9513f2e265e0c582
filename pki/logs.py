"""The log: one line an event, key and value fields, and no secret that looks like one.

Callers log serials, digests and codes, never names, person codes, phone numbers or PINs. What
slips through and has the shape of a secret is blotted out here all the same.
"""

import logging
import logging.handlers
import pathlib
import re
import sys
import time

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"

_SECRETS = re.compile(
    r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|\b(client_secret|pin|puk|passphrase|password|access_token)=[^\s&]+"
    r"|\+\d{8,30}\b"
)


class RedactingFormatter(logging.Formatter):
    """Blots out what has the shape of a secret or of a phone number, in tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, and a traceback if it has one."""
        return _SECRETS.sub("[redacted]", super().format(record))


def configure(path: pathlib.Path | None = None, *, level: int = logging.INFO) -> None:
    """Send the log to a file, or to standard error for a supervisor to collect."""
    handler: logging.Handler
    if path is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8")
    formatter = RedactingFormatter(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "pyhanko", "pyhanko_certvalidator", "fontTools", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
