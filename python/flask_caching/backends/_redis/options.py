"""What ``CACHE_OPTIONS`` and ``CACHE_REDIS_URL`` say about connections, in redis-py's words.

Each option is honoured or refused with a message; none is ignored.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from ..._warn import warn
from ...errors import CacheConfigError
from ...mistakes import close_to
from .._settings import addresses
from .._settings.addresses import RedisUrl, secret_text
from ..spec import as_flag, as_number

__all__ = ["ONLY_REDIS_PY", "OWN_NAMES", "RedisOptions", "parse_url"]

#: Seconds to connect in, and for one operation as a whole, where nothing else is said.
DEFAULT_DEADLINE = 1.0
#: Failures in a row after which a server is left alone, and for how many seconds.
DEFAULT_BREAKER_FAILURES = 3
DEFAULT_BREAKER_RESET = 1.0

#: Options of redis-py that are about redis-py itself, or hold objects of it: where it is installed,
#: it does the work of a cache that has one (see ``by_redis_py.py``).
ONLY_REDIS_PY = frozenset(
    {
        "address_remap",
        "cache",
        "cache_config",
        "cluster_error_retry_attempts",
        "connection_class",
        "connection_pool",
        "driver_info",
        "dynamic_startup_nodes",
        "event_dispatcher",
        "force_master_ip",
        "legacy_responses",
        "lib_name",
        "lib_version",
        "load_balancing_strategy",
        "maint_notifications_config",
        "oss_cluster_maint_notifications_handler",
        "policy_resolver",
        "redis_connect_func",
        "reinitialize_steps",
        "retry",
        "retry_on_error",
        "socket_read_size",
        "ssl_ciphers",
        "ssl_exclude_verify_flags",
        "ssl_include_verify_flags",
        "ssl_ocsp_context",
        "ssl_ocsp_expected_cert",
        "ssl_password",
        "ssl_validate_ocsp",
        "ssl_validate_ocsp_stapled",
        "startup_nodes",
    }
)

#: In the place of a value that leaves things as they are.
_AS_IT_IS: Any = object()


class RedisOptions:
    """The options of connections, checked.

    :param options: the options by redis-py's names, or our own for deadlines and breaker:
        ``connect_timeout``, ``operation_timeout``, ``breaker_failures``, ``breaker_reset``.
    :param source: how messages call the place the options come from.
    :param url: what a URL says beside them, and before them; messages show nothing of it.
    :raises CacheConfigError: one is unknown, is not offered, or has a value of the wrong kind.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        source: str = "CACHE_OPTIONS",
        url: RedisUrl | None = None,
    ) -> None:
        self._source = source
        self._url = url
        if url is not None:
            options = {**options, **url.options}
        #: These options as redis-py takes them, for ``_write_client`` and ``_read_client``.
        self.for_redis_py: dict[str, Any] = {}
        #: What the engine takes; see ``RedisServers`` in ``_engine.pyi``.
        self.connection: dict[str, Any] = {
            "username": None,
            "password": None,
            "credential_provider": None,
            "db": 0,
            "tls": None,
            "keepalive": {"idle": None, "interval": None, "count": None},
            "resp3": False,
            "client_name": None,
            "health_check_interval": None,
            "max_connections": None,
            "retry_on_timeout": False,
            "connect_timeout": DEFAULT_DEADLINE,
            "operation_timeout": DEFAULT_DEADLINE,
            "breaker_failures": DEFAULT_BREAKER_FAILURES,
            "breaker_reset": DEFAULT_BREAKER_RESET,
        }
        #: What is made of more than one option.
        self._parts: dict[str, Any] = {
            "unix_socket_path": None,
            "has_keepalive": True,
            "has_tls": False,
            "verifies": True,
            "checks_hostname": True,
            "ca_file": [],
            "ca_path": [],
            "ca_data": None,
            "certificate": None,
            "key": None,
            "only_tls13": False,
        }
        # Our own first: an option by redis-py's name is the more particular.
        for name in sorted(options, key=lambda name: name not in _OWN):
            self._take(name, options[name])
        self.for_redis_py.setdefault("socket_timeout", self.connection["operation_timeout"])
        self.for_redis_py.setdefault("socket_connect_timeout", self.connection["connect_timeout"])
        self.unix_socket_path: str | None = self._parts["unix_socket_path"]
        if not self._parts["has_keepalive"]:
            self.connection["keepalive"] = None
        if self.connection["credential_provider"] and self._has_login():
            raise CacheConfigError(
                f"{source}: 'credential_provider' says who logs in, and so do the user name or the "
                "password beside it (CACHE_REDIS_PASSWORD, CACHE_REDIS_URL): leave out one of them"
            )
        if self._parts["has_tls"]:
            self.connection["tls"] = self._tls()

    def _tls(self) -> dict[str, Any]:
        parts = self._parts
        if parts["key"] is not None and parts["certificate"] is None:
            raise CacheConfigError(f"{self._source}: 'ssl_keyfile' needs 'ssl_certfile' beside it")
        kind = "full" if parts["checks_hostname"] else "chain"
        return {
            "ca_files": parts["ca_file"] + parts["ca_path"],
            "verification": kind if parts["verifies"] else "none",
            **{name: parts[name] for name in ("ca_data", "certificate", "key", "only_tls13")},
        }

    def _take(self, name: str, value: Any) -> None:
        where, read = _OWN.get(name) or _KNOWN.get(name) or ("", None)
        in_url = self._url is not None and name in self._url.options
        if read is None:
            raise CacheConfigError(self._unknown(name, in_url))
        problem, taken = None, _AS_IT_IS
        try:
            taken = read(value)
        except (TypeError, ValueError) as error:
            # Raised from here, the exception below would have this one, and the value in it, as
            # its context.
            problem = str(error)
        if problem is not None:
            shown = f", not {value!r}" if name in _SHOWN and not in_url else ""
            raise CacheConfigError(f"{self._source}: {name!r} must be {problem}{shown}")
        if name in _NOT_USED:
            if taken:
                why = f"{name}={value!r} is not used, as {_NOT_USED[name]}"
                warn(f"{self._source}: {why}", UserWarning)
            return
        if taken is not _AS_IT_IS:
            (self.connection if where in self.connection else self._parts)[where] = taken
        if name in _KNOWN:
            self.for_redis_py[name] = value

    def _unknown(self, name: str, in_url: bool) -> str:
        if name in ONLY_REDIS_PY:
            return (
                f"{self._source}: {name!r} is an option of redis-py, which is not installed: pip "
                f"install redis, or leave it out. Options here: {', '.join(sorted(_KNOWN))}"
            )
        known = f"Options: {', '.join(sorted(_KNOWN))}"
        if in_url and self._url and self._url.hidden:
            return f"{self._source}: there is no such option. {known}"
        meant = close_to(name, _KNOWN)
        hint = f"Did you mean {meant!r}? " if meant else ""
        return f"{self._source}: there is no option {name!r}. {hint}{known}"

    def _has_login(self) -> bool:
        return bool(self.connection["username"] or self.connection["password"])


