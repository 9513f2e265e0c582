import pathlib
import stat
import uuid

import pytest

from imza import config, installation
from imza.wiring.zone import ZONES
from mobile_id import settings as mobile_settings
from pki import access
from pki.keystore import settings as keystore_settings

ADDRESSES = installation.Addresses.together("http://127.0.0.1:8080")


def _lay_out(folder: pathlib.Path, **given: object) -> installation.Installation:
    world = installation.Installation(folder)
    world.lay_out(ADDRESSES, **given)  # type: ignore[arg-type]
    return world


def _secrets(folder: pathlib.Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in (folder / "secrets").iterdir() if one.is_file()}


def test_only_the_owner_may_read_what_is_laid_out(tmp_path: pathlib.Path) -> None:
    _lay_out(tmp_path / "w")
    for one in [tmp_path / "w", *(tmp_path / "w").rglob("*")]:
        mode = stat.S_IMODE(one.stat().st_mode)
        assert mode == (0o700 if one.is_dir() else 0o600), one


def test_secrets_are_long_and_differ_from_folder_to_folder(tmp_path: pathlib.Path) -> None:
    _lay_out(tmp_path / "one")
    _lay_out(tmp_path / "two")
    one, two = _secrets(tmp_path / "one"), _secrets(tmp_path / "two")
    assert set(one) == set(two)
    assert len(set(one.values())) == len(one)
    for name, value in one.items():
        assert value != two[name]
        assert len(value) >= 36


def test_laying_out_again_keeps_every_secret(tmp_path: pathlib.Path) -> None:
    _lay_out(tmp_path)
    before = _secrets(tmp_path)
    _lay_out(tmp_path)
    assert _secrets(tmp_path) == before


@pytest.mark.parametrize("zone", ZONES)
def test_the_settings_of_a_zone_can_be_read_and_hold_what_it_needs(
    tmp_path: pathlib.Path, zone: str
) -> None:
    read = config.read(_lay_out(tmp_path).config_path(zone))
    assert read.server == config.ServerSettings("127.0.0.1", 8080)
    assert read.database is not None
    needed = {
        "ca": ("ca", "keystore", "keystore_ocsp", "keystore_tsa"),
        "ocsp": ("ocsp", "keystore"),
        "tsa": ("tsa", "keystore"),
        "mobile": ("mobile_id",),
        "signing": ("signing", "mobile_peer"),
    }[zone]
    for name in needed:
        assert getattr(read, name) is not None


def test_settings_name_secrets_and_hold_none(tmp_path: pathlib.Path) -> None:
    world = _lay_out(tmp_path)
    texts = [world.config_path(zone).read_text() for zone in ZONES]
    for name, value in _secrets(tmp_path).items():
        if name != "relying-parties.json":
            assert not any(value.decode() in text for text in texts), name


def test_only_the_hash_of_a_clients_secret_is_in_the_settings(tmp_path: pathlib.Path) -> None:
    world = _lay_out(tmp_path)
    clients = config.read(world.config_path("signing")).access.clients
    told = world.api_client
    (known,) = [one for one in clients if one.client_id == told.client_id]
    assert known.secret_sha256 == access.hash_secret(told.client_secret)
    assert known.scopes == told.scopes
    assert told.client_secret not in repr(told)


def test_the_responder_reads_the_database_that_the_authority_writes(
    tmp_path: pathlib.Path,
) -> None:
    world = _lay_out(tmp_path)
    urls = {zone: config.read(world.config_path(zone)).database for zone in ZONES}
    assert urls["ocsp"] == urls["ca"]
    assert len(set(urls.values())) == len(urls) - 1


def test_each_zone_keeps_its_keys_under_a_passphrase_of_its_own(tmp_path: pathlib.Path) -> None:
    world = _lay_out(tmp_path)
    stores = [config.read(world.config_path(zone)).keystore for zone in ("ca", "ocsp", "tsa")]
    assert len({one.secret_file for one in stores if one}) == 3
    assert len({one.folder for one in stores if one}) == 3
    own = config.read(world.config_path("ca"))
    assert (own.keystore_ocsp, own.keystore_tsa) == tuple(stores[1:])


def test_one_database_and_a_token_serve_every_zone_when_asked(tmp_path: pathlib.Path) -> None:
    token = keystore_settings.Settings(
        "pkcs11", tmp_path / "pin", module=tmp_path / "m.so", token="TEST"
    )
    world = _lay_out(tmp_path / "w", database_url="postgresql://x/y", token=token)
    for zone in ZONES:
        read = config.read(world.config_path(zone))
        assert read.database == config.DatabaseSettings("postgresql://x/y")
        assert read.keystore in (None, token)


def test_a_sandbox_is_an_installation_for_tests(tmp_path: pathlib.Path) -> None:
    assert config.read(_lay_out(tmp_path).config_path("ca")).testing.failpoints


def test_relying_parties_have_uuids_and_come_from_this_machine(tmp_path: pathlib.Path) -> None:
    world = _lay_out(tmp_path)
    settings = config.read(world.config_path("mobile")).mobile_id
    assert settings is not None
    assert settings.relying_parties is not None
    parties = mobile_settings.load_relying_parties(settings.relying_parties)
    for name in (installation.SIGNING_RELYING_PARTY, installation.PORTAL_RELYING_PARTY):
        secret = world.relying_party_uuid(name)
        assert str(uuid.UUID(secret)) == secret
        party, _ = mobile_settings.authorise(parties, secret, name, "127.0.0.1")
        assert party.names == (name,)
        with pytest.raises(mobile_settings.UnknownRelyingPartyError):
            mobile_settings.authorise(parties, secret, name, "192.0.2.1")
