"""``flask cache stats``: what became of calls, as a table or JSON."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from ..errors import CacheBackendError
from ._chosen import about_a_cache

if TYPE_CHECKING:
    from ..cache import Cache
    from ..stats import BackendStats, CacheStats

__all__ = ["duration", "stats", "table"]

#: The most functions in a table.
_MOST_ROWS = 20


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=click.FloatRange(0.1),
    default=2.0,
    show_default=True,
    help="Seconds between, with --watch.",
)
@about_a_cache
def stats(cache: Cache, as_json: bool, watch: bool, every: float) -> None:
    """Show what all processes have counted.

    That is what those of the application have left in the cache, where they share it.
    """
    if not watch:
        click.echo(_said(cache, as_json))
        return
    with suppress(KeyboardInterrupt):
        while True:
            try:
                text = _said(cache, as_json)
            except CacheBackendError as error:
                # Who watches wants to see it come back.
                text = str(error)
            if not as_json:
                click.clear()
            click.echo(text)
            time.sleep(every)


def _said(cache: Cache, as_json: bool) -> str:
    counted = cache.stats(all_processes=True)
    return json.dumps(counted.as_dict()) if as_json else table(counted)


def table(counted: CacheStats) -> str:
    """Statistics for people, at most 80 columns wide."""
    # This process, which runs the command, is none of the application's.
    others = counted.processes - 1
    lines = [f"{others} process{'' if others == 1 else 'es'} of the application left counts"]
    if not others:
        lines.append(
            "(they do every CACHE_STATS_SHARED seconds after their first request, where the\n"
            "cache is shared; cache.stats() in a process has its own)"
        )
    ratio = "-" if counted.hit_ratio is None else f"{counted.hit_ratio:.1%}"
    lines += [
        "",
        f"hits {counted.hits:,}   misses {counted.misses:,}   hit ratio {ratio}   "
        f"time saved {duration(counted.time_saved)}",
        f"stored {counted.stored:,}   refused {counted.refused:,}   superseded "
        f"{counted.superseded:,}   errors {counted.errors:,}",
        f"stale {counted.stale:,}   near {counted.near_hits:,}   waited {counted.waits:,}   "
        f"deletions {counted.deletions:,}",
        *_held(counted.backend),
    ]
    called = [item for item in counted.functions.items() if item[1].hits + item[1].misses]
    called.sort(key=lambda item: -item[1].time_saved)
    if called:
        lines += ["", f"{'':36}{'hits':>11}{'misses':>9}{'ratio':>7}{'takes':>8}{'saved':>8}"]
        for name, counts in called[:_MOST_ROWS]:
            name = _printable(name)
            shown = name if len(name) <= 35 else "…" + name[-34:]
            takes = counts.mean_computing_time
            lines.append(
                f"{shown:36}{counts.hits:>11,}{counts.misses:>9,}{counts.hit_ratio or 0:>7.0%}"
                f"{'-' if takes is None else duration(takes):>8}{duration(counts.time_saved):>8}"
            )
        if len(called) > _MOST_ROWS:
            lines.append(f"… and {len(called) - _MOST_ROWS} more: --json has all")
    if counted.refusals:
        lines += ["", "not stored, because"]
        by_count = sorted(counted.refusals.items(), key=lambda item: -item[1])
        lines += [f"{count:>9,}  {_printable(reason)[:69]}" for reason, count in by_count]
    backend = counted.backend
    if backend is not None and backend.latencies:
        lines += ["", f"{backend.name:36}{'operations':>11}{'failed':>9}{'p50':>7}{'p99':>8}"]
        lines += [
            f"{name:36}{latency.count:>11,}{latency.errors:>9,}"
            f"{duration(latency.p50 or 0):>7}{duration(latency.p99 or 0):>8}"
            for name, latency in sorted(backend.latencies.items())
        ]
    return "\n".join(lines)


def _held(backend: BackendStats | None) -> list[str]:
    """What the backend holds, where it says something."""
    if backend is None:
        return []
    megabytes = None if backend.bytes is None else round(backend.bytes / 1e6, 1)
    numbers = {"entries": backend.entries, "MB": megabytes, "evicted": backend.evictions}
    said = [f"{number:,} {what}" for what, number in numbers.items() if number is not None]
    return [f"{backend.name[:24]}: {', '.join(said)}"] if said else []


def duration(seconds: float) -> str:
    """A time for people."""
    for limit, unit, name in (
        (1e-3, 1e-6, "µs"),
        (1.0, 1e-3, "ms"),
        (120.0, 1.0, "s"),
        (7200.0, 60.0, "min"),
        (172_800.0, 3600.0, "h"),
    ):
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}" if seconds else "0"
    return f"{seconds / 86_400:,.0f} d"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
