"""Several signatures as one use of a logged key: logged first, all of them, and told one by one."""

import datetime
import pathlib
import threading

import pytest

from pki import algorithms, clock, errors, signature
from pki.keystore import logged_store, signature_log, store, time_limit
from pki.keystore.signature_log import Event
from tests.support.hierarchy import MemoryKeyStore

AT = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def _represent(number: int) -> signature.DataToBeSignedRepresentation:
    return signature.represent(bytes([number]), algorithms.HashAlgorithm.SHA256)


def _value(_place: int, value: signature.SignatureValue) -> signature.SignatureValue:
    return value


class Watched:
    """A key that notes what the log's file held when it was asked, and may fail or hang."""

    def __init__(self, path: pathlib.Path) -> None:
        self._handle = MemoryKeyStore().generate("ca-citizen", algorithms.KeyKind.P256)
        self._path = path
        self.label = "ca-citizen"
        self.public_key = self._handle.public_key
        self.logged: list[str] = []
        self.fails_at: bytes | None = None
        self.hangs = threading.Event()
        self.hangs_at: bytes | None = None

    def sign(self, asked: signature.DataToBeSignedRepresentation) -> signature.SignatureValue:
        self.logged.append(self._path.read_text())
        if asked.hash == self.fails_at:
            raise errors.DeviceError("away", retriable=True)
        if asked.hash == self.hangs_at:
            self.hangs.wait(30)
        return self._handle.sign(asked)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "signatures.log"


@pytest.fixture
def key(path: pathlib.Path) -> Watched:
    return Watched(path)


def _logged(
    key: store.KeyHandle, path: pathlib.Path, limit_s: float = 10.0
) -> logged_store.LoggedKey:
    log = signature_log.SignatureLog(path, clock.FixedClock(AT))
    return logged_store.LoggedKey(key, log, time_limit.AnswerWatch(limit_s))


def _outcomes(path: pathlib.Path) -> list[Event]:
    return [one.outcome for one in signature_log.read_signatures(path)]


def test_all_is_in_the_log_before_the_first_is_signed(key: Watched, path: pathlib.Path) -> None:
    asked = [_represent(number) for number in range(30)]
    results = _logged(key, path).sign_all(asked, _value)
    for representation, result in zip(asked, results, strict=True):
        assert isinstance(result, signature.SignatureValue)
        signature.check_value(key.public_key, representation, result)
    for text in key.logged:
        assert all(one.hash.hex() in text for one in asked)
    assert _outcomes(path) == [Event.SIGNED] * 30


def test_one_that_fails_is_told_in_its_place(key: Watched, path: pathlib.Path) -> None:
    asked = [_represent(number) for number in range(10)]
    key.fails_at = asked[4].hash
    results = _logged(key, path).sign_all(asked, _value)
    assert [isinstance(one, errors.DeviceError) for one in results] == [
        number == 4 for number in range(10)
    ]
    assert sorted(one.value for one in _outcomes(path)) == ["signed"] * 9 + ["unknown"]


def test_while_one_hangs_no_more_are_asked(key: Watched, path: pathlib.Path) -> None:
    asked = [_represent(number) for number in range(3 * logged_store.THREADS)]
    key.hangs_at = asked[0].hash
    results = _logged(key, path, limit_s=1.0).sign_all(asked, _value)
    # The first share waits for it; whatever comes after it in that share is not asked.
    assert isinstance(results[0], time_limit.KeyHungError)
    for result in (results[logged_store.THREADS], results[2 * logged_store.THREADS]):
        assert isinstance(result, time_limit.KeyHungError)
    found = _outcomes(path)
    assert found.count(Event.UNKNOWN) == 1
    assert found.count(Event.FAILED) >= 2
    key.hangs.set()


def test_where_one_may_not_be_signed_none_is(key: Watched, path: pathlib.Path) -> None:
    forbidden = _represent(3)

    def permit(_label: str, asked: "list[signature.DataToBeSignedRepresentation]") -> None:
        if forbidden in asked:
            raise errors.PolicyError("not this one")

    log = signature_log.SignatureLog(path, clock.FixedClock(AT))
    logged = logged_store.LoggedKey(
        key,
        log,
        time_limit.AnswerWatch(),
        permit=permit,  # type: ignore[arg-type]
    )
    with pytest.raises(errors.PolicyError):
        logged.sign_all([_represent(number) for number in range(5)], _value)
    assert key.logged == []
    assert _outcomes(path) == []


def test_a_log_that_cannot_be_written_lets_none_be_signed(key: Watched, path: pathlib.Path) -> None:
    logged = _logged(key, path)
    path.unlink()
    with pytest.raises(signature_log.SignatureLogError):
        logged.sign_all([_represent(number) for number in range(5)], _value)
    assert key.logged == []
