import logging
import pathlib
import re
import stat
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import logs


@pytest.fixture
def log_file(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where the log goes during a test; the logging of the test run is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    path = tmp_path / "logs" / "imza.log"
    logs.configure(path)
    yield path
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level


def _blotted(message: str, *arguments: object) -> str:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, message, arguments, None)
    return logs.RedactingFormatter("%(message)s").format(record)


@pytest.mark.parametrize(
    ("message", "secret"),
    [
        ("header=Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("POST /oauth2/token client_secret=s3cr3t&scope=sign", "s3cr3t"),
        ("verify pin=123456", "123456"),
        ("verify PIN=123456", "123456"),
        ("unblock puk=12345678", "12345678"),
        ("open passphrase=correct-horse", "correct-horse"),
        ("url=/x?access_token=abc&y=1", "abc&"),
        ("sent to=+994500000001", "+994500000001"),
    ],
)
def test_what_looks_like_a_secret_is_blotted_out(message: str, secret: str) -> None:
    blotted = _blotted(message)
    assert secret not in blotted
    assert "[redacted]" in blotted


def test_a_secret_among_the_arguments_is_blotted_out_too() -> None:
    assert _blotted("asked for=%s pin=%s", "card", "918273") == "asked for=card [redacted]"


@pytest.mark.parametrize(
    "message",
    ["certificate_issued serial=01db25fb912c", "job_failed name=x code=pin-wrong", "at=100%"],
)
def test_serials_digests_and_codes_stay(message: str) -> None:
    assert _blotted(message) == message


@given(st.text(st.characters(categories=["Nd"], max_codepoint=127), min_size=6, max_size=8))
def test_no_pin_that_is_named_so_gets_through(pin: str) -> None:
    assert pin not in _blotted("tried pin=%s", pin)


def test_a_line_has_a_time_in_utc_a_level_and_where_it_comes_from(log_file: pathlib.Path) -> None:
    logging.getLogger("ca.issuance").info("certificate_issued serial=%s", "01")
    logging.getLogger("alembic").info("noise")
    logging.getLogger("ca").debug("detail")
    (line,) = log_file.read_text(encoding="utf-8").splitlines()
    pattern = (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO ca\.issuance certificate_issued serial=01"
    )
    assert re.fullmatch(pattern, line)
    assert stat.S_IMODE(log_file.parent.stat().st_mode) == 0o700


def test_a_traceback_holds_no_secret_either(log_file: pathlib.Path) -> None:
    try:
        raise ValueError("pin=918273")
    except ValueError:
        logging.getLogger("x").exception("request_failed")
    assert "918273" not in log_file.read_text(encoding="utf-8")


def test_a_log_that_was_moved_away_is_begun_anew(log_file: pathlib.Path) -> None:
    logging.getLogger("x").info("one")
    log_file.rename(log_file.with_suffix(".1"))
    logging.getLogger("x").info("two")
    assert "two" in log_file.read_text(encoding="utf-8")


_PIECES = st.sampled_from(
    ["bearer ", "BASIC\t", "pin=", "Puk=", "client_secret=", "passphrase=", "password=",
     "ba\u017fic ",
     "access_token=", "serial=", "abcdefgh12345", "+99450000000", "+1", " ", "=", "ı", "x"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=8).map("".join))
def test_the_quick_look_at_a_line_misses_no_secret(message: str) -> None:
    assert _blotted("%s", message) == logs._SECRETS.sub("[redacted]", message)


def test_each_line_has_the_second_of_its_own_record() -> None:
    formatter = logs.RedactingFormatter(logs.FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    times = []
    for created in (0.25, 0.75, 86400.5, 1.5):
        record = logging.LogRecord("x", logging.INFO, "x.py", 1, "x", (), None)
        record.created, record.msecs = created, created % 1 * 1000
        times.append(formatter.format(record).split(" ")[0])
    assert times == [
        "1970-01-01T00:00:00.250Z",
        "1970-01-01T00:00:00.750Z",
        "1970-01-02T00:00:00.500Z",
        "1970-01-01T00:00:01.500Z",
    ]
