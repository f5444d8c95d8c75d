"""An application with one page, and requests to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_caching import Cache


class Paged:
    """An application whose path ``/page`` is a page.

    :param view: the view; it is given the number of its run.
    :param settings: the configuration beside ``CACHE_TYPE``.
    :param options: those of the page.
    """

    def __init__(
        self,
        view: Callable[[int], Any] | None = None,
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.runs = 0
        self.app = app = Flask("paged")
        app.secret_key = "secret"
        app.config.update({"CACHE_TYPE": "SimpleCache", **(settings or {})})
        self.cache = Cache(app)

        def page() -> Any:
            self.runs += 1
            return f"run {self.runs}" if view is None else view(self.runs)

        options.setdefault("timeout", 60)
        app.add_url_rule("/page", view_func=self.cache.page(**options)(page))
        self.client = app.test_client(use_cookies=False)

    def get(self, path: str = "/page", **kwargs: Any) -> Any:
        """The answer to a GET."""
        return self.client.get(path, **kwargs)

    def status(self, **kwargs: Any) -> str:
        """What ``Cache-Status`` says of a GET."""
        said: str = self.get(**kwargs).headers["Cache-Status"]
        return said

    def is_stored(self, **kwargs: Any) -> bool:
        """Whether the second of two equal requests is answered from the cache."""
        self.get(**kwargs)
        before = self.runs
        self.get(**kwargs)
        return self.runs == before
