import json
import pathlib

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mobile_id import settings
from pki import errors
from pki import settings as pki_settings

UUID = "de305d54-75b4-431b-adb2-eb6b9e546014"


def test_relying_parties_are_read_from_their_file_and_their_uuid_is_not_shown(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "parties.json"
    path.write_text(json.dumps([{"uuid": UUID, "names": ["A", "B"], "networks": ["::1/128"]}]))
    (party,) = settings.load_relying_parties(path)
    assert party.registered_name("b") == "B"
    assert UUID not in repr(party)
    assert UUID not in party.key


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[1]", '[{"uuid": "x"}]', '[{"uuid": "x", "names": ["a"], "networks": ["b"]}]'],
)
def test_a_wrong_file_is_refused(tmp_path: pathlib.Path, content: str) -> None:
    path = tmp_path / "parties.json"
    path.write_text(content)
    with pytest.raises(pki_settings.SettingsError):
        settings.load_relying_parties(path)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_mutated_files_raise_input_errors_and_nothing_else(
    tmp_path: pathlib.Path, content: bytes
) -> None:
    path = tmp_path / "parties.json"
    good = json.dumps([{"uuid": UUID, "names": ["A"], "networks": ["::1/128"]}]).encode()
    path.write_bytes(good[:40] + content + good[40 + len(content) // 2 :])
    try:
        settings.load_relying_parties(path)
    except errors.InputError:
        return


def test_addresses_are_matched_as_networks() -> None:
    party = settings.RelyingParty(UUID, ("A",), ("192.0.2.0/24", "2001:db8::/32"))
    assert party.comes_from("192.0.2.77")
    assert party.comes_from("::ffff:192.0.2.77")
    assert party.comes_from("2001:db8::1")
    for address in ("192.0.3.1", "2001:db9::1", "", None, "localhost"):
        assert not party.comes_from(address)


def test_the_section_has_the_published_times_unless_told_otherwise() -> None:
    read = pki_settings.read_section(settings.Settings, {})
    assert read.answer_window.total_seconds() == 120
    assert read.session_life.total_seconds() == 300
    assert (
        pki_settings.read_section(
            settings.Settings, {"answer_window": 5}
        ).answer_window.total_seconds()
        == 5
    )