def parse_url(url: str) -> RedisUrl:
    """What a Redis URL says of the place of the server, and of the options here.

    :raises CacheConfigError: it is no Redis URL; the message shows nothing of it.
    """
    return addresses.parse_url(url, _KNOWN, _from_text)


def _from_text(name: str, text: str) -> Any:
    """The value that the text of an option in a URL stands for; the text, where it is none."""
    try:
        if name in _FLAGS:
            return _flag(text)
        if name in _NUMBERS:
            number = float(text)
            return int(number) if number == int(number) else number
    except (ValueError, OverflowError):
        # Refused with the other options, by the same words.
        return text
    return text


def _number(value: Any, words: str, whole: bool = False, least: float = 0) -> float:
    """``value`` as a number that is not below ``least``; text of one is one (as in a URL)."""
    number = as_number(value)
    if isinstance(value, bool) or not isinstance(number, (int, float)):
        raise ValueError(words)
    if number != number or number < least or (whole and not isinstance(number, int)):
        raise ValueError(words)
    return number


def _flag(value: Any) -> bool:
    flag = as_flag(value)
    if not isinstance(flag, bool | None):
        raise ValueError("True or False")
    return bool(flag)


def _seconds(value: Any) -> Any:
    if value is None:
        # redis-py then waits for ever; here there is always a deadline.
        return _AS_IT_IS
    seconds = _number(value, "a positive number of seconds")
    if seconds <= 0 or seconds == float("inf"):
        raise ValueError("a positive number of seconds")
    return seconds


def _text(value: Any) -> str | None:
    try:
        return secret_text(value, "")
    except CacheConfigError:
        raise ValueError("a string, or bytes of UTF-8") from None


def _path(value: Any) -> Any:
    """The path of a file. What is in the file, given in its place, would end in messages."""
    path = None if value is None else os.fspath(value)
    if path and "\n" in os.fsdecode(path):
        raise ValueError("the path of a file, not its contents")
    return path


def _ca_file(value: Any) -> Any:
    return [] if value is None else [_path(value)]


def _ca_path(value: Any) -> Any:
    """The files of a directory."""
    if value is None:
        return []
    folder = os.fspath(value)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ValueError(f"a directory of certificates ({error.strerror})") from error
    files = [os.path.join(folder, name) for name in names]
    return [file for file in files if os.path.isfile(file)]


def _ca_data(value: Any) -> str | None:
    try:
        data = value.decode("ascii") if isinstance(value, bytes) else value
    except UnicodeError:
        data = b""
    if not isinstance(data, str | None):
        raise TypeError("certificates as text")
    return data


def _verifies(value: Any) -> bool:
    if value in ("none", "None", ssl.CERT_NONE):
        return False
    if value not in (None, "required", "optional", ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL):
        raise ValueError("'none', 'optional' or 'required'")
    # A server always sends its certificate, so optional is required.
    return value is not None


