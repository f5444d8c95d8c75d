"""A cache in a bucket of Google Cloud Storage."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from .._engine import clock_wall, timeout_seconds
from ..backends._bytes.backend import ByteBackend
from ..backends._bytes.stepwise import Stepwise
from ..backends._bytes.tagged import looks_sealed
from ..backends._observed.timed import Timed
from ..backends._settings.common import KEY_PREFIX
from ..backends.spec import OPTIONAL_TEXT, TEXT, BackendSpec, Setting
from ..codecs.content_types import BYTES, CONTENT_TYPES, ContentTypes
from ..errors import CacheBackendError, CacheConfigError

if TYPE_CHECKING:
    from cachelib.serializers import BaseSerializer

    from .._engine import ByteStore
    from ..codecs import Codec

__all__ = ["GoogleCloudStorageCache"]

logger = logging.getLogger("flask_caching")

#: The longest name of an object, in bytes.
_NAME_SIZE = 1024

#: What Google's own tools take for something else in a name, and ask not to be used.
_WILDCARDS = frozenset("#[]*?")

#: What is noted of an object that has to be read to tell whether it is current.
_SEALED = "flask-caching-sealed"


class GoogleCloudStorageCache(ByteBackend):
    """A cache in a bucket of Google Cloud Storage; it needs ``google-cloud-storage``.

    What JSON can represent is stored as JSON, bytes as they are, all else as a pickle. Storage
    removes nothing by itself: give the bucket a lifecycle rule with ``daysSinceCustomTime``.

    :param bucket: the name of the bucket, which is there already.
    :param key_prefix: what the name of every object starts with; :meth:`clear` removes these.
    :param default_timeout: seconds an entry lives where a write names no timeout; 0: for ever.
    :param delete_expired_objects_on_read: remove an object that a read finds expired.
    :param anonymous: use no credentials, as for an emulator.
    :param ignore_delete_many_errors: :meth:`delete_many` logs a failure instead of raising it.
    :param kwargs: further arguments of ``google.cloud.storage.Client``.
    :raises CacheConfigError: ``bucket`` is no name.
    :raises CacheBackendError: ``google-cloud-storage`` is not installed, or the bucket is out of
        reach.
    """

    #: Each write is paid for.
    _shares_counts = False
    backend_spec = BackendSpec(
        "GoogleCloudStorageCache",
        "in a bucket of Google Cloud Storage",
        settings=(
            Setting(
                "CACHE_GCS_BUCKET",
                TEXT,
                "the name of a bucket that is there already; it has to be given",
                option="bucket",
                goes="first",
                required="a bucket's name",
            ),
            KEY_PREFIX.but(kind=OPTIONAL_TEXT, goes="if_set"),
        ),
    )

    _db_system = "gcp.cloud_storage"

    def __init__(
        self,
        bucket: str,
        key_prefix: str | None = None,
        default_timeout: int = 300,
        delete_expired_objects_on_read: bool = False,
        anonymous: bool = False,
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        if not isinstance(bucket, str) or not bucket:
            raise CacheConfigError("CACHE_GCS_BUCKET must be the name of a bucket")
        try:
            credentials: Any = import_module("google.auth.credentials")
            storage: Any = import_module("google.cloud.storage")
        except ImportError as error:
            raise CacheBackendError(
                "GoogleCloudStorageCache needs the package google-cloud-storage, which is not "
                "installed"
            ) from error
        if anonymous:
            kwargs = {
                "credentials": credentials.AnonymousCredentials(),
                "project": "test",
                **kwargs,
            }
        self._client = storage.Client(**kwargs)
        with _errors("connecting", bucket):
            self.bucket = self._client.get_bucket(bucket)
        self.key_prefix = key_prefix or ""
        self.delete_expired_objects_on_read = delete_expired_objects_on_read
        self._objects = cast("ByteStore", Timed(_BucketStore(self)))

    @property
    def _store(self) -> ByteStore:  # type: ignore[override]
        return cast("ByteStore", self._watched(self._objects))

    @property
    def _database(self) -> str:
        return str(self.bucket.name)

    def _whereabouts(self) -> str:
        endpoint = getattr(self._client, "api_endpoint", None) or "https://storage.googleapis.com"
        return f"{urlsplit(endpoint).netloc.rpartition('@')[2]}/{self._database}"

    def _make_codec(self, serializer: BaseSerializer) -> Codec:
        return ContentTypes(serializer)


class _BucketStore(Stepwise):
    """A bucket as a store of bytes, where flags are content types."""

    def __init__(self, cache: GoogleCloudStorageCache) -> None:
        self._cache = cache
        self._bucket = cache.bucket

    def get(self, key: bytes) -> tuple[bytes, int] | None:
        found = self._read(key)
        return None if found is None else found[1]

    def set(self, key: bytes, data: bytes, flags: int = 0, timeout: Any = None) -> bool:
        if _is_over(timeout):
            self.delete(key)
            return True
        return self._upload(key, data, flags, timeout)

    def add(self, key: bytes, data: bytes, flags: int = 0, timeout: Any = None) -> bool:
        # Of the generation 0 there is no object; an expired one is replaced by its own generation.
        blob = self._blob(key)
        if blob is not None and not _is_expired(blob):
            return False
        if _is_over(timeout):
            return True
        generation = 0 if blob is None else blob.generation
        return self._upload(key, data, flags, timeout, if_generation_match=generation)

    def delete(self, key: bytes) -> bool:
        blob = self._blob(key)
        return blob is not None and self._delete(blob) and not _is_expired(blob)

    def has(self, key: bytes) -> bool:
        return self._live(key) is not None

    def is_sealed(self, key: bytes) -> bool | None:
        blob = self._live(key)
        return None if blob is None else _SEALED in (blob.metadata or {})

    def extend(self, key: bytes, timeout: Any = None) -> bool:
        blob = self._live(key)
        if blob is None or blob.custom_time is None:
            return blob is not None
        until = _custom_time(timeout)
        # Storage takes no earlier time, and removes none: for ever is the end of its calendar.
        until = datetime.max.replace(tzinfo=UTC) if until is None else until
        if until > blob.custom_time:
            blob.custom_time = until
            with _errors("extend", blob.name):
                blob.patch(if_generation_match=blob.generation)
        return True

    def compare_exchange(
        self,
        key: bytes,
        expected: tuple[bytes, int],
        new: tuple[bytes, int] | None,
        timeout: Any = None,
    ) -> bool:
        found = self._read(key)
        if found is None or found[1] != expected:
            return False
        blob = found[0]
        if new is None:
            return self._delete(blob, if_generation_match=blob.generation)
        return self._upload(key, *new, blob.custom_time or 0, if_generation_match=blob.generation)

    def set_if(
        self,
        key: bytes,
        expected: tuple[bytes, int],
        new: tuple[bytes, int],
        timeout: Any = None,
    ) -> bool:
        if _is_over(timeout):
            return self.compare_exchange(key, expected, None)
        found = self._read(key)
        if found is None or found[1] != expected:
            return False
        return self._upload(key, *new, timeout, if_generation_match=found[0].generation)

    def clear(self) -> bool:
        with _errors("clear", self._bucket.name):
            blobs = list(self._bucket.list_blobs(prefix=self._cache.key_prefix or None))
        for blob in blobs:
            self._delete(blob)
        return True

    def _blob(self, key: bytes) -> Any:
        name = self._name(key)
        with _errors("get", name):
            return self._bucket.get_blob(name)

    def _live(self, key: bytes) -> Any:
        blob = self._blob(key)
        if blob is None or not _is_expired(blob):
            return blob
        if self._cache.delete_expired_objects_on_read:
            self._delete(blob, if_generation_match=blob.generation)
        return None

    def _read(self, key: bytes) -> tuple[Any, tuple[bytes, int]] | None:
        from google.api_core.exceptions import NotFound

        blob = self._live(key)
        if blob is None:
            return None
        with _errors("get", blob.name):
            try:
                data = blob.download_as_bytes(if_generation_match=blob.generation)
            except NotFound:
                return None
        kind = blob.content_type
        return blob, (data, CONTENT_TYPES.index(kind) if kind in CONTENT_TYPES else BYTES)

    def _upload(self, key: bytes, data: bytes, flags: int, timeout: Any, **conditions: Any) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(self._name(key))
        until = _custom_time(timeout)
        if until is not None:
            blob.custom_time = until
        if looks_sealed(data):
            blob.metadata = {_SEALED: "1"}
        with _errors("set", blob.name):
            try:
                blob.upload_from_string(data, content_type=CONTENT_TYPES[flags], **conditions)
            except PreconditionFailed:
                return False
        return True

    def _delete(self, blob: Any, **conditions: Any) -> bool:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with _errors("delete", blob.name):
            try:
                blob.delete(**conditions)
            except (NotFound, PreconditionFailed):
                return False
        return True

    def _name(self, key: bytes) -> str:
        """``key`` as the name of an object: itself, or its digest where it cannot be one."""
        prefix = self._cache.key_prefix
        try:
            name = prefix + key.decode()
        except UnicodeDecodeError:
            name = ""
        legal = (
            name != ""
            and not {".", ".."}.intersection(name.split("/"))
            and not _WILDCARDS.intersection(name)
            and len(name.encode()) <= _NAME_SIZE
            and name.isprintable()
            and not name.startswith((f"{prefix}~fc1~", ".well-known/acme-challenge/"))
        )
        return name if legal else f"{prefix}~fc1~{hashlib.sha256(key).hexdigest()}"


def _is_over(timeout: Any) -> bool:
    return (
        not isinstance(timeout, datetime) and timeout is not None and timeout_seconds(timeout) < 0
    )


def _custom_time(timeout: Any) -> datetime | None:
    """When an entry ends; None: never."""
    if isinstance(timeout, datetime):
        return timeout
    seconds = 0 if timeout is None else timeout_seconds(timeout)
    if seconds == 0:
        return None
    try:
        return _now() + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _is_expired(blob: Any) -> bool:
    return blob.custom_time is not None and _now() >= blob.custom_time


def _now() -> datetime:
    return datetime.fromtimestamp(clock_wall(), UTC)


@contextmanager
def _errors(operation: str, name: str) -> Iterator[None]:
    """Storage's exceptions, and those of the network, as this package's."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise CacheBackendError(
            f"{operation} of {name!r} on Google Cloud Storage failed: {error}"
        ) from error
