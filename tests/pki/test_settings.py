import dataclasses
import datetime
import decimal
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


@dataclasses.dataclass(frozen=True)
class Priced:
    since: datetime.date
    price: decimal.Decimal


def test_a_date_and_an_amount_are_read_exactly() -> None:
    read = settings.read_section(Priced, {"since": datetime.date(2026, 1, 1), "price": "0.10"})
    assert read == Priced(datetime.date(2026, 1, 1), decimal.Decimal("0.10"))


@pytest.mark.parametrize("price", [0.1, 1, "1e3", "-1", "1,5", "", "NaN", "1" * 16])
def test_an_amount_that_is_no_plain_decimal_text_is_refused(price: object) -> None:
    with pytest.raises(settings.SettingsError, match="expected Decimal"):
        settings.read_section(Priced, {"since": datetime.date(2026, 1, 1), "price": price})


def test_a_date_with_a_time_is_refused() -> None:
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    with pytest.raises(settings.SettingsError, match="expected date"):
        settings.read_section(Priced, {"since": at, "price": "1"})