def _only_tls13(value: Any) -> Any:
    if value is None:
        return _AS_IT_IS
    version = int(_number(value, "ssl.TLSVersion.TLSv1_2 or TLSv1_3", whole=True))
    if version not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        raise ValueError("ssl.TLSVersion.TLSv1_2 or TLSv1_3; older ones are not spoken")
    return version == ssl.TLSVersion.TLSv1_3


def _credential_provider(value: Any) -> Any:
    if value is not None and not callable(getattr(value, "get_credentials", None)):
        raise ValueError(
            "an object with a method get_credentials() that returns (password,) or "
            "(username, password)"
        )
    return value


def _database(value: Any) -> int:
    return int(_number(value or 0, "the number of a database", whole=True))


def _max_connections(value: Any) -> Any:
    if value is None:
        return _AS_IT_IS
    return int(_number(value, "a number of connections, 1 or more", whole=True, least=1))


def _keepalive_options(value: Any) -> Any:
    if not value:
        return _AS_IT_IS
    settings: dict[str, Any] = {"idle": None, "interval": None, "count": None}
    for option, setting in dict(value).items():
        name = _KEEPALIVE.get(option)
        if name is None:
            raise ValueError("a dict of socket.TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT")
        settings[name] = setting if name == "count" else float(setting)
    return settings


def _resp3(value: Any) -> bool:
    if value is not None and str(value) not in ("2", "3"):
        raise ValueError("2 or 3")
    return str(value) == "3"


def _interval(value: Any) -> float | None:
    return _number(value or 0, "a number of seconds; 0: never") or None


def _no_decoding(value: Any) -> Any:
    if (value.lower() if isinstance(value, str) else value) not in (None, False, "false", "0"):
        raise ValueError("False: what is stored is bytes, not text")
    return _AS_IT_IS


def _unusual(*usual: Any) -> Callable[[Any], bool]:
    return lambda value: (value.lower() if isinstance(value, str) else value) not in usual


#: Options that are not text, for those who write them into a URL.
_NUMBERS = frozenset(
    {
        "db",
        "health_check_interval",
        "max_connections",
        "protocol",
        "socket_connect_timeout",
        "socket_timeout",
        "ssl_min_version",
    }
)
_FLAGS = frozenset(
    {
        "decode_responses",
        "retry_on_timeout",
        "single_connection_client",
        "socket_keepalive",
        "ssl",
        "ssl_check_hostname",
    }
)

_KEEPALIVE = {
    getattr(socket, "TCP_KEEPIDLE", None): "idle",
    getattr(socket, "TCP_KEEPINTVL", None): "interval",
    getattr(socket, "TCP_KEEPCNT", None): "count",
}

#: Options by our own names: what they fill, and what reads their values. A reader raises a
#: ``TypeError`` or ``ValueError`` that says what the value must be.
_OWN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "connect_timeout": ("connect_timeout", _seconds),
    "operation_timeout": ("operation_timeout", _seconds),
    "breaker_failures": (
        "breaker_failures",
        lambda value: int(_number(value, "a whole number", whole=True)),
    ),
    "breaker_reset": ("breaker_reset", _seconds),
}

#: What redis-py does not know.
OWN_NAMES = frozenset(_OWN)

#: Options by redis-py's names, likewise.
_KNOWN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "username": ("username", _text),
    "password": ("password", _text),
    "credential_provider": ("credential_provider", _credential_provider),
    "db": ("db", _database),
    "client_name": ("client_name", _text),
    "socket_timeout": ("operation_timeout", _seconds),
    "socket_connect_timeout": ("connect_timeout", _seconds),
    "socket_keepalive": ("has_keepalive", _flag),
    "socket_keepalive_options": ("keepalive", _keepalive_options),
    "unix_socket_path": ("unix_socket_path", lambda v: None if v is None else os.fspath(v)),
    "max_connections": ("max_connections", _max_connections),
    "single_connection_client": ("max_connections", lambda v: 1 if _flag(v) else _AS_IT_IS),
    "health_check_interval": ("health_check_interval", _interval),
    "retry_on_timeout": ("retry_on_timeout", _flag),
    "protocol": ("resp3", _resp3),
    "encoding": ("", _unusual(None, "utf-8", "utf8")),
    "encoding_errors": ("", _unusual(None, "strict")),
    "decode_responses": ("", _no_decoding),
    "ssl": ("has_tls", _flag),
    "ssl_keyfile": ("key", _path),
    "ssl_certfile": ("certificate", _path),
    "ssl_cert_reqs": ("verifies", _verifies),
    "ssl_ca_certs": ("ca_file", _ca_file),
    "ssl_ca_path": ("ca_path", _ca_path),
    "ssl_ca_data": ("ca_data", _ca_data),
    "ssl_check_hostname": ("checks_hostname", _flag),
    "ssl_min_version": ("only_tls13", _only_tls13),
}

#: Of these, those that change nothing here, and why.
_NOT_USED = {
    "encoding": "keys are always UTF-8, values are bytes",
    "encoding_errors": "any text can be a key",
}

#: Options whose values messages may show: they are no secrets.
_SHOWN = frozenset({*_NUMBERS, *_FLAGS, *_OWN, "encoding", "encoding_errors", "ssl_cert_reqs"})
