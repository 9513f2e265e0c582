import base64

import pytest

from ocsp import get_path


@pytest.mark.clause("RFC 6960", "A.1")
@pytest.mark.parametrize("size", [40, 500, 2000, 4000])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_path_of_slashes_leads_to_no_search(size: int, lost: int) -> None:
    """A path that says it lost slashes and is full of them has millions of places for them."""
    tried = []
    header = b"\x30\x82" + (size - 4).to_bytes(2, "big") + b"\xff\xff"
    length = (size * 4 + 2) // 3 - lost
    path = (base64.b64encode(header).decode() + "/" * length)[:length]

    def is_known(request_der: bytes) -> bool:
        tried.append(request_der)
        return False

    get_path.decode(path, is_known)
    assert len(tried) <= get_path.MAX_PLACES * (get_path.MAX_PLACES + 1) // 2
