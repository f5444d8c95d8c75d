"""A second interpreter in the process, as mod_wsgi has them, is told what to set."""

import subprocess
import sys

import pytest

if sys.version_info >= (3, 13):
    LEGACY, ISOLATED = "interpreters.create('legacy')", "interpreters.create('isolated')"
    RUN = "import _interpreters as interpreters; run = interpreters.exec"
else:
    # Before 3.12 all of them share the lock of the main one.
    LEGACY, ISOLATED = "interpreters.create(isolated=False)", "interpreters.create(isolated=True)"
    RUN = "import _xxsubinterpreters as interpreters; run = interpreters.run_string"

PROGRAM = """
import sys
{run}
USE = '''
import sys
sys.path[:] = {path!r}
try:
    # Before Flask, which some of CPython 3.12 do not survive in an isolated interpreter.
    from flask_caching import Cache
    from flask import Flask
    app = Flask("app")
    cache = Cache(app, config={{"CACHE_TYPE": "SimpleCache"}})
    with app.app_context():
        cache.set("k", ["v"])
        print("works:", cache.get("k"), flush=True)
except ImportError as error:
    print(f"ImportError: {{error}}", flush=True)
'''
if {in_main}:
    exec(USE)
for interpreter in ({interpreters}):
    run(interpreter, USE)
"""

REFUSED = "ImportError: flask_caching works in one interpreter of a process"


def lines(*interpreters, in_main):
    program = PROGRAM.format(
        run=RUN,
        path=sys.path,
        in_main=in_main,
        interpreters="".join(f"{interpreter}, " for interpreter in interpreters),
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not run.returncode, run.stderr
    return run.stdout.splitlines()


def test_a_second_interpreter_is_refused_and_told_what_to_set():
    first, *others = lines(LEGACY, LEGACY, in_main=True)
    assert first == "works: ['v']"
    assert len(others) == 2
    for line in others:
        assert line.startswith(REFUSED)
        assert "WSGIApplicationGroup %{GLOBAL}" in line


def test_the_first_may_be_any():
    first, second = lines(LEGACY, LEGACY, in_main=False)
    assert first == "works: ['v']"
    assert second.startswith(REFUSED)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="none of them is isolated")
def test_an_interpreter_with_a_lock_of_its_own_is_told_the_same():
    [line] = lines(ISOLATED, in_main=False)
    assert line.startswith(REFUSED)
    assert "%{GLOBAL}" in line


def test_importing_again_in_one_interpreter_works():
    program = (
        "import sys, flask_caching\n"
        "first = flask_caching\n"
        "for name in [name for name in sys.modules if name.startswith('flask_caching')]:\n"
        "    if not name.endswith('_engine'): del sys.modules[name]\n"
        "import flask_caching\n"
        "print(flask_caching is not first, flask_caching.SimpleCache().set('k', 'v'))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.split() == ["True", "True"], run.stderr
