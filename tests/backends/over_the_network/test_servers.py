"""The servers of these tests: what one test process was given, no other gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import servers
from servers import _claim, free_port

FOLDER = Path(servers.__file__).parent


def test_a_port_belongs_to_one_process_until_it_ends() -> None:
    claim = "import servers, sys; claim = servers._claim(int(sys.argv[1]))"
    command = [sys.executable, "-c", claim, str(free_port())]
    taken = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
    assert "Address already in use" in taken.stderr
    port = subprocess.check_output(
        [sys.executable, "-c", "import servers; print(servers.free_port())"], cwd=FOLDER
    )
    _claim(int(port)).close()
