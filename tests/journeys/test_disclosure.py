"""A relying party follows the address in a certificate to the disclosure statement."""

import hashlib
import pathlib
import re
import urllib.parse

import httpx
import pytest
from cryptography import x509

from pki import certificates, oids, outbound, qc_statements
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sandbox")]


def test_the_statements_that_a_certificate_names_are_there(world: worlds.World) -> None:
    signer = worlds.certify(world.office())
    certificate = certificates.parse(signer.certificate_der)
    extension = certificate.extensions.get_extension_for_oid(
        x509.ObjectIdentifier(oids.QC_STATEMENTS)
    )
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    pointed = qc_statements.parse(extension.value.value).pds
    assert {one.language for one in pointed} == {"az", "ka", "en"}
    trust = pathlib.Path(world.description["tls_ca_pem"])
    client = outbound.Client(trust_pem=trust)
    operator = certificates.name_text(certificate.issuer)
    for one in pointed:
        assert urllib.parse.urlsplit(one.url).scheme == "https"
        shown = client.send("GET", one.url, expect=(200,))
        text = shown.body.decode()
        assert f'<html lang="{one.language}">' in text
        assert "TEST imza sandbox" in text
        assert "TEST imza sandbox" in operator
        (address,) = set(re.findall(r'href="(/pds/[0-9.]+/[a-z]+\.pdf)"', text))
        base = one.url.partition("/pds/")[0]
        printed = client.send("GET", f"{base}{address}", expect=(200,)).body
        assert hashlib.sha256(printed).hexdigest() in text
    client.close()


def test_the_index_is_there_without_tls_too(world: worlds.World) -> None:
    shown = httpx.get(f"{world.base_url}/pds/", headers={"Accept-Language": "ka"})
    assert shown.headers["content-language"] == "ka"
    assert "TEST" in shown.text
