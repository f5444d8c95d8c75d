"""Where a ``Cache`` is used: for which application, with which backend and settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, cast

from cachelib.serializers import BaseSerializer
from flask import Flask

from .._shown import is_of_the_moment, of_the_moment
from ..backends.simplecache import SimpleCache
from ..errors import CacheNotInitializedError
from ..requests.context import active_context, is_debugged, name_of
from .proxies import Proxies
from .state import AppState, AppStates

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["Places"]


class _NoApp:
    """Stands in for ``Cache.app`` until that is set: an instance's attribute goes before it.

    With a ``__getattr__`` every attribute of a cache, its methods too, would cost a multiple.
    """

    def __get__(self, cache: Places | None, owner: type) -> Any:
        if cache is None:
            return self
        raise CacheNotInitializedError(
            "This Cache is not set up for an application yet: make it with Cache(app), or call "
            "cache.init_app(app)"
        )


class Places(Proxies):
    """The applications of a :class:`~flask_caching.Cache`, and what applies there."""

    #: The application of the last :meth:`init_app`, used where no application context is active.
    app: Flask = cast("Flask", _NoApp())
    #: What was set in place of the configured values, until the next :meth:`init_app`.
    _hash_method: Callable[..., Any] | None = None
    _source_check: bool | None = None
    _enable_signals: bool = False
    _serializer: BaseSerializer | None = None

    def _set_up_places(self) -> None:
        self._states = AppStates()

    def _add_place(self, app: Flask, state: AppState, backend: Any) -> None:
        """Use ``backend`` for an application, with its settings from now on."""
        self._states.add(app, state)
        self._hash_method = self._source_check = self._serializer = None
        self._enable_signals = False
        self._flags.forget()
        if state.enable_signals:
            self._flags.watch()
        if not hasattr(app, "extensions"):
            app.extensions = {}
        app.extensions.setdefault("cache", {})[self] = backend

    @of_the_moment
    def __repr__(self) -> str:
        """Its application and its backend; no password."""
        name = type(self).__name__
        try:
            state, backend = self._own_place()
        except (AttributeError, LookupError):
            return f"<{name} of no application>"
        shown = repr(backend) if is_of_the_moment(type(backend)) else type(backend).__name__
        return f"<{name} of {name_of(state.app())!r}: {shown.strip('<>')}>"

    def _share_places(self, other: Self) -> None:
        """Use ``other``, which is new, for the same applications, with the same backends."""
        own = set(vars(other))
        for state in self._states:
            app = state.app()
            if app is not None:
                other._add_place(
                    app, state.for_cache(cast("Cache", other)), app.extensions["cache"][self]
                )
        for name, value in vars(self).items():
            # What was set since it was made, and what a subclass has put there.
            if name not in own:
                setattr(other, name, value)

    # Which application.

    def _place(self) -> tuple[AppState, Any]:
        """The state and the backend of the active application.

        :raises CacheNotInitializedError: the cache is not set up for it.
        """
        state, backend = self._own_place()
        return state, (self.cache if self._chooses_backend else backend)

    def _own_place(self) -> tuple[AppState, Any]:
        """The state and the backend of the active application, where no subclass has a say."""
        context = active_context(None)
        app: Flask = self.app if context is None else context.app
        try:
            return self._states[app], app.extensions["cache"][self]
        except KeyError:
            error = CacheNotInitializedError(
                f"This Cache is not set up for the application {name_of(app)!r}: call "
                "cache.init_app(app) for it, too"
            )
            error.debug = is_debugged(app)
            raise error from None

    @property
    def cache(self) -> SimpleCache:
        """The backend of the active application, otherwise of the one last set up.

        Its type is that of the commonest backend, so that type checkers know the interface.

        :raises CacheNotInitializedError: the cache is not set up for the active application.
        """
        return cast("SimpleCache", self._own_place()[1])

    # What applies there.

    def _settings(self) -> AppState | None:
        """The settings of the active application; None before the first :meth:`init_app`."""
        return self._place()[0] if any(self._states) else None

    @property
    def hash_method(self) -> Callable[..., Any]:
        """The hash constructor for keys; setting it replaces ``CACHE_HASH_METHOD``.

        None before :meth:`init_app`, which sets it.
        """
        state = self._settings()
        if state is not None:
            return self._hash_method_of(state)
        return cast("Callable[..., Any]", self._hash_method)

    @hash_method.setter
    def hash_method(self, hash_method: Callable[..., Any]) -> None:
        self._hash_method = hash_method
        self._flags.forget()

    @property
    def source_check(self) -> bool:
        """Whether keys include the source; setting it replaces ``CACHE_SOURCE_CHECK``.

        None before :meth:`init_app`, which sets it.
        """
        state = self._settings()
        return cast("bool", self._source_check) if state is None else self._source_check_of(state)

    @source_check.setter
    def source_check(self, source_check: bool) -> None:
        self._source_check = bool(source_check)
        self._flags.forget()

    @property
    def enable_signals(self) -> bool:
        """Whether signals are sent; setting it replaces ``CACHE_ENABLE_SIGNALS``.

        :meth:`init_app` sets it.
        """
        state = self._settings()
        return self._enable_signals if state is None else state.enable_signals

    @enable_signals.setter
    def enable_signals(self, enable_signals: bool) -> None:
        self._enable_signals = bool(enable_signals)
        for state in self._states:
            state.enable_signals = bool(enable_signals)
        if enable_signals:
            self._flags.watch()
        self._flags.forget()

    @property
    def serializer(self) -> BaseSerializer | None:
        """The serializer that ``CACHE_SERIALIZER`` describes; None: the backend's own is used.

        :meth:`init_app` sets it. To set it changes what is read here, not what the backend uses.
        """
        state = self._settings()
        return (
            state.serializer if state is not None and self._serializer is None else self._serializer
        )

    @serializer.setter
    def serializer(self, serializer: BaseSerializer | None) -> None:
        self._serializer = serializer

    def _hash_method_of(self, state: AppState) -> Callable[..., Any]:
        return self._hash_method or state.hash_method

    def _source_check_of(self, state: AppState) -> bool:
        return bool(state.source_check if self._source_check is None else self._source_check)
