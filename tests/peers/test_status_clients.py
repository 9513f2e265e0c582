"""The commands of docs/examples/status-clients.sh, run as they stand there."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support import nginx
from tests.support import world as worlds

pytestmark = [pytest.mark.peer, pytest.mark.slow]

SCRIPT = pathlib.Path(__file__).parents[2] / "docs" / "examples" / "status-clients.sh"


def test_openssl_gnutls_and_curl_are_content_with_status_and_time_behind_nginx(
    tmp_path: pathlib.Path,
) -> None:
    missing = [one for one in ("openssl", "ocsptool", "curl") if shutil.which(one) is None]
    if missing:
        if os.environ.get("CI"):
            pytest.fail(f"expected {missing}")
        pytest.skip(f"not installed: {missing}")
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        worlds.zones_apart(pathlib.Path(folder), started=("ca", "ocsp", "tsa")) as zones,
    ):
        signer = worlds.certify(zones.office())
        certificate = x509.load_der_x509_certificate(signer.certificate_der)
        authorities = x509.load_pem_x509_certificates(zones.installation.authorities.read_bytes())
        issuer = next(one for one in authorities if one.subject == certificate.issuer)
        for name, one in (("certificate", certificate), ("issuer", issuer)):
            (tmp_path / f"{name}.pem").write_bytes(one.public_bytes(serialization.Encoding.PEM))
        places = {one: [zones.addresses.of(one).removeprefix("http://")] for one in ("ocsp", "tsa")}
        with nginx.running(tmp_path / "nginx", places) as proxy:
            done = subprocess.run(
                [SCRIPT, zones.installation.folder, "certificate.pem", "issuer.pem",
                 f"{proxy.address}/ocsp", f"{proxy.address}/tsa"],
                cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
                env={**os.environ, "no_proxy": "*"},
            )  # fmt: skip
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    assert shown.count("Response verify OK") == 3
    assert shown.count("certificate.pem: good") == 3
    assert "WARNING" not in shown
    assert re.search(r"(?m)^cache-control: max-age=\d+, public", shown)
    assert re.search(r"(?m)^304$", shown)
    assert shown.count("Verifying OCSP Response: Success.") == 2
    assert "Status: Granted." in shown
    assert re.findall(r"(?m)^Verification: (\S+)", shown) == ["OK", "FAILED"]
