import httpx
from prometheus_client.openmetrics import parser

from pki import metrics, web
from tests.support import servers
from tests.tsa.conftest import IMPRINT, World
from tsa import api, messages


def test_requests_are_counted_by_what_became_of_them(world: World) -> None:
    figures = metrics.Metrics()
    endpoints = api.endpoints(world.authority, world.clock, figures=figures)
    bodies = [
        messages.build_request(messages.TimeStampRequest(IMPRINT)),
        messages.build_request(messages.TimeStampRequest(IMPRINT, "1.2.3")),
        b"junk",
        b"x" * (messages.MAX_REQUEST_BYTES + 1),
    ]
    with servers.serve(web.application("test", [], endpoints)) as url:
        for body in bodies:
            kind = {"Content-Type": api.REQUEST_TYPE}
            httpx.post(f"{url}/tsa", content=body, headers=kind, trust_env=False)
    families = {
        one.name: one for one in parser.text_string_to_metric_families(figures.write().decode())
    }
    counted = {
        sample.labels["outcome"]: sample.value
        for sample in families["imza_tsa_requests"].samples
        if sample.value
    }
    assert counted == {"granted": 1, "unacceptedPolicy": 1, "badDataFormat": 2}
    samples = {one.name: one.value for one in families["imza_tsa_duration_seconds"].samples}
    assert samples["imza_tsa_duration_seconds_count"] == 3
    assert 0 < samples["imza_tsa_duration_seconds_sum"] < 60
