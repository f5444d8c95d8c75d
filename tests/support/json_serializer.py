"""A serializer that represents less than pickle does."""

from __future__ import annotations

import json
from typing import Any

from cachelib.serializers import BaseSerializer


class JSONSerializer(BaseSerializer):
    """JSON, which has no tuples, bytes or objects."""

    def dumps(self, value: Any, protocol: int = 0) -> bytes:
        return json.dumps(value).encode()

    def loads(self, bvalue: bytes) -> Any:
        return json.loads(bvalue)
