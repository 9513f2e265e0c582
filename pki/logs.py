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

_MARKS = ("bearer", "basic", "secret=", "pin=", "puk=", "phrase=", "password=", "token=", "+")
"""One of these is in every ASCII line that the patterns fit, in any case of letters."""


class RedactingFormatter(logging.Formatter):
    """Blots out what has the shape of a secret or of a phone number, in tracebacks too."""

    _second: tuple[int, str] = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, and a traceback if it has one."""
        line = super().format(record)
        if line.isascii() and not any(mark in line.lower() for mark in _MARKS):
            # Nearly every line; to search it for all of the patterns takes as long as a signature.
            return line
        return _SECRETS.sub("[redacted]", line)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time in whole seconds, which is written once for each second."""
        second, text = self._second
        if second != int(record.created):
            text = super().formatTime(record, datefmt)
            self._second = int(record.created), text
        return text


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
    # No line names a thread or a process: they need not be asked for each record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "pyhanko", "pyhanko_certvalidator", "fontTools", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
