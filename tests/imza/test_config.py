import dataclasses
import datetime
import pathlib
import typing

import pytest

from imza import config, sandbox_disclosure
from pki import settings

CA = {
    "country": "AZ",
    "organisation_name": "TEST",
    "organisation_code": "9900000001",
    "base_url": "http://ca.example",
    "disclosures": [{"url": "https://ca.example/pds.pdf", "language": "en"}],
    "test": True,
}

SECTIONS: dict[str, dict[str, object]] = {
    "server": {"host": "::1", "port": 1, "tls_port": 2, "tls_certificate": "c", "tls_key": "k"},
    "database": {"url": "sqlite:///x"},
    "access": {
        "clients": [{"client_id": "portal", "secret_sha256": "00", "scopes": ["sign"]}],
        "token_lifetime": 60,
    },
    **{
        field.name: {"kind": "pkcs11", "secret_file": "s", "module": "m.so", "token": "t"}
        for field in dataclasses.fields(config.Config)
        if field.name.startswith("keystore")
    },
    "signature_log": {"file": "signatures.log"},
    "ca": CA,
    "audit": {"folder": "a", "tsa_url": "http://tsa.example/tsa", "every": 600},
    "statistics": {
        "sources": [{"zone": "mobile", "url": "http://mobile.localhost", "credentials": "c"}],
        "tariffs": [
            {
                "valid_from": datetime.date(2026, 1, 1),
                "currency": "AZN",
                "certificates": {"citizen": "1", "official": "2", "business": "3.50"},
                "mobile_transaction": "0.05",
            }
        ],
    },
    "disclosure": dict(sandbox_disclosure.section("https://pki.localhost")),
    "enrolment": {"secret_file": "s", "reference_validity": 60, "confirmation_wait": 60},
    "register": {
        **{"kind": "http", "name": "TEST register", "url": "https://register.example"},
        **{"token_file": "t", "timeout": 2.5, "tls_ca": "ca.pem"},
    },
    "renewal": {"window": 60, "identity_validity": 60, "self_service": True},
    "subscribers": {"password_tries": 3, "password_delay": 60, "hold_limit": 86400},
    "notices": {
        "smtp": {"host": "mail.example", "sender": "ca@pki.example"},
        "sms": {"url": "https://sms.example/", "secret_file": "s"},
        "days_before_end": [30],
    },
    "ocsp": {
        **{"validity": 600, "status_file": "s", "status_publisher": "p.pem"},
        **{"status_poll": 0.25, "status_max_age": 3600},
    },
    "status_file": {"file": "statuses", "every": 300},
    "tsa": {"certificates": "tsu-1.pem"},
    "mobile_id": {"relying_parties": "parties.json", "countries": ["GE"]},
    "mobile_peer": {
        "api_root": "https://mid.example/mid-api",
        "relying_party_name": "TEST",
        "relying_party_uuid_file": "uuid",
    },
    "signing": {"folder": "d", "tsa_url": "http://tsa.example/tsa", "trust_anchors": ["a.pem"]},
    "testing": {"failpoints": True},
}


def test_every_section_is_tried_here() -> None:
    assert set(SECTIONS) == {field.name for field in dataclasses.fields(config.Config)}


@pytest.mark.parametrize("name", list(SECTIONS))
def test_a_section_is_read(name: str) -> None:
    read = getattr(config.parse({name: SECTIONS[name]}), name)
    assert read == getattr(config.parse(SECTIONS), name)
    for key in SECTIONS[name]:
        assert getattr(read, key) is not None


@pytest.mark.parametrize("name", list(SECTIONS))
def test_an_unknown_entry_is_refused_and_named(name: str) -> None:
    with pytest.raises(settings.SettingsError, match="unknown entry 'colour'"):
        config.parse({name: {**SECTIONS[name], "colour": "red"}})


@pytest.mark.parametrize("name", list(SECTIONS))
def test_a_section_that_is_no_table_is_refused(name: str) -> None:
    with pytest.raises(settings.SettingsError, match="expected a table"):
        config.parse({name: 1})


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("database", "url"),
        ("keystore", "secret_file"),
        ("tsa", "certificates"),
        ("mobile_peer", "api_root"),
        ("signing", "trust_anchors"),
    ],
)
def test_an_entry_that_is_missing_is_named(name: str, key: str) -> None:
    without = {one: value for one, value in SECTIONS[name].items() if one != key}
    with pytest.raises(settings.SettingsError, match=f"'{key}' is missing"):
        config.parse({name: without})


def test_an_unknown_section_is_refused() -> None:
    with pytest.raises(settings.SettingsError, match="unknown entry 'colour'"):
        config.parse({"colour": {}})


def test_values_have_their_types() -> None:
    read = config.parse(SECTIONS)
    assert read.access.token_lifetime == datetime.timedelta(minutes=1)
    assert read.signing is not None
    assert read.signing.trust_anchors == (pathlib.Path("a.pem"),)
    assert read.server.port == 1


def test_a_value_of_another_type_is_refused_without_repeating_it() -> None:
    with pytest.raises(settings.SettingsError) as refused:
        config.parse({"database": {"url": 918273}})
    assert "918273" not in refused.value.message


def test_an_empty_file_gives_the_defaults_and_no_zone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("")
    read = config.read(path)
    assert read == config.Config()
    assert read.server.host == "127.0.0.1"


def test_a_section_that_a_zone_needs_is_asked_for_by_name() -> None:
    with pytest.raises(settings.SettingsError, match=r"\[keystore\]"):
        config.require(typing.cast("str | None", None), "keystore")
    assert config.require("present", "keystore") == "present"


@pytest.mark.parametrize("content", [b"[server", b"\xff\xfe", None])
def test_a_file_that_is_no_settings_file_is_refused(
    tmp_path: pathlib.Path, content: bytes | None
) -> None:
    path = tmp_path / "zone.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(settings.SettingsError, match=r"zone\.toml"):
        config.read(path)


def test_a_real_authority_takes_no_failpoints() -> None:
    real = {**CA, "test": False, "policy_arc": "1.3.6.1.4.1.99999.1"}
    with pytest.raises(settings.SettingsError, match="failpoints"):
        config.parse({"ca": real, "testing": {"failpoints": True}})
    assert not config.parse({"ca": real}).testing.failpoints


@pytest.mark.parametrize(
    ("entry", "value"), [("status_max_age", 3601), ("status_max_age", 0), ("status_poll", 0)]
)
def test_statuses_older_than_an_hour_are_never_told(entry: str, value: int) -> None:
    with pytest.raises(settings.SettingsError, match=entry):
        config.parse({"ocsp": {entry: value}})
