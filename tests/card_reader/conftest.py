import pathlib
from collections.abc import Iterator

import pytest

from card_reader.virtual_card import reader_station
from pki import clock
from tests.support import card_station
from tests.support import hierarchy as hierarchy_support


@pytest.fixture(scope="module")
def small_ca() -> card_station.SmallCA:
    at = clock.whole_seconds(clock.SystemClock().now())
    return card_station.SmallCA(hierarchy_support.make_hierarchy(at))


@pytest.fixture(scope="module")
def master_card(
    small_ca: card_station.SmallCA, tmp_path_factory: pytest.TempPathFactory
) -> card_station.TestCard:
    return card_station.make_card(tmp_path_factory.mktemp("cards") / "card.json", small_ca)


@pytest.fixture
def card(master_card: card_station.TestCard, tmp_path: pathlib.Path) -> card_station.TestCard:
    """A personalised card of the test's own."""
    return card_station.copy_card(master_card, tmp_path / "card.json")


@pytest.fixture(scope="module")
def station() -> Iterator[reader_station.ReaderStation]:
    with card_station.running_station() as running:
        yield running
