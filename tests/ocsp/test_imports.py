import subprocess
import sys

import pytest

HEAVY = ("fastapi", "sqlalchemy", "pyhanko", "asn1crypto.cms", "pydantic")


@pytest.mark.parametrize(
    "module",
    [
        *("ocsp.messages", "ocsp.delegation", "ocsp.client"),
        *("ocsp.responder", "ocsp.responder_key", "ocsp.api"),
    ],
)
def test_the_protocol_needs_neither_web_framework_nor_database(module: str) -> None:
    program = f"import sys, {module}; print([one for one in {HEAVY!r} if one in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
