import signal
import subprocess
import sys

import pytest

from pki import errors, failpoints


def test_an_armed_failpoint_kills_the_process() -> None:
    program = (
        "from pki import failpoints; failpoints.reach('intent-recorded');"
        "failpoints.arm('intent-recorded'); failpoints.reach('document-embedded');"
        "print('alive', flush=True); failpoints.reach('intent-recorded'); print('unreached')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.stdout == b"alive\n"
    assert done.returncode == -signal.SIGKILL


def test_a_failpoint_that_does_not_exist_is_refused() -> None:
    with pytest.raises(errors.InputError, match="made-up"):
        failpoints.arm("made-up")
