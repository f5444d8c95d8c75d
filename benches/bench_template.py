"""What does a hit on a template fragment cost?"""

from __future__ import annotations

from question import Question, Statement, make


def fragment() -> Statement:
    app, _ = make()
    app.test_request_context("/").push()
    template = app.jinja_env.from_string("{% cache 300, 'menu', user %}<ul>…</ul>{% endcache %}")
    return Statement("template.render(user='ada')", {"template": template})


QUESTIONS = [Question("template fragment hit", fragment, ratio=8)]
