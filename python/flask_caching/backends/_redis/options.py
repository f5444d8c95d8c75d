"""What ``CACHE_OPTIONS`` and ``CACHE_REDIS_URL`` say about connections, in redis-py's words.

Each option is honoured or refused with a message; none is ignored.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ...errors import CacheConfigError

__all__ = ["Options", "parse_url"]

#: Seconds to connect in, and for one operation as a whole, where nothing else is said.
DEFAULT_DEADLINE = 1.0
#: Failures in a row after which a server is left alone, and for how many seconds.
DEFAULT_BREAKER_FAILURES = 3
DEFAULT_BREAKER_RESET = 1.0

#: Options of redis-py that are about redis-py itself, or hold objects of it.
_ONLY_REDIS_PY = frozenset(
    {
        "address_remap",
        "cache",
        "cache_config",
        "cluster_error_retry_attempts",
        "connection_class",
        "connection_pool",
        "credential_provider",
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


class Options:
    """The options of connections, checked.

    :param options: the options by redis-py's names, or our own for deadlines and breaker:
        ``connect_timeout``, ``operation_timeout``, ``breaker_failures``, ``breaker_reset``.
    :param source: how messages call the place the options come from.
    :raises CacheConfigError: one is unknown, is not offered, or has a value of the wrong kind.
    """

    def __init__(self, options: Mapping[str, Any], source: str = "CACHE_OPTIONS") -> None:
        self._source = source
        self.unix_socket_path: str | None = None
        #: The same options for redis-py, for ``_write_client`` and ``_read_client``.
        self.for_redis_py: dict[str, Any] = {}
        #: What the engine takes; see ``RedisServers`` in ``_engine.pyi``.
        self.connection: dict[str, Any] = {
            "username": None,
            "password": None,
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
        self._tls: dict[str, Any] = {
            "ca_files": [],
            "ca_data": None,
            "certificate": None,
            "key": None,
            "verification": "full",
            "only_tls13": False,
        }
        self._check_hostname = True
        self._verify = True
        self._ssl = False
        # Our own first: an option by redis-py's name is the more particular.
        for name in sorted(options, key=lambda name: name not in _OWN):
            self._take(name, options[name])
        self.for_redis_py.setdefault("socket_timeout", self.connection["operation_timeout"])
        self.for_redis_py.setdefault("socket_connect_timeout", self.connection["connect_timeout"])
        if self._ssl:
            if self._tls["key"] is not None and self._tls["certificate"] is None:
                raise CacheConfigError(f"{source}: 'ssl_keyfile' needs 'ssl_certfile' beside it")
            if not self._verify:
                self._tls["verification"] = "none"
            elif not self._check_hostname:
                self._tls["verification"] = "chain"
            self.connection["tls"] = self._tls

    def _take(self, name: str, value: Any) -> None:
        take = _OWN.get(name) or _KNOWN.get(name)
        if take is None:
            if name in _ONLY_REDIS_PY:
                raise CacheConfigError(
                    f"{self._source}: {name!r} is an option of redis-py that is not offered here. "
                    "To use it, make a redis-py client with it and put the client into "
                    f"CACHE_REDIS_HOST. Options here: {', '.join(sorted(_KNOWN))}"
                )
            raise CacheConfigError(
                f"{self._source}: there is no option {name!r}. Options: {', '.join(sorted(_KNOWN))}"
            )
        try:
            take(self, value)
        except (TypeError, ValueError) as error:
            # A password in a message would end in a log.
            shown = "" if "password" in name else f", not {value!r}"
            raise CacheConfigError(f"{self._source}: {name!r} must be {error}{shown}") from error
        if name in _KNOWN:
            self.for_redis_py[name] = value

    def _put(self, name: str, value: Any) -> None:
        self.connection[name] = value

    def _take_database(self, value: Any) -> None:
        self._put("db", int(_number(value or 0, "the number of a database", whole=True)))

    def _take_unix_socket(self, value: Any) -> None:
        self.unix_socket_path = None if value is None else os.fspath(value)

    def _take_keepalive(self, value: Any) -> None:
        self._put("keepalive", self.connection["keepalive"] or {} if _flag(value) else None)

    def _take_keepalive_options(self, value: Any) -> None:
        if not value:
            return
        settings: dict[str, Any] = {"idle": None, "interval": None, "count": None}
        for option, setting in dict(value).items():
            name = _KEEPALIVE.get(option)
            if name is None:
                raise ValueError("a dict of socket.TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT")
            settings[name] = setting if name == "count" else float(setting)
        self._put("keepalive", settings)

    def _take_single_connection(self, value: Any) -> None:
        if _flag(value):
            self._put("max_connections", 1)

    def _take_max_connections(self, value: Any) -> None:
        if value is not None:
            most = int(_number(value, "a number of connections, 1 or more", whole=True, least=1))
            self._put("max_connections", most)

    def _take_protocol(self, value: Any) -> None:
        if value is not None and str(value) not in ("2", "3"):
            raise ValueError("2 or 3")
        self._put("resp3", str(value) == "3")

    def _take_health_check_interval(self, value: Any) -> None:
        interval = _number(value or 0, "a number of seconds; 0: never")
        self._put("health_check_interval", interval or None)

    def _take_ssl(self, value: Any) -> None:
        self._ssl = _flag(value)

    def _take_ca_path(self, value: Any) -> None:
        if value is not None:
            folder = os.fspath(value)
            try:
                names = sorted(os.listdir(folder))
            except OSError as error:
                raise ValueError(f"a directory of certificates ({error.strerror})") from error
            files = [os.path.join(folder, name) for name in names]
            self._tls["ca_files"] += [file for file in files if os.path.isfile(file)]

    def _take_ca_file(self, value: Any) -> None:
        if value is not None:
            self._tls["ca_files"].append(os.fspath(value))

    def _take_ca_data(self, value: Any) -> None:
        self._tls["ca_data"] = value.decode("ascii") if isinstance(value, bytes) else value

    def _take_certificate(self, value: Any) -> None:
        self._tls["certificate"] = None if value is None else os.fspath(value)

    def _take_key(self, value: Any) -> None:
        self._tls["key"] = None if value is None else os.fspath(value)

    def _take_cert_reqs(self, value: Any) -> None:
        if value in ("none", "None", ssl.CERT_NONE):
            self._verify = False
        elif value in (None, "required", "optional", ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL):
            # A server always sends its certificate, so optional is required.
            self._verify = value is not None
        else:
            raise ValueError("'none', 'optional' or 'required'")

    def _take_check_hostname(self, value: Any) -> None:
        self._check_hostname = _flag(value)

    def _take_min_version(self, value: Any) -> None:
        if value is None:
            return
        version = ssl.TLSVersion(int(value))
        if version not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            raise ValueError("ssl.TLSVersion.TLSv1_2 or TLSv1_3; older ones are not spoken")
        self._tls["only_tls13"] = version == ssl.TLSVersion.TLSv1_3


def parse_url(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a Redis URL says: where the server is (``host``, ``port``), and options.

    :param url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with ``user:password@``, a
        database as path or ``?db=``, and any option as ``?name=value``.
    :raises CacheConfigError: it is none of these.
    """
    scheme = url.split("://", 1)[0] if "://" in url else ""
    if scheme not in ("redis", "rediss", "unix"):
        raise CacheConfigError(
            "CACHE_REDIS_URL must start with redis://, rediss:// (TLS) or unix://"
        )
    place: dict[str, Any] = {"host": "localhost", "port": 6379}
    try:
        parts = urlsplit(url)
        if parts.port is not None:
            place["port"] = parts.port
    except ValueError as error:
        raise CacheConfigError(f"CACHE_REDIS_URL is not a URL: {error}") from error
    options: dict[str, Any] = {
        name: _from_text(name, text) for name, text in parse_qsl(parts.query)
    }
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    if scheme == "unix":
        if not parts.path:
            raise CacheConfigError("CACHE_REDIS_URL: unix:// needs the path of a socket after it")
        options["unix_socket_path"] = unquote(parts.path)
        return place, options
    if parts.hostname:
        place["host"] = unquote(parts.hostname)
    database = unquote(parts.path).strip("/")
    if database and "db" not in options:
        if not database.isdecimal():
            raise CacheConfigError(
                f"CACHE_REDIS_URL: the path must be the number of a database, not {database!r}"
            )
        options["db"] = int(database)
    if scheme == "rediss":
        options["ssl"] = True
    return place, options


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
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        if number < least or number != number or (whole and number != int(number)):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(words) from error
    return number


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        if value.lower() not in ("true", "yes", "on", "1", "false", "no", "off", "0", "f", "n", ""):
            raise ValueError("True or False")
        return value.lower() in ("true", "yes", "on", "1")
    if value is not None and value not in (True, False):
        raise ValueError("True or False")
    return bool(value)


