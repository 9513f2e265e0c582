import os
import signal
import subprocess
import sys

import pytest

from pki import errors, failpoints


def run(program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", f"from pki import failpoints\n{program}"],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, **environment},
    )


def test_an_armed_failpoint_kills_the_process() -> None:
    done = run(
        "failpoints.reach('intent'); failpoints.arm('intent'); failpoints.reach('sign');"
        "print('alive', flush=True); failpoints.reach('intent'); print('unreached')"
    )
    assert done.stdout == "alive\n"
    assert done.returncode == -signal.SIGKILL


def test_a_failpoint_of_the_environment_kills_at_the_arrival_that_it_names() -> None:
    program = (
        "failpoints.arm_from_environment(allowed=True)\n"
        "for n in range(1, 9): print(n, flush=True); failpoints.reach('sign')"
    )
    assert run(program).returncode == 0
    done = run(program, IMZA_FAILPOINT="sign:3")
    assert (done.stdout, done.returncode) == ("1\n2\n3\n", -signal.SIGKILL)
    assert run(program, IMZA_FAILPOINT="sign").stdout == "1\n"


def test_an_installation_that_is_not_for_tests_refuses_to_start_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)
    failpoints.arm_from_environment(allowed=False)
    for value in ("sign", "", "made-up"):
        monkeypatch.setenv(failpoints.VARIABLE, value)
        with pytest.raises(failpoints.FailpointRefusedError, match="unset it"):
            failpoints.arm_from_environment(allowed=False)


@pytest.mark.parametrize("value", ["made-up", "", "sign:", "sign:0", "sign:-1", "sign:x", ":1"])
def test_a_failpoint_that_does_not_exist_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(failpoints.VARIABLE, value)
    with pytest.raises(errors.InputError):
        failpoints.arm_from_environment(allowed=True)
