"""What is to be easily added, added: a policy that counts answers, a third guard on an entry."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from flask import Flask, request
from flask_caching import Cache
from flask_caching.calls.view import ViewOptions, ViewPolicy
from flask_caching.calls.wrapper import wrap

GUARDS = ("one_memver", "two_memver", "three_memver")


class Counting(ViewPolicy):
    """Counts answers, by endpoint."""

    def __init__(self, cache, f, options):
        super().__init__(cache, f, options)
        self.listens = True
        self.answers = Counter()

    def hear(self, event):
        self.answers[request.endpoint, event] += 1


class Guarded(ViewPolicy):
    """Its entries end with any of three versions."""

    def description(self, state, args, kwargs):
        described = super().description(state, args, kwargs)
        return described and replace(described, versions=GUARDS)


def setting_up(policy, kind, directory):
    app = Flask(__name__)
    config = {"CACHE_TYPE": kind}
    if kind != "SimpleCache":
        config["CACHE_DIR"] = str(directory)
    cache = Cache(app, config=config)
    calls = []

    def view():
        calls.append(request.path)
        return f"{request.path} {len(calls)}"

    wrapped = wrap(policy(cache, view, ViewOptions()), None)
    app.add_url_rule("/a", "a", wrapped)
    app.add_url_rule("/b", "b", wrapped)
    return app, cache, calls, wrapped._flask_caching_policy


@pytest.mark.parametrize("kind", ["SimpleCache", "FileSystemCache", "SharedCache"])
def test_a_policy_counts_answers_by_endpoint(kind, tmp_path):
    app, _, _, policy = setting_up(Counting, kind, tmp_path)
    client = app.test_client()
    for path in ("/a", "/b", "/a", "/a"):
        client.get(path)
    assert policy.answers == {("a", "misses"): 1, ("b", "misses"): 1, ("a", "hits"): 2}


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("kind", ["SimpleCache", "FileSystemCache", "SharedCache"])
def test_an_entry_ends_with_each_of_its_guards(kind, guard, tmp_path):
    app, cache, calls, _ = setting_up(Guarded, kind, tmp_path)
    client = app.test_client()
    texts = [client.get("/a").get_data(as_text=True) for _ in range(4)]
    assert texts == ["/a 1"] * 4
    with app.app_context():
        cache.delete(guard)
    assert [client.get("/a").get_data(as_text=True) for _ in range(4)] == ["/a 2"] * 4
    assert calls == ["/a"] * 2
