"""``flask cache config``: which settings apply, and where each comes from."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from ..backends.spec import BackendSpec, Setting
from ..config import GENERAL
from ._chosen import about_a_cache

if TYPE_CHECKING:
    from ..cache import Cache
    from ..extension.state import AppState

__all__ = ["config"]

#: Stands in the place of what no message may show.
_HIDDEN = "(set, not shown)"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@about_a_cache
def config(cache: Cache, as_json: bool) -> None:
    """Show the settings that apply, and where each comes from. Secrets are not shown."""
    rows = settings_in_force(cache)
    if as_json:
        keys = ("setting", "value", "source")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return
    width = max(len(name) for name, _, _ in rows)
    for name, value, source in rows:
        click.echo(f"{name:{width}}  {value}  [{source}]")


def settings_in_force(cache: Cache) -> list[tuple[str, str, str]]:
    """The settings that a cache reads: their names, values for people, and sources."""
    state, backend = cache._place()
    spec = getattr(type(backend), "backend_spec", None)
    of_backend = spec.settings if isinstance(spec, BackendSpec) else ()
    by_name: dict[str, Setting] = {setting.name: setting for setting in (*GENERAL, *of_backend)}
    rows = []
    for name, setting in by_name.items():
        value = state.config.get(name, setting.default)
        rows.append((name, _shown(setting, value), _source(state, name, value)))
    others = sorted(
        name
        for name in state.config
        if name not in by_name and _source(state, name, None) != "default"
    )
    rows += [(name, "(not read by this backend)", _source(state, name, None)) for name in others]
    return rows


def _shown(setting: Setting, value: Any) -> str:
    if value is None or value in ((), [], {}, ""):
        return repr(value)
    if setting.secret and value != setting.default:
        return _HIDDEN
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__name__))
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _source(state: AppState, name: str, value: Any) -> str:
    layers: tuple[str, ...] = ("Cache(config=…)", "init_app(config=…)")
    given = list(zip(layers, state.layers, strict=False))
    if state.layers[0] is state.layers[-1]:
        # The constructor was given the application as well.
        del given[1:]
    for where, layer in reversed(given):
        if layer and name in layer:
            return str(where)
    app = state.app()
    if app is not None and name in app.config:
        variable = f"FLASK_{name}"
        return f"app.config, ${variable} is set" if variable in os.environ else "app.config"
    options = state.config.get("CACHE_OPTIONS") or {}
    if name == "CACHE_DEFAULT_TIMEOUT" and "default_timeout" in options:
        return "CACHE_OPTIONS"
    return "default"
