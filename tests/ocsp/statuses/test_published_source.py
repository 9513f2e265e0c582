"""A responder without a database takes the files of its CA, each no older than the one before."""

import datetime
import pathlib

import pytest
from cryptography.hazmat.primitives import serialization

from ocsp.statuses import published_source, view
from pki import (
    algorithms,
    clock,
    errors,
    registry_reader,
    settings,
    status,
    status_file,
    status_publishers,
)
from pki.keystore import store
from tests.support import hierarchy

GOOD = status.CertificateStatus()
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def key() -> store.KeyHandle:
    return hierarchy.MemoryKeyStore().generate("status-publisher", algorithms.KeyKind.P256)


class Publication:
    """What the CA does, and the view of a responder elsewhere."""

    def __init__(self, path: pathlib.Path, key: store.KeyHandle, at: datetime.datetime) -> None:
        self.path, self.key = path, key
        self.clock = clock.FixedClock(at)
        self.source = published_source.PublishedSource(path, [key.public_key])
        self.view = view.StatusView(self.source, self.clock)

    def publish(
        self,
        number: int,
        *serials: int,
        by: store.KeyHandle | None = None,
        locked: bool = False,
        ago: datetime.timedelta = datetime.timedelta(0),
        log: str = "a",
    ) -> bytes:
        at = self.clock.now() - ago
        header = status_file.Header(
            registry_reader.Position(number, log * 64),
            at,
            at if locked else None,
            (registry_reader.Issuer("citizen", b""),),
        )
        known = {"citizen": {one.to_bytes(20, "big"): GOOD for one in serials}}
        pieces = status_publishers.sign(status_file.build(header, known), by or self.key)
        status_file.write(self.path, pieces)
        return b"".join(pieces)


@pytest.fixture
def publication(tmp_path: pathlib.Path, key: store.KeyHandle, at: datetime.datetime) -> Publication:
    return Publication(tmp_path / "statuses", key, at)


def test_statuses_are_told_from_the_file_until_it_is_too_old(publication: Publication) -> None:
    publication.publish(5, 1)
    publication.view.update()
    assert publication.view.look_up("citizen", 1) == GOOD
    publication.clock.move(view.DEFAULT_MAX_AGE)
    publication.view.update()
    assert publication.view.look_up("citizen", 1) == GOOD
    publication.clock.move(datetime.timedelta(seconds=1))
    publication.view.update()
    with pytest.raises(view.StatusesUnavailableError, match="601 s old"):
        publication.view.look_up("citizen", 1)


def test_without_a_file_nothing_is_told(publication: Publication) -> None:
    with pytest.raises(published_source.StatusFileMissingError):
        publication.view.update()
    with pytest.raises(view.StatusesUnavailableError):
        publication.view.look_up("citizen", 1)


def test_invariant_5_a_serial_is_unknown_only_by_a_file_that_is_younger_than_the_question(
    publication: Publication,
) -> None:
    """What was issued after the file was written is not unknown: the requester asks again."""
    publication.publish(5, 1)
    publication.view.update()
    for _ in range(2):
        with pytest.raises(view.StatusNotYetKnownError):
            publication.view.look_up("citizen", 2)
    publication.clock.move(MINUTE)
    publication.publish(6, 1, 2)
    publication.view.update()
    assert publication.view.look_up("citizen", 2) == GOOD
    with pytest.raises(view.StatusNotYetKnownError):
        publication.view.look_up("citizen", 3)
    publication.clock.move(MINUTE)
    publication.publish(7, 1, 2)
    publication.view.update()
    assert publication.view.look_up("citizen", 3) is None


def test_a_file_of_another_key_is_refused_and_the_one_before_stays(
    publication: Publication,
) -> None:
    publication.publish(5, 1)
    publication.view.update()
    publication.clock.move(MINUTE)
    foreign = hierarchy.MemoryKeyStore().generate("other", algorithms.KeyKind.P256)
    publication.publish(6, 1, 2, by=foreign)
    for _ in range(2):
        with pytest.raises(status_file.StatusFileError, match="another key"):
            publication.view.update()
    assert publication.view.look_up("citizen", 1) == GOOD
    publication.publish(6, 1, 2)
    publication.view.update()
    assert publication.view.look_up("citizen", 2) == GOOD


def test_an_unsigned_file_and_a_signature_of_other_statuses_are_refused(
    publication: Publication,
) -> None:
    whole = publication.publish(5, 1)
    other = publication.publish(6, 1, 2)
    signature = status_file.StatusFile(whole).signature
    assert signature is not None
    end = len(status_file.signature_block(signature))
    for content, said in ((other[:-end], "signed"), (other[:-end] + whole[-end:], "verify")):
        publication.path.write_bytes(content)
        with pytest.raises(status_file.StatusFileError, match=said):
            publication.view.update()


@pytest.mark.parametrize(
    ("number", "ago", "log", "said"),
    [
        (4, datetime.timedelta(0), "a", "change 5 or later"),
        (5, datetime.timedelta(0), "b", "change 5 or later"),
        (6, 2 * MINUTE, "a", "older than the one before"),
        (6, -2 * MINUTE, "a", "in the future"),
    ],
)
def test_a_file_that_goes_back_or_comes_from_the_future_is_refused(
    publication: Publication, number: int, ago: datetime.timedelta, log: str, said: str
) -> None:
    publication.publish(5, 1)
    publication.view.update()
    publication.clock.move(MINUTE)
    publication.publish(number, 1, ago=ago, log=log)
    with pytest.raises(status_file.StatusFileError, match=said):
        publication.view.update()
    assert publication.view.look_up("citizen", 1) == GOOD


def test_the_lock_of_a_restored_registry_travels_and_its_release_is_believed(
    publication: Publication,
) -> None:
    publication.publish(50, 1)
    publication.view.update()
    publication.clock.move(MINUTE)
    publication.publish(41, 1, locked=True)
    publication.view.update()
    with pytest.raises(view.RegistryNotReconciledError):
        publication.view.look_up("citizen", 1)
    publication.clock.move(MINUTE)
    publication.publish(43, 1)
    publication.view.update()
    assert publication.view.look_up("citizen", 1) == GOOD


def test_no_mutated_file_is_told_from(publication: Publication) -> None:
    import random

    whole = publication.publish(5, 1, 2, 3)
    chance = random.Random(3)  # noqa: S311
    for _ in range(1500):
        mutated = bytearray(whole)
        mutated[chance.randrange(len(mutated))] ^= 1 << chance.randrange(8)
        if chance.randrange(4) == 0:
            del mutated[chance.randrange(len(mutated)) :]
        with pytest.raises(errors.TamperedError):
            status_publishers.check_publisher(
                status_file.StatusFile(bytes(mutated)), [publication.key.public_key]
            )


def test_publishers_are_p256_keys_in_pem(tmp_path: pathlib.Path, key: store.KeyHandle) -> None:
    def pem(one: algorithms.PublicKey) -> bytes:
        return one.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    other = hierarchy.MemoryKeyStore().generate("other", algorithms.KeyKind.P384)
    path = tmp_path / "keys.pem"
    path.write_bytes(pem(key.public_key) + b"\n" + pem(key.public_key))
    assert len(status_publishers.load_publishers(path)) == 2
    for content in (b"", b"-----BEGIN PUBLIC KEY-----", pem(other.public_key), b"\xff" * 40):
        path.write_bytes(content)
        with pytest.raises(settings.SettingsError):
            status_publishers.load_publishers(path)
    with pytest.raises(settings.SettingsError):
        status_publishers.load_publishers(tmp_path / "none")
