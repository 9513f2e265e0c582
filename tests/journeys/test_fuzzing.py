"""Mutated input for whatever reads what strangers send; `tests.support.fuzzing` sends more."""

import pytest

from tests.support import fuzzing

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize(
    ("name", "count"), [("csr", 10_000), ("cmp", 1_000), ("ocsp", 5_000), ("tsp", 5_000)]
)
def test_invariant_16_any_bytes_get_a_protocol_error_in_bounded_time_and_memory(
    name: str, count: int
) -> None:
    report = fuzzing.fuzz(name, count)
    assert report.inputs == count
    assert report.outcomes.total() == count
    assert len(report.outcomes) > 2, str(report)
    assert report.slowest_s < fuzzing.SLOWEST_S, str(report)
    if name in ("ocsp", "tsp"):
        assert report.slowest_cpu_s < 10 * fuzzing.SLOWEST_CPU_S, str(report)
    assert report.growth_kib < fuzzing.MAX_GROWTH_KIB, str(report)
