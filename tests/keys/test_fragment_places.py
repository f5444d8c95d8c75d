"""No name and no keys of a fragment lead to the place of another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_caching import Cache, make_template_fragment_key
from flask_caching.utils import FragmentKey


def places(*parts: str) -> str:
    return FragmentKey(parts[0], parts[1:]).storage


@pytest.fixture
def show(app: Flask, cache: Cache, in_app: None) -> Callable[..., str]:
    def show(shown: str, *parts: str) -> str:
        names = [f"part{number}" for number in range(len(parts))]
        template = f"{{% cache 60, {', '.join(names)} %}}{{{{ shown }}}}{{% endcache %}}"
        return render_template_string(template, shown=shown, **dict(zip(names, parts, strict=True)))

    return show


def forged(*parts: str) -> list[tuple[str, ...]]:
    """Names and keys that are written as the place of ``parts`` is."""
    place = places(*parts).removeprefix("_template_fragment_cache_")
    pieces = place.split("_")
    return [
        tuple("_".join(group) for group in groups)
        for groups in _groups(pieces)
        if tuple("_".join(group) for group in groups) != parts
    ]


def _groups(pieces: list[str]) -> list[list[list[str]]]:
    cuts = [
        cut
        for number in range(len(pieces))
        for cut in itertools.combinations(range(1, len(pieces)), number)
    ]
    return [[pieces[a:b] for a, b in itertools.pairwise([0, *cut, len(pieces)])] for cut in cuts]


@pytest.mark.parametrize(
    "parts",
    [("john_doe",), ("john", "doe"), ("john", "d_e"), ("a_b", "c_d"), ("_", ""), ("a#b", "c_")],
)
def test_a_place_cannot_be_forged(show: Callable[..., str], parts: tuple[str, ...]) -> None:
    assert show("theirs", *parts) == "theirs"
    attempts = forged(*parts)
    for attempt in attempts:
        # Its own place may be another's, and so on.
        for again in (attempt, *forged(*attempt)):
            if again != parts:
                mine = f"mine {len(again)} {'/'.join(again)}"
                assert show(mine, *again) == mine
    assert show("not rendered", *parts) == "theirs"


def test_the_example_of_a_forged_digest(show: Callable[..., str]) -> None:
    digest = places("john_doe").partition("#")[2]
    assert show("of john_doe", "john_doe") == "of john_doe"
    assert show("mine", "john", f"doe#{digest}") == "mine"


@pytest.mark.parametrize("end", ["##2", f"##2 {'0' * 32}", f"#{'f' * 32}"])
def test_the_place_of_a_block_without_a_name_cannot_be_forged(end: str) -> None:
    assert (
        places(f"/templates/index.html12{end}")
        != f"_template_fragment_cache_/templates/index.html12{end}"
    )


@pytest.mark.parametrize(
    "parts", [("john",), ("john", "doe"), ("a#b", "c"), ("a", "#1"), ("a", ""), ("#" + "f" * 31,)]
)
def test_what_is_unambiguous_is_stored_as_ever(parts: tuple[str, ...]) -> None:
    key: Any = make_template_fragment_key(parts[0], list(parts[1:]))
    assert key.storage == key


def test_places_of_many_names_and_keys_are_different() -> None:
    alphabet = ["", "a", "_", "#", "a_", "_a", "#0", "##2"]
    alphabet += [f"a#{places(part).rpartition('#')[2]}" for part in ("a_", "_a", "a_a")]
    all_parts = [
        parts for number in (1, 2, 3) for parts in itertools.product(alphabet, repeat=number)
    ]
    assert len({places(*parts) for parts in all_parts}) == len(all_parts)


def test_integers_of_more_digits_than_python_prints_are_keys(
    app: Flask, cache: Cache, in_app: None
) -> None:
    template = "{% cache 60, 'block', number %}{{ shown }}{% endcache %}"
    for number in (10**5000, 10**5000 + 1):
        for _ in range(2):
            shown = str(number % 10)
            assert render_template_string(template, number=number, shown=shown) == shown
