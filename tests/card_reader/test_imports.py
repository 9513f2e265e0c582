"""The component on a citizen's computer installs without the server."""

import subprocess
import sys


def test_the_component_loads_nothing_of_the_server() -> None:
    program = (
        "import importlib, pkgutil, sys, card_reader\n"
        "for one in pkgutil.walk_packages(card_reader.__path__, 'card_reader.'):\n"
        "    importlib.import_module(one.name)\n"
        "server = {'fastapi', 'sqlalchemy', 'pyhanko', 'pki.database', 'pki.registry',"
        " 'pki.audit', 'pki.web'}\n"
        "print(len([one for one in sys.modules if one.startswith('card_reader.')]))\n"
        "print(*sorted(server & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded, server = done.stdout.split("\n")[:2]
    assert int(loaded) > 12
    assert server == ""
