import contextlib
import subprocess
import sys

from imza import health
from imza.serving import plain_application
from pki import errors, outbound
from tests.support import servers

HEAVY = ("sqlalchemy", "fastapi", "pydantic", "pyhanko", "alembic", "lxml", "httpx", "fontTools")

PROGRAM = f"""
import sys
import imza.server
import imza.wiring.ocsp_zone
import imza.wiring.zones
import imza.serving.processes
import imza.serving.zone_process
import ocsp.statuses.registry_source
print([one for one in {HEAVY!r} if one in sys.modules])
"""


def test_a_responders_worker_imports_neither_database_layer_nor_web_framework() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def _refuse() -> object:
    raise errors.StateError("what is known is 601 s old")


def test_endpoints_are_served_without_a_framework() -> None:
    app = plain_application.PlainApplication(health.endpoints({"statuses": _refuse}, {}))
    with servers.serve(app) as url, contextlib.closing(outbound.Client()) as client:
        assert client.send("GET", f"{url}/healthz").json() == {"status": "alive"}
        told = client.send("GET", f"{url}/readyz", expect=(503,)).json()
        assert told["checks"] == {"statuses": "failed: what is known is 601 s old"}
        missing = client.send("GET", f"{url}/docs", expect=(404,)).json()
        assert missing["code"] == "http-404"
        assert client.send("POST", f"{url}/healthz", body=b"x", expect=(405,)).status == 405
