import concurrent.futures
import pathlib
import threading

import pytest

from pki import algorithms, clock, errors, signature
from pki.keystore import logged_store, signature_log, time_limit
from tests.support.hierarchy import MemoryKey, MemoryKeyStore

HASH = signature.represent(b"x", algorithms.HashAlgorithm.SHA256)


class SlowKey:
    """A key that answers when it is let."""

    def __init__(self, handle: MemoryKey) -> None:
        self._handle = handle
        self.label = handle.label
        self.public_key = handle.public_key
        self.let = threading.Event()
        self.signatures = 0

    def sign(self, asked: signature.DataToBeSignedRepresentation) -> signature.SignatureValue:
        value = self._handle.sign(asked)
        self.signatures += 1
        assert self.let.wait(30)
        return value


@pytest.fixture
def key() -> SlowKey:
    return SlowKey(MemoryKeyStore().generate("ca-citizen", algorithms.KeyKind.P256))


def test_a_key_that_hangs_is_given_up_and_its_store_takes_no_more(
    key: SlowKey, tmp_path: pathlib.Path
) -> None:
    log = signature_log.SignatureLog(tmp_path / "log", clock.SystemClock())
    watch = time_limit.AnswerWatch(0.05)
    logged = logged_store.LoggedKey(key, log, watch)
    with pytest.raises(time_limit.KeyHungError, match="may have signed") as raised:
        logged.sign(HASH)
    assert raised.value.retriable
    assert key.signatures == 1

    for ask in (logged.check_ready, watch.check, lambda: logged.sign(HASH)):
        with pytest.raises(time_limit.KeyHungError, match="does not answer"):
            ask()
    assert key.signatures == 1
    (found,) = signature_log.read_signatures(tmp_path / "log")
    assert found.outcome is signature_log.Event.UNKNOWN

    # The module answers after all: the store goes on by itself.
    key.let.set()
    for _ in range(1000):
        try:
            watch.check()
            break
        except time_limit.KeyHungError:
            threading.Event().wait(0.01)
    signature.check_value(key.public_key, HASH, logged.sign(HASH))


def test_a_key_in_time_gives_its_value_or_its_own_error(key: SlowKey) -> None:
    key.let.set()
    watched = time_limit.TimeLimitedKey(key, time_limit.AnswerWatch())
    signature.check_value(watched.public_key, HASH, watched.sign(HASH))
    assert watched.label == "ca-citizen"

    class Failing(SlowKey):
        def sign(self, asked: object) -> signature.SignatureValue:
            raise errors.DeviceError("the session was lost")

    failing = Failing(MemoryKeyStore().generate("x", algorithms.KeyKind.P256))
    with pytest.raises(errors.DeviceError, match="session was lost"):
        time_limit.TimeLimitedKey(failing, time_limit.AnswerWatch()).sign(HASH)


def test_a_thread_serves_call_after_call(key: SlowKey) -> None:
    served: set[int] = set()

    class Noting(SlowKey):
        def sign(self, asked: signature.DataToBeSignedRepresentation) -> signature.SignatureValue:
            served.add(threading.get_ident())
            return self._handle.sign(asked)

    noting = Noting(MemoryKeyStore().generate("x", algorithms.KeyKind.P256))
    watch = time_limit.AnswerWatch()
    for _ in range(20):
        signature.check_value(noting.public_key, HASH, watch.call(noting, HASH))
    assert len(served) == 1
    assert threading.get_ident() not in served


def test_many_at_once_get_each_their_own_answer(key: SlowKey) -> None:
    key.let.set()
    watch = time_limit.AnswerWatch()
    asked = [
        signature.represent(bytes([one]), algorithms.HashAlgorithm.SHA256) for one in range(200)
    ]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda one: watch.call(key, one), asked))
    for representation, value in zip(asked, values, strict=True):
        signature.check_value(key.public_key, representation, value)
