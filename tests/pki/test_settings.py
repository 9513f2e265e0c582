import dataclasses
import datetime
import pathlib

import pytest

from pki import settings


@dataclasses.dataclass(frozen=True)
class Inner:
    port: int


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str
    path: pathlib.Path | None = None
    wait: datetime.timedelta = datetime.timedelta(seconds=1)
    inner: tuple[Inner, ...] = ()


def test_a_table_becomes_a_frozen_section() -> None:
    found = settings.read_section(
        Outer, {"name": "x", "path": "/a", "wait": 1.5, "inner": [{"port": 1}]}
    )
    assert found == Outer("x", pathlib.Path("/a"), datetime.timedelta(seconds=1.5), (Inner(1),))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "'name' is missing"),
        ({"name": "x", "nmae": "y"}, "unknown entry 'nmae'"),
        ({"name": 1}, r"Outer\.name: expected str, got int"),
        ({"name": "x", "wait": True}, r"Outer\.wait"),
        ({"name": "x", "inner": [{"port": "1"}]}, r"Outer\.inner\[\]\.port: expected int, got str"),
        ([], "expected a table"),
    ],
)
def test_a_wrong_entry_is_named(table: object, message: str) -> None:
    with pytest.raises(settings.SettingsError, match=message):
        settings.read_section(Outer, table)


def test_a_wrong_value_is_not_repeated() -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.read_section(Inner, {"port": "a secret"})
    assert "a secret" not in str(caught.value)


def test_a_file_that_is_no_toml_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.toml"
    with pytest.raises(settings.SettingsError, match="cannot be read"):
        settings.read_file(path)
    path.write_text("= 1")
    with pytest.raises(settings.SettingsError, match="is not TOML"):
        settings.read_file(path)
