"""A worker process: times statements with the packages of its interpreter.

An order is a JSON object on a line of stdin, see `answer`; each is answered on stdout.
"""

from __future__ import annotations

import json
import os
import sys
import timeit
import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from question import COMPARISON, GROWTH, Question, Statement, load
from stores.bench_growth import bytes_per_entry

_statements: dict[tuple[str, str | None], timeit.Timer] = {}


def _timer(questions: list[Question], text: str, peer: str | None) -> timeit.Timer:
    key = (text, peer)
    if key not in _statements:
        question = next(q for q in questions if q.text == text)
        statement: Statement = question.builds()[peer]()
        _statements[key] = timeit.Timer(statement.code, globals=statement.names)
        _statements[key].timeit(1)  # the first call fills the cache
    return _statements[key]


def _package() -> str:
    for name in ("flask-caching-rs", "Flask-Caching"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    raise SystemExit("neither flask-caching-rs nor Flask-Caching is installed here")


def _hide_what_pylibmc_ignores(unraisable: Any) -> None:
    """Print what cannot be raised, but for what pylibmc's clients leave on newer Pythons."""
    if "PyMapping_HasKeyString" not in (unraisable.err_msg or ""):
        sys.__unraisablehook__(unraisable)


def answer(questions: list[Question], order: dict[str, Any]) -> dict[str, Any]:
    """Carry out one order: name the package, look for a module, time, weigh, forget."""
    match order["do"]:
        case "name":
            return {"package": _package()}
        case "has":
            return {"has": find_spec(order["module"]) is not None}
        case "forget":
            _statements.clear()
            return {}
        case "weigh":
            return {"bytes": bytes_per_entry()}
        case "time":
            timer = _timer(questions, order["question"], order.get("peer"))
            return {"seconds": timer.timeit(order["number"])}
        case other:
            raise ValueError(f"no such order: {other}")


def main() -> None:
    """Answer orders until stdin ends."""
    warnings.simplefilter("ignore")  # of either package; the table is what is asked for
    sys.unraisablehook = _hide_what_pylibmc_ignores
    os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
    out, sys.stdout = sys.stdout, sys.stderr  # what a benchmark prints is no answer
    questions = load(COMPARISON + GROWTH)
    for line in sys.stdin:
        print(json.dumps(answer(questions, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
