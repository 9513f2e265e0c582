import datetime
import os
import pathlib
import shutil
import ssl
import stat
import subprocess

import pytest
from cryptography import x509

from imza import tls_certificate

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def test_the_key_is_private_and_belongs_to_the_certificate(tmp_path: pathlib.Path) -> None:
    files = tls_certificate.make(tmp_path / "tls", tmp_path / "ca.pem", AT)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.key.parent.stat().st_mode) == 0o700
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)


def test_the_certificate_names_the_loopback_alone(tmp_path: pathlib.Path) -> None:
    files = tls_certificate.make(tmp_path, tmp_path / "ca.pem", AT)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert certificate.not_valid_before_utc <= AT <= certificate.not_valid_after_utc


def test_another_call_makes_another_ca(tmp_path: pathlib.Path) -> None:
    tls_certificate.make(tmp_path, tmp_path / "ca.pem", AT)
    first = (tmp_path / "ca.pem").read_bytes()
    tls_certificate.make(tmp_path, tmp_path / "ca.pem", AT)
    assert (tmp_path / "ca.pem").read_bytes() != first


@pytest.mark.peer
@pytest.mark.parametrize(("name", "accepted"), [("localhost", True), ("imza.example", False)])
def test_openssl_accepts_the_certificate_for_localhost_alone(
    tmp_path: pathlib.Path, name: str, accepted: bool
) -> None:
    if shutil.which("openssl") is None and not os.environ.get("CI"):
        pytest.skip("openssl is not installed")
    files = tls_certificate.make(tmp_path / "tls", tmp_path / "ca.pem", AT)
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name,
         "-attime", str(int(AT.timestamp())), "-CAfile", str(tmp_path / "ca.pem"),
         str(files.certificate)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is accepted, done.stderr
