"""Wrong JSON to every call of the CA zone's description: a refusal with its reason, never a 5xx."""

import contextlib
import json
import pathlib
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from imza import config as configs
from imza import installation
from imza.wiring import founding, resources, zones
from pki import clock, web
from tests.support import open_gate, servers

pytestmark = pytest.mark.slow

SEED = 20260131
TRIES = 40
SLOWEST_S = 10.0
"""Nothing here takes a second; the machine may be busy."""

METHODS = ("get", "post", "put", "patch", "delete")

HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 2**64, 1e308, "", " ", "\0", "x" * 5000, "Ə" * 300,
    "../../etc/passwd", "' OR 1=1 --", "\ud800", "2026-13-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "AZ", "sign", [], [[]], {}, {"a": {"b": []}}, ["x"] * 200,
)  # fmt: skip
RAW = (
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":' * 3000, b"[" * 60_000, b"1" * 20_000,
    b'{"a":1,"a":2}', b"\x30\x80" * 500, b"NaN",
)  # fmt: skip
TYPES = ("application/json", "application/pkcs10", "text/plain", "application/octet-stream", "")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def zone(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The CA zone of a sandbox, gate open, and its description."""
    # They differ in what they let into a text or a number.
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    world = installation.Installation(tmp_path / "zone")
    world.lay_out(installation.Addresses.together("http://127.0.0.1:9"), database_url=url)
    config = configs.read(pathlib.Path(world.config_path("ca")))
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        founding.initialise(opened, config)
        routers = zones.build(opened, "ca", config).routers
        app = web.application("test", routers)
        open_gate.open_all(app, routers)
        with servers.serve(app) as url:
            yield url, app.openapi()


def _calls(description: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, found)
        for path, methods in description["paths"].items()
        for method, found in methods.items()
        if method in METHODS
    ]


class Sender:
    """Makes up requests for one call after another."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._schemas = description.get("components", {}).get("schemas", {})
        self._chance = random.Random(SEED)  # noqa: S311 - the same requests each time

    def request(self, method: str, path: str, call: Mapping[str, Any]) -> dict[str, Any]:
        parameters = call.get("parameters", ())
        for one in parameters:
            if one["in"] == "path":
                path = path.replace(f"{{{one['name']}}}", self._segment())
        query = {
            one["name"]: str(self._chance.choice(HOSTILE)).replace("\ud800", "?")
            for one in parameters
            if one["in"] == "query" and self._chance.random() < 0.7
        }
        made: dict[str, Any] = {"method": method.upper(), "url": path, "params": query}
        if method != "get":
            content = call.get("requestBody", {}).get("content", {})
            schema = next(iter(content.values()), {}).get("schema", {})
            if schema and self._chance.random() < 0.8:
                body = json.dumps(self._value(schema, 0)).encode()
                kind = "application/json"
            else:
                body = self._chance.choice(RAW)
                kind = self._chance.choice(TYPES)
            made |= {"content": body, "headers": {"Content-Type": kind} if kind else {}}
        return made

    def _segment(self) -> str:
        return self._chance.choice(
            ("0", "1", "ff" * 20, "f" * 41, "zz", "citizen", "root", "nobody", "%00", "%2e%2e%2f",
             "a" * 2000, "%F0%9F%92%A9", "5" * 32)
        )  # fmt: skip

    def _value(self, schema: Mapping[str, Any], depth: int) -> Any:
        """A value that nearly fits: each part of it may be something else instead."""
        chance = self._chance
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        if depth > 6 or chance.random() < 0.15:
            return chance.choice(HOSTILE)
        for name in ("anyOf", "oneOf", "allOf"):
            if name in schema:
                return self._value(chance.choice(schema[name]), depth + 1)
        if "enum" in schema:
            return chance.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            made = {
                name: self._value(one, depth + 1)
                for name, one in schema.get("properties", {}).items()
                if chance.random() < 0.9
            }
            return made | ({"surprise": 1} if chance.random() < 0.1 else {})
        if kind == "array":
            return [
                self._value(schema.get("items", {}), depth + 1) for _ in range(chance.randint(0, 3))
            ]
        if kind == "integer":
            return chance.choice((0, 1, -1, 2**31, 2**70))
        if kind == "boolean":
            return chance.random() < 0.5
        return chance.choice(("AZ", "5AB12CD", "TEST", "citizen", "sign", "in_person", "Ə", ""))


def test_invariant_16_no_json_to_the_registration_api_ends_in_a_server_error(
    zone: tuple[str, dict[str, Any]],
) -> None:
    url, description = zone
    sender, calls = Sender(description), _calls(description)
    assert len([path for _, path, _ in calls if path.startswith("/ra/v1")]) > 15
    wrong, slow, refused, done = [], [], 0, 0
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for method, path, call in calls:
            for _ in range(TRIES):
                made = sender.request(method, path, call)
                began = time.monotonic()
                reply = client.request(**made)
                if time.monotonic() - began > SLOWEST_S:
                    slow.append((method, path))
                assert reply.status_code != 401, "the gate is closed: nothing is tried behind it"
                if reply.status_code >= 400:
                    refused += 1
                else:
                    done += 1
                # The time-stamping authority that anchors need is not there: that is said so.
                away = reply.status_code == 502 and reply.json().get("code") == "peer-unavailable"
                if reply.status_code >= 500 and not away:
                    wrong.append((reply.status_code, method, path, made, reply.text[:300]))
                elif reply.status_code >= 400:
                    assert reply.headers["content-type"].startswith("application/")
        assert client.get("/ca/root.cer").status_code == 200
    assert wrong == []
    assert slow == []
    assert refused > len(calls) * TRIES // 3
    assert done > 0
