"""A CA zone as a process of its own, and the commands of its operators."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import tomli_w

from imza import config as configs
from imza import installation, sandbox_operators
from imza.wiring import founding, resources
from pki import clock
from tests.support import servers

LIMIT_S = 90
IMZA = [sys.executable, "-m", "imza"]
FAKETIME = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


READY = "imza ca serves at"


class Office:
    """The CA zone as a process, and the commands of its operators."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{servers.free_port()}"
        self.world = installation.Installation(folder / "w")
        self.world.lay_out(installation.Addresses.together(self.url))
        self.path = self.world.config_path("ca")
        config = configs.read(self.path)
        with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
            made = founding.initialise(opened, config)
            installation.write_certificates(made, self.world.folder)
            sandbox_operators.enrol(opened, config, self.world.operators_folder, self.url)
        self.operators = self.world.operators_folder / sandbox_operators.FILE_NAME

    def change(self, **sections: object) -> None:
        content = tomllib.loads(self.path.read_text(encoding="utf-8"))
        self.path.write_text(tomli_w.dumps({**content, **sections}), encoding="utf-8")

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Serve the CA under a clock that `move_clock` moves."""
        self.move_clock(0)
        environment = {
            **os.environ,
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "offset"),
            "FAKETIME_NO_CACHE": "1",
            # Waiting is done by the steady clock.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        log = self.folder / "ca.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*IMZA, "serve", "ca", "--config", str(self.path)], stderr=output, env=environment
            )
        # The duties' times are counted from then on, and not before.
        started = log.read_text(errors="replace").count(READY)
        try:
            await_that(lambda: log.read_text(errors="replace").count(READY) > started, log)
            yield
        finally:
            process.terminate()
            process.wait(LIMIT_S)

    def move_clock(self, days: int) -> None:
        temporary = self.folder / "offset.new"
        temporary.write_text(f"+{days}d\n")
        temporary.rename(self.folder / "offset")

    def imza(self, *arguments: str, expect: int = 0) -> Any:
        """Run `imza ca … --json` and return what it prints."""
        done = subprocess.run(
            [*IMZA, "ca", *arguments, "--json"],
            capture_output=True, text=True, timeout=LIMIT_S, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return json.loads(done.stdout)

    def call(self, operator: str, *arguments: str, expect: int = 0) -> Any:
        return self.imza(
            *arguments, "--operator", str(self.operators), "--as", operator, expect=expect
        )

    def named(self, role: str) -> list[str]:
        known = json.loads(self.operators.read_text(encoding="utf-8"))["operators"]
        return [one["name"] for one in known if one["role"] == role]


def await_that(holds: Callable[[], bool], log: pathlib.Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.1)
