"""`imza doctor`: what is missing or wrong on this machine, and what to do about it."""

import ctypes
import dataclasses
import enum
import importlib.util
import json
import os
import pathlib
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence

import click

from pki import errors

PCSCD_SOCKET = pathlib.Path("/run/pcscd/pcscd.comm")
OPENSC_MODULES = (
    "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so",
    "/usr/lib/opensc-pkcs11.so",
    "/usr/lib64/opensc-pkcs11.so",
)
VIRTUAL_DRIVER = "pcsc/drivers/serial/libifdvpcd.so"
FONT = pathlib.Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
DEFAULT_PORTS = (8080, 8443)

TIME_ERROR = 5
"""What ntp_adjtime(3) returns for a clock that nothing synchronises."""


class State(enum.Enum):
    """How a check ended."""

    GOOD = "good"
    WARNING = "warning"
    WRONG = "wrong"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        subject: What was looked at.
        state: How it ended.
        found: What was found, as a sentence.
        advice: What to do, or nothing when all is well.
    """

    subject: str
    state: State
    found: str
    advice: str | None = None


def examine(config: pathlib.Path | None, ports: Sequence[int]) -> list[Finding]:
    """Run every check and return what each found."""
    checks: list[Callable[[], Finding]] = [
        _server_packages,
        _card_packages,
        _reader_service,
        _readers,
        _opensc,
        _virtual_reader,
        _softhsm,
        _fonts,
        _peers,
        _clock,
    ]
    findings = [check() for check in checks]
    findings += [_port(port) for port in ports]
    if config is not None:
        findings.append(_database(config))
    return findings


def _packages(subject: str, extra: str, names: Sequence[str], state: State) -> Finding:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if not missing:
        return Finding(subject, State.GOOD, "installed")
    return Finding(subject, state, f"missing: {', '.join(missing)}", f"pip install 'imza[{extra}]'")


def _server_packages() -> Finding:
    names = ("fastapi", "sqlalchemy", "pyhanko", "pkcs11", "lxml", "pkilint", "uvicorn")
    return _packages("Server packages", "server", names, State.WARNING)


def _card_packages() -> Finding:
    return _packages("Card packages", "card", ("smartcard", "pkcs11"), State.WARNING)


def _reader_service() -> Finding:
    subject = "Reader service"
    path = pathlib.Path(os.environ.get("PCSCLITE_CSOCK_NAME", PCSCD_SOCKET))
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except OSError as error:
        program = shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        advice = (
            "start it: systemctl start pcscd.socket (a sandbox has its own:"
            " set PCSCLITE_CSOCK_NAME to DIR/pcscd/pcscd.comm)"
            if program
            else "apt install pcscd"
        )
        return Finding(
            subject, State.WARNING, f"nothing answers at {path} ({error.strerror})", advice
        )
    finally:
        connection.close()
    return Finding(subject, State.GOOD, f"answers at {path}")


def _readers() -> Finding:
    subject = "Card readers"
    if importlib.util.find_spec("smartcard") is None:
        return Finding(subject, State.WARNING, "cannot be asked", "pip install 'imza[card]'")
    from card_reader import readers

    try:
        names = [one.name for one in readers.list_readers()]
    except errors.ImzaError as error:
        return Finding(subject, State.WARNING, error.message, "connect a reader")
    if not names:
        return Finding(subject, State.WARNING, "none", "connect a reader")
    return Finding(subject, State.GOOD, ", ".join(names))


def _opensc() -> Finding:
    for module in OPENSC_MODULES:
        if pathlib.Path(module).exists():
            return Finding("Card module", State.GOOD, module)
    return Finding("Card module", State.WARNING, "OpenSC is not installed", "apt install opensc")


def _virtual_reader() -> Finding:
    subject = "Virtual reader"
    roots = [pathlib.Path("/usr/lib"), *pathlib.Path("/usr/lib").glob("*-linux-gnu")]
    driver = next(
        (root / VIRTUAL_DRIVER for root in roots if (root / VIRTUAL_DRIVER).exists()), None
    )
    if driver is None:
        return Finding(
            subject,
            State.WARNING,
            "the driver is not installed: the sandbox runs without a reader",
            "apt install vsmartcard-vpcd",
        )
    flags = "-mn" if os.geteuid() == 0 else "-Urmn"
    program = shutil.which("unshare")
    if program is None:
        return Finding(subject, State.WARNING, "unshare is missing", "apt install util-linux")
    tried = subprocess.run(  # noqa: S603 - a fixed command
        [program, flags, "true"], capture_output=True, check=False, timeout=10
    )
    if tried.returncode:
        return Finding(
            subject,
            State.WARNING,
            "this machine refuses new namespaces: the sandbox runs without a reader",
            "run as root, or allow unprivileged user namespaces",
        )
    return Finding(subject, State.GOOD, "driver installed, namespaces allowed")


def _softhsm() -> Finding:
    for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"):
        if pathlib.Path(path).exists():
            return Finding("SoftHSM 2", State.GOOD, path)
    return Finding(
        "SoftHSM 2",
        State.WARNING,
        "not installed; only needed to try keys in a PKCS#11 module",
        "apt install softhsm2",
    )


def _fonts() -> Finding:
    if FONT.exists():
        return Finding("Font", State.GOOD, str(FONT))
    return Finding(
        "Font",
        State.WRONG,
        "DejaVu Sans is missing: visible signatures cannot be drawn",
        "apt install fonts-dejavu-core",
    )


def _peers() -> Finding:
    names = ("openssl", "pdfsig", "xmlsec1", "xmllint", "certutil", "pkcs11-tool")
    missing = [name for name in names if shutil.which(name) is None]
    if not missing:
        return Finding("Other verifiers", State.GOOD, "all installed")
    return Finding(
        "Other verifiers",
        State.WARNING,
        f"missing: {', '.join(missing)} (the demo and the tests use them)",
        "make system",
    )


def _clock() -> Finding:
    subject = "Clock"
    try:
        state = ctypes.CDLL(None, use_errno=True).ntp_adjtime(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return Finding(subject, State.WARNING, "the kernel cannot be asked", "check NTP by hand")
    if state == TIME_ERROR:
        return Finding(
            subject,
            State.WARNING,
            "not synchronised: good enough for a sandbox, not for a time-stamping authority",
            "apt install chrony",
        )
    return Finding(subject, State.GOOD, "synchronised, says the kernel")


def _port(port: int) -> Finding:
    subject = f"Port {port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return Finding(
                subject,
                State.WARNING,
                f"cannot be used ({error.strerror})",
                "stop the other program, or give the sandbox another --port and --tls-port",
            )
    return Finding(subject, State.GOOD, "free")


def _database(config: pathlib.Path) -> Finding:
    from imza import config as configs
    from imza import schema
    from pki import database

    subject = "Database"
    try:
        settings = configs.require(configs.read(config).database, "database")
        engine = database.connect(settings.url)
        try:
            schema.check(engine)
        finally:
            engine.dispose()
    except errors.ImzaError as error:
        return Finding(subject, State.WRONG, error.message, "see the sentence before")
    return Finding(subject, State.GOOD, "reachable, its tables are up to date")


MARKS = {State.GOOD: "ok  ", State.WARNING: "warn", State.WRONG: "FAIL"}


@click.command(
    "doctor", epilog="Example: imza doctor --config /etc/imza/imza.toml --port 8080 --port 8443"
)
@click.option(
    "--config",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="Also look at the database that this settings file names.",
)
@click.option(
    "--port", "ports", type=int, multiple=True, help="A port that should be free; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(config: pathlib.Path | None, ports: tuple[int, ...], as_json: bool) -> int:
    """Say what is missing or wrong on this machine and what to do.

    Leaves with 0 when nothing is wrong (warnings are no fault), 5 otherwise.
    """
    findings = examine(config, ports or DEFAULT_PORTS)
    if as_json:
        rows = [
            {
                "subject": one.subject,
                "state": one.state.value,
                "found": one.found,
                "advice": one.advice,
            }
            for one in findings
        ]
        click.echo(json.dumps({"findings": rows}, ensure_ascii=False))
    else:
        width = max(len(one.subject) for one in findings)
        for one in findings:
            click.echo(f"{MARKS[one.state]}  {one.subject:<{width}}  {one.found}")
            if one.advice:
                click.echo(f"      {'':<{width}}  -> {one.advice}")
    return 5 if any(one.state is State.WRONG for one in findings) else 0
