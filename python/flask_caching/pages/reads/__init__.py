"""What a view, and the hooks before it, have read of their request: that counts for its page."""

from .arguments import begin_arguments
from .cookies import note_reads, reads_others
from .headers import aside, begin_view, end_view, header_reads, note_header_reads

__all__ = [
    "aside",
    "begin_arguments",
    "begin_view",
    "end_view",
    "header_reads",
    "note_header_reads",
    "note_reads",
    "reads_others",
]
