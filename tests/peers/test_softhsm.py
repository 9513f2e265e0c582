"""The PKCS#11 key store in SoftHSM 2: where keys live, and what happens when it goes away."""

import ctypes
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import serialization

from pki import algorithms, errors, signature
from pki.algorithms import HashAlgorithm, KeyKind
from pki.keystore import passphrase, pkcs11_store, pkcs11_token, settings, store
from tests.support import softhsm

pytestmark = pytest.mark.peer

LABEL = "peer"
PIN = passphrase.Passphrase(softhsm.PIN)
REPRESENTATION = signature.represent(b"a contract", HashAlgorithm.SHA256)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module, with one empty token."""
    path = softhsm.module_path()
    softhsm.make_folder(tmp_path / "softhsm", monkeypatch)
    softhsm.make_token(LABEL)
    softhsm.start_afresh(path)
    return path


@pytest.fixture
def keys(module: Path) -> Iterator[pkcs11_store.Pkcs11KeyStore]:
    opened = pkcs11_store.Pkcs11KeyStore(module, LABEL, PIN)
    yield opened
    opened.close()


def _lose_sessions(module: Path) -> None:
    """Close every session behind the library's back, as a module that was restarted would."""
    library = ctypes.CDLL(str(module.resolve()))
    for slot in pkcs11.lib(str(module.resolve())).get_slots(token_present=True):
        assert library.C_CloseAllSessions(ctypes.c_ulong(slot.slot_id)) == 0


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_private_key_is_sensitive_and_never_leaves(
    keys: pkcs11_store.Pkcs11KeyStore, module: Path, kind: KeyKind
) -> None:
    keys.generate("inside", kind)
    shown = subprocess.run(
        [
            *("pkcs11-tool", "--module", str(module), "--token-label", LABEL),
            *("--login", "--pin", softhsm.PIN, "--list-objects", "--type", "privkey"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    assert "label:      inside" in shown
    access = next(line for line in shown.splitlines() if "Access:" in line)
    for attribute in ("sensitive", "always sensitive", "never extract", "local"):
        assert attribute in access
    usage = next(line for line in shown.splitlines() if "Usage:" in line)
    assert usage.split(":")[1].strip() == "sign"


@pytest.mark.parametrize("kind", list(KeyKind))
def test_openssl_verifies_what_the_module_signed(
    keys: pkcs11_store.Pkcs11KeyStore, tmp_path: Path, kind: KeyKind
) -> None:
    handle = keys.generate("verified", kind)
    (tmp_path / "key.pem").write_bytes(
        handle.public_key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    (tmp_path / "data").write_bytes(b"a contract")
    value = handle.sign(signature.represent(b"a contract", kind.hash_algorithm))
    (tmp_path / "value").write_bytes(value.encoded_for_cms())
    shown = subprocess.run(
        [
            *("openssl", "dgst", f"-{kind.hash_algorithm.short_name}", "-verify", "key.pem"),
            *("-signature", "value", "data"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert shown.stdout.strip() == "Verified OK"


# python-pkcs11 cannot end a search whose session is gone, and says so on standard error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_session_is_opened_again_and_the_signature_made(
    keys: pkcs11_store.Pkcs11KeyStore, module: Path
) -> None:
    handle = keys.generate("survives", KeyKind.P256)
    for _ in range(3):
        _lose_sessions(module)
        value = handle.sign(REPRESENTATION)
        signature.check_value(handle.public_key, REPRESENTATION, value)
    _lose_sessions(module)
    assert keys.labels() == ("survives",)
    _lose_sessions(module)
    assert keys.generate("another", KeyKind.P256).label == "another"


# python-pkcs11 cannot end a search whose session is gone, and says so on standard error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_module_that_is_gone_is_told_as_retriable_and_works_again_when_it_is_back(
    keys: pkcs11_store.Pkcs11KeyStore, module: Path, tmp_path: Path
) -> None:
    handle = keys.generate("returns", KeyKind.P256)
    tokens, away = tmp_path / "softhsm" / "tokens", tmp_path / "away"
    shutil.move(tokens, away)
    tokens.mkdir()
    softhsm.start_afresh(module)
    with pytest.raises(pkcs11_token.ModuleUnavailableError) as caught:
        handle.sign(REPRESENTATION)
    assert isinstance(caught.value, errors.DeviceError)
    assert caught.value.retriable
    tokens.rmdir()
    shutil.move(away, tokens)
    softhsm.start_afresh(module)
    value = handle.sign(REPRESENTATION)
    signature.check_value(handle.public_key, REPRESENTATION, value)


def test_a_wrong_pin_is_refused_and_not_repeated(module: Path) -> None:
    with pytest.raises(pkcs11_token.ModuleAccessError) as caught:
        pkcs11_store.Pkcs11KeyStore(module, LABEL, passphrase.Passphrase("00000000"))
    assert not caught.value.retriable
    assert "00000000" not in str(caught.value)


def test_an_unknown_token_is_named(module: Path) -> None:
    with pytest.raises(pkcs11_token.ModuleUnavailableError, match="nowhere"):
        pkcs11_store.Pkcs11KeyStore(module, "nowhere", PIN)


def test_a_module_that_does_not_load_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.DeviceError, match="no-module"):
        pkcs11_store.Pkcs11KeyStore(tmp_path / "no-module.so", LABEL, PIN)


# python-pkcs11 cannot end a search whose session is gone, and says so on standard error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_stores_of_one_token_share_one_login(
    keys: pkcs11_store.Pkcs11KeyStore, module: Path
) -> None:
    handle = keys.generate("shared", KeyKind.P256)
    other = pkcs11_store.Pkcs11KeyStore(module, LABEL, PIN)
    signature.check_value(
        handle.public_key, REPRESENTATION, other.open_key("shared").sign(REPRESENTATION)
    )
    _lose_sessions(module)
    for one in (other, keys):
        value = one.open_key("shared").sign(REPRESENTATION)
        signature.check_value(handle.public_key, REPRESENTATION, value)
    dead = other.open_key("shared")
    other.close()
    other.close()
    with pytest.raises(store.StoreClosedError):
        dead.sign(REPRESENTATION)
    # The store that is still open goes on.
    signature.check_value(handle.public_key, REPRESENTATION, handle.sign(REPRESENTATION))


def test_a_second_store_of_a_token_needs_the_pin_too(
    keys: pkcs11_store.Pkcs11KeyStore, module: Path
) -> None:
    with pytest.raises(pkcs11_token.ModuleAccessError):
        pkcs11_store.Pkcs11KeyStore(module, LABEL, passphrase.Passphrase("00000000"))
    assert keys.labels() == ()


def test_a_token_that_another_library_holds_open_is_not_taken_over(module: Path) -> None:
    token = pkcs11.lib(str(module.resolve())).get_token(token_label=LABEL)
    with (
        token.open(rw=True, user_pin=softhsm.PIN),
        pytest.raises(pkcs11_token.TokenInUseError),
    ):
        pkcs11_store.Pkcs11KeyStore(module, LABEL, passphrase.Passphrase("00000000"))


def test_two_keys_of_one_label_are_refused(keys: pkcs11_store.Pkcs11KeyStore, module: Path) -> None:
    keys.generate("twin", KeyKind.P256)
    subprocess.run(
        [
            *("pkcs11-tool", "--module", str(module), "--token-label", LABEL, "--login"),
            *("--pin", softhsm.PIN, "--keypairgen", "--key-type", "EC:secp256r1"),
            *("--label", "twin", "--id", "77"),
        ],
        capture_output=True,
        check=True,
        timeout=30,
    )
    keys.close()
    softhsm.start_afresh(module)
    again = pkcs11_store.Pkcs11KeyStore(module, LABEL, PIN)
    try:
        with pytest.raises(pkcs11_token.ModuleError, match="several"):
            again.open_key("twin")
    finally:
        again.close()


def test_a_key_of_another_kind_is_refused(keys: pkcs11_store.Pkcs11KeyStore, module: Path) -> None:
    subprocess.run(
        [
            *("pkcs11-tool", "--module", str(module), "--token-label", LABEL, "--login"),
            *("--pin", softhsm.PIN, "--keypairgen", "--key-type", "rsa:2048"),
            *("--label", "weak", "--id", "78"),
        ],
        capture_output=True,
        check=True,
        timeout=30,
    )
    keys.close()
    softhsm.start_afresh(module)
    again = pkcs11_store.Pkcs11KeyStore(module, LABEL, PIN)
    try:
        with pytest.raises(algorithms.UnsupportedAlgorithmError):
            again.open_key("weak")
        with pytest.raises(store.KeyNotFoundError):
            again.open_key("nobody")
    finally:
        again.close()


def test_sixteen_threads_sign_with_several_keys_without_a_crash(
    keys: pkcs11_store.Pkcs11KeyStore,
) -> None:
    handles = [keys.generate(f"thread-{number}", KeyKind.P256) for number in range(4)]
    faults: list[errors.ImzaError] = []
    done: list[int] = []

    def work(number: int) -> None:
        handle = handles[number % 4]
        try:
            for _ in range(100):
                signature.check_value(
                    handle.public_key, REPRESENTATION, handle.sign(REPRESENTATION)
                )
                done.append(number)
        except errors.ImzaError as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(done) == 1600


def test_a_module_that_may_have_signed_is_not_asked_again_for_the_same_signature(
    keys: pkcs11_store.Pkcs11KeyStore, module: Path
) -> None:
    handle = keys.generate("once", KeyKind.P256)
    token = pkcs11_token.open_token(module, LABEL, PIN)
    asked: list[object] = []

    def sign_and_lose_the_device(session: object) -> bytes:
        asked.append(session)
        key = session.get_key(  # type: ignore[attr-defined]
            object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="once"
        )
        key.sign(REPRESENTATION.hash, mechanism=pkcs11.Mechanism.ECDSA)
        raise pkcs11.exceptions.DeviceRemoved

    with pytest.raises(pkcs11_token.ModuleUnavailableError):
        token.call(sign_and_lose_the_device)
    assert len(asked) == 1
    # The next request opens a session of its own and is signed.
    signature.check_value(handle.public_key, REPRESENTATION, handle.sign(REPRESENTATION))
    pkcs11_token.release(token)


def test_a_session_that_is_lost_twice_is_given_up(
    keys: pkcs11_store.Pkcs11KeyStore, module: Path
) -> None:
    handle = keys.generate("given-up", KeyKind.P256)
    token = pkcs11_token.open_token(module, LABEL, PIN)
    asked: list[object] = []

    def lose(session: object) -> None:
        asked.append(session)
        raise pkcs11.exceptions.SessionHandleInvalid

    with pytest.raises(pkcs11_token.ModuleUnavailableError, match="twice"):
        token.call(lose)
    assert len(asked) == 2
    signature.check_value(handle.public_key, REPRESENTATION, handle.sign(REPRESENTATION))
    pkcs11_token.release(token)


SOAK = """
import pathlib, sys, threading
from pki import signature
from pki.algorithms import HashAlgorithm
from pki.keystore import passphrase, pkcs11_store
module, token, pin, signatures = sys.argv[1:]
stores = [
    pkcs11_store.Pkcs11KeyStore(pathlib.Path(module), token, passphrase.Passphrase(pin))
    for _ in range(2)
]
done = []
def work(number):
    keys = stores[number % 2]
    representation = signature.represent(bytes([number]), HashAlgorithm.SHA256)
    handle = keys.open_key(f"soak-{number % 3}")
    for _ in range(int(signatures)):
        signature.check_value(handle.public_key, representation, handle.sign(representation))
        keys.labels()
    done.append(number)
threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for keys in stores:
    keys.close()
sys.exit(0 if len(done) == len(threads) else 3)
"""


@pytest.mark.parametrize("runs", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_threads_that_sign_and_search_in_fresh_processes_never_crash_one(
    keys: pkcs11_store.Pkcs11KeyStore, module: Path, runs: int
) -> None:
    """The first use of a module is where the library crashed others: each run is a new process."""
    for number in range(3):
        keys.generate(f"soak-{number}", KeyKind.P256)
    command = [sys.executable, "-c", SOAK, str(module), LABEL, softhsm.PIN, "60"]
    ended = [subprocess.run(command, check=False, timeout=120).returncode for _ in range(runs)]
    assert ended == [0] * runs


def test_settings_open_a_token_in_a_process_of_its_own(module: Path, tmp_path: Path) -> None:
    """The configuration comes from the process's environment, the PIN from a file."""
    pin = tmp_path / "pin"
    pin.write_text(softhsm.PIN + "\n")
    pin.chmod(0o600)
    chosen = settings.Settings(kind="pkcs11", secret_file=pin, module=module, token=LABEL)
    program = (
        "import pathlib, sys\n"
        "from pki.algorithms import KeyKind\n"
        "from pki.keystore import settings\n"
        "module, token, pin = sys.argv[1:]\n"
        "chosen = settings.Settings(kind='pkcs11', secret_file=pathlib.Path(pin),\n"
        "    module=pathlib.Path(module), token=token)\n"
        "keys = settings.open_store(chosen)\n"
        "keys.generate('elsewhere', KeyKind.P384)\n"
        "keys.close()\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(module), LABEL, str(pin)], check=True, timeout=60
    )
    softhsm.start_afresh(module)
    opened = settings.open_store(chosen)
    try:
        assert opened.labels() == ("elsewhere",)
    finally:
        opened.close()