def _seconds(name: str) -> Callable[[Options, Any], None]:
    def take(options: Options, value: Any) -> None:
        if value is None:
            # redis-py then waits for ever; here there is always a deadline.
            return
        seconds = _number(value, "a positive number of seconds")
        if seconds <= 0 or seconds == float("inf"):
            raise ValueError("a positive number of seconds")
        options._put(name, seconds)

    return take


def _text(name: str) -> Callable[[Options, Any], None]:
    def take(options: Options, value: Any) -> None:
        if isinstance(value, bytes):
            value = value.decode("utf-8")
        if value is not None and not isinstance(value, str):
            raise TypeError("a string")
        options._put(name, value or None)

    return take


def _switch(name: str) -> Callable[[Options, Any], None]:
    def take(options: Options, value: Any) -> None:
        options._put(name, _flag(value))

    return take


def _only(*allowed: Any, words: str) -> Callable[[Options, Any], None]:
    """An option with one value that is how it is here."""

    def take(options: Options, value: Any) -> None:
        if (value.lower() if isinstance(value, str) else value) not in allowed:
            raise ValueError(words)

    return take


def _breaker_failures(options: Options, value: Any) -> None:
    options._put("breaker_failures", int(_number(value, "a whole number", whole=True)))


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

#: Options by our own names.
_OWN: dict[str, Callable[[Options, Any], None]] = {
    "connect_timeout": _seconds("connect_timeout"),
    "operation_timeout": _seconds("operation_timeout"),
    "breaker_failures": _breaker_failures,
    "breaker_reset": _seconds("breaker_reset"),
}

