"""Debian's nginx with the configuration of `deploy/nginx/`, on ports of its own."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.support import servers

CONFIGURATION = pathlib.Path(__file__).parents[2] / "deploy" / "nginx" / "imza.conf"

LIMIT_S = 20
PLACES = re.compile(r"<<([^<> ]+)>>")


class Nginx:
    """A running nginx.

    Attributes:
        address: Its plain port.
        secure_address: Its TLS port.
        log: What the configuration's `log_format` wrote.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        upstreams: Mapping[str, Sequence[str]],
        *,
        servers_each: str = "max_fails=3 fail_timeout=5s",
        offices: str = "127.0.0.0/8",
        others: str = "",
    ) -> None:
        """Write its files into `folder`, where a TLS certificate is made too.

        Args:
            folder: An empty one.
            upstreams: From a zone's name to where its machines are, as `HOST:PORT`.
            servers_each: What is said of each machine where there are several.
            offices: The network that may call `/ra/v1`.
            others: Servers besides those of the configuration.
        """
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            if os.environ.get("CI"):
                pytest.fail("expected the package nginx-light")
            pytest.skip("nginx is not installed (apt install nginx-light)")
        self._program = program
        self.folder = folder
        self.log = folder / "imza.log"
        plain, secure = servers.free_port(), servers.free_port()
        self.address = f"http://127.0.0.1:{plain}"
        self.secure_address = f"https://127.0.0.1:{secure}"
        self.certificate = folder / "tls.pem"
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", folder / "tls.key", "-out", self.certificate, "-days", "2",
             "-subj", "/CN=TEST", "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, capture_output=True,
        )  # fmt: skip
        text = deployed(upstreams, servers_each=servers_each)
        values = {
            "sign.example.az": "127.0.0.1",
            "/etc/imza/tls/chain.pem": str(self.certificate),
            "/etc/imza/tls/key.pem": str(folder / "tls.key"),
            "192.0.2.0/24": offices,
        }
        text = PLACES.sub(lambda place: values[place.group(1)], text)
        text = re.sub(r"(?m)^ +listen \[::\].*\n", "", text)
        text = text.replace("listen 80 ", f"listen 127.0.0.1:{plain} ")
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{secure} ")
        text = text.replace("/var/cache/nginx/", f"{folder}/cache-")
        text = text.replace("/var/log/nginx/", f"{folder}/")
        (folder / "imza.conf").write_text(text + others)
        (folder / "nginx.conf").write_text(_main(folder))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def errors(self) -> str:
        return (self.folder / "error.log").read_text(errors="replace")

    def start(self) -> None:
        """Start and return when the port answers."""
        self._process = subprocess.Popen(
            [self._program, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"),
             "-e", str(self.folder / "error.log")],
        )  # fmt: skip
        port = int(self.address.rpartition(":")[2])
        deadline = time.monotonic() + LIMIT_S
        while not servers.answers(port):
            assert self._process.poll() is None, self.errors
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop at once."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(LIMIT_S)

    def cache_statuses(self) -> list[str]:
        """The `$upstream_cache_status` of each request, in order; `-` where nothing is cached."""
        # The log is written once a second.
        time.sleep(1.2)
        return re.findall(r"(?m) cache=(\S+) ", self.log.read_text())

    def forget_log(self) -> None:
        """Begin to count anew."""
        time.sleep(1.2)
        os.truncate(self.log, 0)


def deployed(
    upstreams: Mapping[str, Sequence[str]], *, servers_each: str = "max_fails=3 fail_timeout=5s"
) -> str:
    """The deployed file with other machines; one machine stays there as often as it was."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    for zone, machines in upstreams.items():
        block = re.compile(
            rf"(?ms)(^upstream imza_{zone}(?:_again)? {{.*?)((?:^    server [^\n]*\n)+)"
        )
        assert block.search(text) is not None, zone

        def lines(found: "re.Match[str]", machines: Sequence[str] = machines) -> str:
            if len(machines) == 1:
                each = re.sub(r"server \S+?([ ;])", rf"server {machines[0]}\1", found.group(2))
            else:
                each = "".join(f"    server {one} {servers_each};\n" for one in machines)
            return found.group(1) + each

        text = block.sub(lines, text)
    return text


@contextlib.contextmanager
def running(
    folder: pathlib.Path, upstreams: Mapping[str, Sequence[str]], **options: str
) -> Iterator[Nginx]:
    """Run nginx before zones, until the end of the block."""
    made = Nginx(folder, upstreams, **options)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def _main(folder: pathlib.Path) -> str:
    # Debian's own file, as far as it matters here; root's folders are for root alone.
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "\n".join(
        f"    {one}_temp_path {folder}/{one};"
        for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
http {{
{temporary}
    include {folder}/imza.conf;
}}
"""
