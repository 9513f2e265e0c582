"""Signing in a PKCS#11 module: our key store beside a bare loop of python-pkcs11, in SoftHSM 2.

The module is loaded in processes of their own, which sign for as long as they are told to and
say how often they did: ours and the bare loop in turns in one process, then two processes at a
time in turns with one.
"""

import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from benchmarks import row
from pki import algorithms, signature
from pki.keystore import passphrase, pkcs11_store
from tests.support import softhsm

TOKEN, LABEL = "bench", "key"
SLICE_S = 0.25
ROUNDS = 12
BARE_TARGET, PROCESSES_TARGET = 0.9, 1.8


def rows() -> Iterator[row.Row]:
    """Measure one process beside the bare loop, and two processes beside one."""
    module = softhsm.module_path()
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as name:
        environment = _make_token(pathlib.Path(name), module)
        for kind in (algorithms.KeyKind.P256, algorithms.KeyKind.RSA3072):
            with contextlib.ExitStack() as running:
                first, second = (
                    running.enter_context(_signer(module, environment, kind)) for _ in range(2)
                )
                yield _beside_the_bare_loop(kind, first)
                yield _two_beside_one(kind, first, second)


class _Signer:
    """A process that signs when it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._read()

    def start(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()

    def rate(self) -> float:
        """Signatures per second of what was started."""
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("the signing process ended early")
        return line


def _beside_the_bare_loop(kind: algorithms.KeyKind, signer: _Signer) -> row.Row:
    ours, bare = [], []
    for _ in range(ROUNDS):
        for what, found in (("ours", ours), ("bare", bare)):
            signer.start(what)
            found.append(signer.rate())
    # Of pairs that ran one after the other: the machine's other work hits both or neither.
    ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
    return row.Row(
        f"HSM signing, {kind.value}, one process",
        "a bare loop of python-pkcs11",
        f"{statistics.median(ours):.0f}/s",
        f"{statistics.median(bare):.0f}/s",
        ratio,
        f">= {BARE_TARGET}",
        ratio >= BARE_TARGET,
    )


def _two_beside_one(kind: algorithms.KeyKind, first: _Signer, second: _Signer) -> row.Row:
    alone, together = [], []
    for _ in range(ROUNDS):
        first.start("ours")
        alone.append(first.rate())
        first.start("ours")
        second.start("ours")
        together.append(first.rate() + second.rate())
    ratio = statistics.median(two / one for two, one in zip(together, alone, strict=True))
    return row.Row(
        f"HSM signing, {kind.value}, two processes",
        "one process",
        f"{statistics.median(together):.0f}/s",
        f"{statistics.median(alone):.0f}/s",
        ratio,
        f">= {PROCESSES_TARGET}",
        ratio >= PROCESSES_TARGET,
    )


def _make_token(folder: pathlib.Path, module: pathlib.Path) -> dict[str, str]:
    tokens = folder / "tokens"
    tokens.mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(configuration)}
    names = ["--label", TOKEN, "--pin", softhsm.PIN, "--so-pin", "12345678"]
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", *names],
        check=True,
        capture_output=True,
        env=environment,
    )
    subprocess.run(
        [sys.executable, "-m", "benchmarks.hsm", "generate", str(module)],
        check=True,
        env=environment,
    )
    return environment


@contextlib.contextmanager
def _signer(
    module: pathlib.Path, environment: dict[str, str], kind: algorithms.KeyKind
) -> Iterator[_Signer]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hsm", "sign", str(module), kind.value],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield _Signer(process)
    finally:
        process.communicate(timeout=30)


def _generate(module: pathlib.Path) -> None:
    keys = pkcs11_store.Pkcs11KeyStore(module, TOKEN, passphrase.Passphrase(softhsm.PIN))
    for kind in algorithms.KeyKind:
        keys.generate(f"{LABEL}-{kind.value}", kind)
    keys.close()


def _sign(module: pathlib.Path, kind: algorithms.KeyKind) -> None:
    """Serve standard input: `ours` or `bare` in, signatures per second out."""
    import pkcs11

    label = f"{LABEL}-{kind.value}"
    keys = pkcs11_store.Pkcs11KeyStore(module, TOKEN, passphrase.Passphrase(softhsm.PIN))
    handle = keys.open_key(label)
    representation = signature.represent(b"what is signed", kind.hash_algorithm)
    # The login is the process's; the session is the bare loop's own.
    session = pkcs11.lib(os.path.realpath(module)).get_token(token_label=TOKEN).open()
    bare = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
    rsa = kind is algorithms.KeyKind.RSA3072
    mechanism = pkcs11.Mechanism.RSA_PKCS if rsa else pkcs11.Mechanism.ECDSA
    data = representation.hash
    if rsa:
        data = bytes.fromhex("3031300d060960864801650304020105000420") + data
    operations: dict[str, Callable[[], object]] = {
        "ours": lambda: handle.sign(representation),
        "bare": lambda: bare.sign(data, mechanism=mechanism),
    }
    print("ready", flush=True)
    for line in sys.stdin:
        operation = operations[line.strip()]
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < SLICE_S:
            operation()
            count += 1
        print(count / elapsed, flush=True)
    keys.close()


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        _generate(pathlib.Path(sys.argv[2]))
    else:
        _sign(pathlib.Path(sys.argv[2]), algorithms.KeyKind(sys.argv[3]))