#: Options by redis-py's names.
_KNOWN: dict[str, Callable[[Options, Any], None]] = {
    "username": _text("username"),
    "password": _text("password"),
    "db": Options._take_database,
    "client_name": _text("client_name"),
    "socket_timeout": _seconds("operation_timeout"),
    "socket_connect_timeout": _seconds("connect_timeout"),
    "socket_keepalive": Options._take_keepalive,
    "socket_keepalive_options": Options._take_keepalive_options,
    "unix_socket_path": Options._take_unix_socket,
    "max_connections": Options._take_max_connections,
    "single_connection_client": Options._take_single_connection,
    "health_check_interval": Options._take_health_check_interval,
    "retry_on_timeout": _switch("retry_on_timeout"),
    "protocol": Options._take_protocol,
    "encoding": _only(None, "utf-8", "utf8", words="'utf-8', as keys are encoded"),
    "encoding_errors": _only(None, "strict", words="'strict'"),
    "decode_responses": _only(
        None, False, "false", "0", words="False: what is stored is bytes, not text"
    ),
    "ssl": Options._take_ssl,
    "ssl_keyfile": Options._take_key,
    "ssl_certfile": Options._take_certificate,
    "ssl_cert_reqs": Options._take_cert_reqs,
    "ssl_ca_certs": Options._take_ca_file,
    "ssl_ca_path": Options._take_ca_path,
    "ssl_ca_data": Options._take_ca_data,
    "ssl_check_hostname": Options._take_check_hostname,
    "ssl_min_version": Options._take_min_version,
}
