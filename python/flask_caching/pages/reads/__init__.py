"""What a view, and the hooks before it, have read of their request: that counts for its page.

That it is read, the binding notes: ``pages/reads.rs``.
"""

from .arguments import begin_arguments
from .cookies import noting_class, reads_others
from .headers import (
    aside,
    kept_by,
    leave_to_hooks,
    noting_address,
    that_count,
    that_count_with_hooks,
    watch_own,
    why_not_shared,
)

__all__ = [
    "aside",
    "begin_arguments",
    "kept_by",
    "leave_to_hooks",
    "noting_address",
    "noting_class",
    "reads_others",
    "that_count",
    "that_count_with_hooks",
    "watch_own",
    "why_not_shared",
]
