"""Every format by every device, through the REST API, before programs that we did not write."""

import pathlib
import tempfile

import pytest

from tests.support import format_table
from tests.support import world as worlds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.card,
    pytest.mark.xdist_group("world"),
]


def test_every_format_is_made_by_card_phone_and_seal_and_accepted_elsewhere(
    card_world: worlds.World,
) -> None:
    with tempfile.TemporaryDirectory(prefix="imza-") as folder:
        rows = list(format_table.make(card_world, pathlib.Path(folder), levels=("B-LTA",)))
    assert len(rows) == len(format_table.KINDS)
    for row in rows:
        assert row.verdicts == dict.fromkeys(format_table.DEVICES, row.expected), row
        assert row.accepted_by, row
        assert row.refused_by == {}, row
