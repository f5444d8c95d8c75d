"""What does a hit on a template fragment cost?"""

from __future__ import annotations

import functools

from flask import Flask
from question import Question, Statement, make


@functools.cache
def application() -> Flask:
    return make()[0]


def rendering(source: str) -> Statement:
    app = application()
    app.test_request_context("/").push()
    template = app.jinja_env.from_string(source)
    return Statement("template.render(user='ada')", {"template": template})


def fragment() -> Statement:
    return rendering("{% cache 300, 'menu', user %}<ul>…</ul>{% endcache %}")


def template_alone() -> Statement:
    """The rendering that a fragment's hit is part of, with the same variable looked up."""
    return rendering("<ul>…</ul>{% if user %}{% endif %}")


QUESTIONS = [
    Question("template fragment hit", fragment, ratio=8, without=template_alone),
    Question("template with a fragment, whole", fragment),
]
