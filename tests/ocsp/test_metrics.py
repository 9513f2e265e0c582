import datetime

import httpx
from prometheus_client.openmetrics import parser

from ocsp import api, cert_id, messages
from pki import metrics, web
from tests.ocsp.conftest import World
from tests.support import servers


def test_requests_are_counted_by_the_status_of_their_response(world: World) -> None:
    figures = metrics.Metrics()
    name = cert_id.name_certificate(
        world.hierarchy.issuing.certificate, world.signer().certificate.serial_number
    )
    good = messages.build_request(messages.OCSPRequest((name,)))
    endpoints = api.endpoints(world.responder, world.clock, figures=figures)
    with servers.serve(web.application("test", [], endpoints)) as url:
        for body in (good, good, b"junk", b"x" * (messages.MAX_REQUEST_BYTES + 1)):
            kind = {"Content-Type": api.REQUEST_TYPE}
            httpx.post(f"{url}/ocsp", content=body, headers=kind, trust_env=False)
            world.clock.move(datetime.timedelta(seconds=5))
    families = {
        one.name: one for one in parser.text_string_to_metric_families(figures.write().decode())
    }
    counted = {
        sample.labels["outcome"]: sample.value
        for sample in families["imza_ocsp_requests"].samples
        if sample.value
    }
    assert counted == {"successful": 2, "malformedRequest": 2}
    # The second answer was there since the first.
    assert families["imza_ocsp_answers_ready"].samples[0].value == 1
    counts = {one.name: one.value for one in families["imza_ocsp_duration_seconds"].samples}
    assert counts["imza_ocsp_duration_seconds_count"] == 3
