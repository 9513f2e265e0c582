"""OpenSC's own programs on our virtual card, and openssl on what they sign."""

import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import hashes, serialization

from card_reader import module_card
from card_reader.virtual_card import reader_station
from pki import clock
from tests.support import card_station
from tests.support import hierarchy as hierarchy_support

pytestmark = [pytest.mark.card, pytest.mark.peer]

Station = reader_station.ReaderStation


@pytest.fixture(scope="module")
def station() -> Iterator[Station]:
    with card_station.running_station() as running:
        yield running


@pytest.fixture(scope="module")
def master_card(tmp_path_factory: pytest.TempPathFactory) -> card_station.TestCard:
    at = clock.whole_seconds(clock.SystemClock().now())
    ca = card_station.SmallCA(hierarchy_support.make_hierarchy(at))
    return card_station.make_card(tmp_path_factory.mktemp("cards") / "card.json", ca)


@pytest.fixture
def card(
    station: Station, master_card: card_station.TestCard, tmp_path: pathlib.Path
) -> card_station.TestCard:
    copy = card_station.copy_card(master_card, tmp_path / "card.json")
    station.insert(station.reader_names[0], copy.path)
    return copy


def run(*command: str, expect: int = 0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def pkcs11_tool(*arguments: str, expect: int = 0) -> str:
    return run("pkcs11-tool", "--module", str(module_card.find_module()), *arguments, expect=expect)


def test_opensc_takes_the_card_for_a_piv_card(card: card_station.TestCard) -> None:
    assert "Personal Identity Verification Card" in run("opensc-tool", "--name")


def test_pkcs11_tool_lists_both_keys_and_knows_which_wants_its_pin_each_time(
    card: card_station.TestCard,
) -> None:
    objects = pkcs11_tool("--list-objects", "--login", "--pin", card.pin)
    assert "Certificate for Digital Signature" in objects
    assert "Certificate for PIV Authentication" in objects
    keys = objects.split("Private Key Object; EC")[1:]
    assert len(keys) == 2
    assert ["always authenticate" in key.split("Public Key")[0] for key in keys] == [False, True]


@pytest.mark.parametrize(("key_id", "name"), [("01", "authenticate"), ("02", "sign")])
def test_what_pkcs11_tool_signs_is_verified_by_openssl(
    card: card_station.TestCard, tmp_path: pathlib.Path, key_id: str, name: str
) -> None:
    (tmp_path / "data").write_bytes(os.urandom(1000))
    certificate = getattr(card, name)
    key_pem = certificate.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "key.pem").write_bytes(key_pem)
    digest = ["openssl", "dgst", "-sha256"]
    run(*digest, "-binary", "-out", str(tmp_path / "hash"), str(tmp_path / "data"))
    pkcs11_tool(
        *("--sign", "--login", "--pin", card.pin, "--id", key_id, "--mechanism", "ECDSA"),
        *("--signature-format", "openssl"),
        *("--input-file", str(tmp_path / "hash"), "--output-file", str(tmp_path / "value")),
    )
    verify = (*digest, "-verify", str(tmp_path / "key.pem"), "-signature", str(tmp_path / "value"))
    assert "Verified OK" in run(*verify, str(tmp_path / "data"))
    (tmp_path / "data").write_bytes(b"another document")
    assert "Verif" in run(*verify, str(tmp_path / "data"), expect=1)


def test_pkcs11_tool_is_told_of_a_wrong_pin_and_of_a_blocked_one(
    card: card_station.TestCard,
) -> None:
    wrong = "999999" if card.pin != "999999" else "888888"
    for _ in range(2):
        answer = pkcs11_tool("--list-objects", "--login", "--pin", wrong, expect=1)
        assert "CKR_PIN_INCORRECT" in answer
    pkcs11_tool("--list-objects", "--login", "--pin", wrong, expect=1)
    answer = pkcs11_tool("--list-objects", "--login", "--pin", card.pin, expect=1)
    assert "CKR_PIN_LOCKED" in answer


def test_pkcs15_tool_changes_the_pin_and_unblocks_it(card: card_station.TestCard) -> None:
    run("pkcs15-tool", "--change-pin", "--pin", card.pin, "--new-pin", "246802")
    pkcs11_tool("--list-objects", "--login", "--pin", "246802")
    for _ in range(3):
        pkcs11_tool("--list-objects", "--login", "--pin", "999999", expect=1)
    run("pkcs15-tool", "--unblock-pin", "--puk", card.puk, "--new-pin", "135790")
    pkcs11_tool("--list-objects", "--login", "--pin", "135790")


def test_openssl_reads_the_certificates_that_opensc_reads(
    card: card_station.TestCard, tmp_path: pathlib.Path
) -> None:
    run(
        *("pkcs15-tool", "--read-certificate", "02", "--output", str(tmp_path / "card.pem")),
    )
    fingerprint = run(
        *("openssl", "x509", "-in", str(tmp_path / "card.pem"), "-noout", "-fingerprint"),
        "-sha256",
    )
    expected = card.sign.fingerprint(hashes.SHA256()).hex().upper()
    assert expected in fingerprint.replace(":", "")
