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
from collections.abc import Sequence

import click

from pki import errors

PCSCD_SOCKET = pathlib.Path("/run/pcscd/pcscd.comm")
OPENSC_MODULES = (
    "usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
    "usr/lib/aarch64-linux-gnu/opensc-pkcs11.so",
    "usr/lib/opensc-pkcs11.so",
    "usr/lib64/opensc-pkcs11.so",
)
SOFTHSM_MODULES = ("usr/lib/softhsm/libsofthsm2.so", "usr/lib64/pkcs11/libsofthsm2.so")
VIRTUAL_DRIVERS = (
    "usr/lib/pcsc/drivers/serial/libifdvpcd.so",
    "usr/lib/x86_64-linux-gnu/pcsc/drivers/serial/libifdvpcd.so",
    "usr/lib/aarch64-linux-gnu/pcsc/drivers/serial/libifdvpcd.so",
)
FONTS = ("usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",)
PROGRAMS = ("openssl", "pdfsig", "xmlsec1", "xmllint", "certutil", "pkcs11-tool")
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


def examine(
    config: pathlib.Path | None, ports: Sequence[int], root: pathlib.Path = pathlib.Path("/")
) -> list[Finding]:
    """Run every check and return what each found.

    Args:
        config: A zone's settings file, whose database is looked at too.
        ports: Of the loopback address; each should be free.
        root: Where the machine's files begin, such as an image that is mounted.
    """
    findings = [
        _server_packages(),
        _card_packages(),
        service := reader_service(),
        _readers(service),
        _file(root, "Card module", OPENSC_MODULES, "OpenSC is not installed", "apt install opensc"),
        _virtual_reader(root),
        _file(
            root,
            "SoftHSM 2",
            SOFTHSM_MODULES,
            "not installed; only needed to try keys in a PKCS#11 module",
            "apt install softhsm2",
        ),
        _file(
            root,
            "Font",
            FONTS,
            "DejaVu Sans is missing: visible signatures cannot be drawn",
            "apt install fonts-dejavu-core",
            State.WRONG,
        ),
        _programs(),
        _clock(),
    ]
    findings += [_port(port) for port in ports]
    if config is not None:
        findings += _installation(config)
    return findings


def _file(
    root: pathlib.Path,
    subject: str,
    places: Sequence[str],
    missing: str,
    advice: str,
    state: State = State.WARNING,
) -> Finding:
    """Look for a file that a Debian package puts in one of several places."""
    for place in places:
        if (root / place).exists():
            return Finding(subject, State.GOOD, str(root / place))
    return Finding(subject, state, missing, advice)


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


def reader_service() -> Finding:
    """Whether the PC/SC service answers where the environment says it is."""
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


def _readers(service: Finding) -> Finding:
    subject = "Card readers"
    if service.state is not State.GOOD:
        return Finding(subject, State.WARNING, "not asked: the reader service does not answer")
    if importlib.util.find_spec("smartcard") is None:
        return Finding(subject, State.WARNING, "cannot be asked", "pip install 'imza[card]'")
    from card_reader import readers

    try:
        names = [one.name for one in readers.list_readers()]
    except errors.ImzaError as error:
        return Finding(subject, State.WARNING, error.message)
    if not names:
        return Finding(subject, State.WARNING, "none", "connect a reader")
    return Finding(subject, State.GOOD, ", ".join(names))


def _virtual_reader(root: pathlib.Path) -> Finding:
    subject = "Virtual reader"
    driver = _file(
        root,
        subject,
        VIRTUAL_DRIVERS,
        "the driver is not installed: the sandbox runs without a reader",
        "apt install vsmartcard-vpcd",
    )
    if driver.state is not State.GOOD:
        return driver
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


def _programs() -> Finding:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
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


def _installation(config: pathlib.Path) -> list[Finding]:
    """The settings file, and the database that it names."""
    from imza import config as configs
    from imza import schema
    from pki import database

    try:
        read = configs.read(config)
    except errors.ImzaError as error:
        advice = "correct the settings file: docs/operator-guide.md"
        return [Finding("Settings", State.WRONG, error.message, advice)]
    settings = Finding("Settings", State.GOOD, f"{config} can be read")
    subject = "Database"
    if read.database is None:
        return [settings, Finding(subject, State.WRONG, "none is set", "add [database] url")]
    try:
        engine = database.connect(read.database.url)
        try:
            schema.check(engine)
        finally:
            engine.dispose()
    except schema.OutdatedSchemaError as error:
        return [settings, Finding(subject, State.WRONG, error.message)]
    except errors.ImzaError as error:
        advice = "start the database, or correct [database] url"
        return [settings, Finding(subject, State.WRONG, error.message, advice)]
    return [settings, Finding(subject, State.GOOD, "reachable, its tables are up to date")]


MARKS = {State.GOOD: "ok  ", State.WARNING: "warn", State.WRONG: "FAIL"}


@click.command("doctor", epilog="Example: imza doctor --config /etc/imza/signing.toml --port 8080")
@click.option(
    "--config",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="Also read this settings file of a zone, and look at its database.",
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
