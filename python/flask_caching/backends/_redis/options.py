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
from .. import _addresses
from .._addresses import RedisUrl, secret_text
from ..spec import as_flag, as_number

__all__ = ["ONLY_REDIS_PY", "OWN_NAMES", "Options", "parse_url"]

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


class Options:
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
        self.unix_socket_path: str | None = None
        #: The same options for redis-py, for ``_write_client`` and ``_read_client``.
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
        if self.connection["credential_provider"] and self._has_login():
            raise CacheConfigError(
                f"{source}: 'credential_provider' says who logs in, and so do the user name or the "
                "password beside it (CACHE_REDIS_PASSWORD, CACHE_REDIS_URL): leave out one of them"
            )
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
        in_url = self._url is not None and name in self._url.options
        if take is None:
            raise CacheConfigError(self._unknown(name, in_url))
        problem = None
        try:
            take(self, value)
        except CacheConfigError:
            raise
        except (TypeError, ValueError) as error:
            # Raised from here, the exception below would have this one, and the value in it, as
            # its context.
            problem = str(error)
        if problem is not None:
            shown = f", not {value!r}" if name in _SHOWN and not in_url else ""
            raise CacheConfigError(f"{self._source}: {name!r} must be {problem}{shown}")
        if name in _KNOWN and not name.startswith("encoding"):
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

    def _put(self, name: str, value: Any) -> None:
        self.connection[name] = value

    def _take_credential_provider(self, value: Any) -> None:
        if value is not None and not callable(getattr(value, "get_credentials", None)):
            raise ValueError(
                "an object with a method get_credentials() that returns (password,) or "
                "(username, password)"
            )
        self._put("credential_provider", value)

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
            self._tls["ca_files"].append(_path(value))

    def _take_ca_data(self, value: Any) -> None:
        try:
            data = value.decode("ascii") if isinstance(value, bytes) else value
        except UnicodeError:
            data = b""
        if not isinstance(data, str | None):
            raise TypeError("certificates as text")
        self._tls["ca_data"] = data

    def _take_certificate(self, value: Any) -> None:
        self._tls["certificate"] = _path(value)

    def _take_key(self, value: Any) -> None:
        self._tls["key"] = _path(value)

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
        version = int(_number(value, "ssl.TLSVersion.TLSv1_2 or TLSv1_3", whole=True))
        if version not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            raise ValueError("ssl.TLSVersion.TLSv1_2 or TLSv1_3; older ones are not spoken")
        self._tls["only_tls13"] = version == ssl.TLSVersion.TLSv1_3


def parse_url(url: str) -> RedisUrl:
    """What a Redis URL says of the place of the server, and of the options here.

    :raises CacheConfigError: it is no Redis URL; the message shows nothing of it.
    """
    return _addresses.parse_url(url, _KNOWN, _from_text)


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
        options._put(name, secret_text(value, f"{options._source}: {name!r}"))

    return take


def _path(value: Any) -> Any:
    """The path of a file. What is in the file, given in its place, would end in messages."""
    path = None if value is None else os.fspath(value)
    if path and "\n" in os.fsdecode(path):
        raise ValueError("the path of a file, not its contents")
    return path


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


def _unused(*usual: Any, why: str) -> Callable[[Options, Any], None]:
    """An option that changes nothing here."""

    def take(options: Options, value: Any) -> None:
        if (value.lower() if isinstance(value, str) else value) not in usual:
            shown = ", ".join(name for name in _KNOWN if _KNOWN[name] is take)
            warn(f"{options._source}: {shown}={value!r} is not used, as {why}", UserWarning)

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

#: What redis-py does not know.
OWN_NAMES = frozenset(_OWN)

#: Options by redis-py's names.
_KNOWN: dict[str, Callable[[Options, Any], None]] = {
    "username": _text("username"),
    "password": _text("password"),
    "credential_provider": Options._take_credential_provider,
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
    "encoding": _unused(None, "utf-8", "utf8", why="keys are always UTF-8, values are bytes"),
    "encoding_errors": _unused(None, "strict", why="any text can be a key"),
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

#: Options whose values messages may show: they are no secrets.
_SHOWN = frozenset({*_NUMBERS, *_FLAGS, *_OWN, "encoding", "encoding_errors", "ssl_cert_reqs"})
