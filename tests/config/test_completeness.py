"""No key is skipped in silence: every unknown one and every wrong type is spoken of.

The configuration is the contract's examples; all its keys are changed at once.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.test_examples import EXAMPLES
from config.test_mutations import WHOLE, load_table
from tensorzero.config.errors import ConfigErrors

OPEN = (
    "optimizers.o",
    "rate_limiting",
    "object_storage",
    "functions.reply.experimentation",
    "provider_types.openai",
    "provider_types.openai.defaults",
)
"""Tables that the reference leaves open; also ``retries`` and the entries of arrays."""
FREE = (
    "models.support.providers.primary.provider_tools[0]",
    "functions.reply.variants.fast.extra_body[0].value",
    "models.support.providers.primary.extra_body[0].value",
)
"""What goes to a provider as it is."""


def is_open(where: str) -> bool:
    return where in OPEN or where.endswith((".retries", "]"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "support/prompts/user.minijinja").write_text("{{ user_text }}")
    (tmp_path / "support/prompts/ticket2.minijinja").write_text("{{ system_text }}")
    return tmp_path


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any, Any, Any]]:
    """(dotted path, its container, its key, its value), innermost first."""
    if isinstance(value, dict):
        entries = [(f"{path}.{key}" if path else key, key, entry) for key, entry in value.items()]
    else:
        entries = [(f"{path}[{index}]", index, entry) for index, entry in enumerate(value)]
    for where, key, entry in entries:
        if isinstance(entry, (dict, list)):
            yield from walk(entry, where)
        yield where, value, key, entry


def errors(place: Path, table: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load_table(place, table)
    return list(caught.value.errors)


def with_unknown_keys(*, in_open: bool) -> tuple[dict[str, Any], list[str]]:
    table = valid()
    places = [
        (where, value)
        for where, _, _, value in walk(table)
        if isinstance(value, dict) and is_open(where) is in_open and where not in FREE
    ]
    for _, value in places:
        value["zz_unknown"] = 1
    return table, [where for where, _ in places]


def valid() -> dict[str, Any]:
    table = copy.deepcopy(WHOLE)
    del table["functions"]["weighted"]["variants"]["a"]["namespace"]
    return table


def test_an_unknown_key_is_an_error_in_every_closed_table(place: Path) -> None:
    table, places = with_unknown_keys(in_open=False)
    table["zz_unknown"] = 1
    # There is a variant of that name now: the one place where the key is right.
    places.remove("functions.reply.experimentation.candidate_variants")
    lines = [line for line in errors(place, table) if "zz_unknown" in line]
    assert len(places) > 80
    assert [where for where in places if not any(where in line for line in lines)] == []


def test_an_unknown_key_is_a_warning_in_every_open_table(place: Path) -> None:
    table, places = with_unknown_keys(in_open=True)
    lines = [line for line in load_table(place, table).warnings if "zz_unknown" in line]
    assert len(places) > 15
    assert [where for where in places if not any(where in line for line in lines)] == []


def test_a_wrong_type_is_an_error_in_every_place(place: Path) -> None:
    table = valid()
    places = []
    for where, owner, key, value in list(walk(table)):
        if isinstance(value, (dict, list)) or isinstance(owner, list) or key == "type":
            continue
        owner[key] = {"zz": [1]}
        places.append(where)
    lines = errors(place, table)
    # The halves of a pair of credentials are reported under the key of the pair.
    silent = [
        where
        for where in places
        if where not in FREE
        and not any(where.removesuffix(".default").removesuffix(".fallback") in x for x in lines)
    ]
    assert len(places) > 140
    assert silent == []


def test_a_number_in_place_of_a_list_or_table_is_an_error(place: Path) -> None:
    def depth(where: str) -> int:
        return where.count(".") + where.count("[")

    # One level at a time: what lies within a changed table is not there any more.
    for level in range(12):
        table = valid()
        changed = []
        free = (*FREE, "rate_limiting.rules[0].cost_per_day")  # a number is right there
        for where, owner, key, value in list(walk(table)):
            if not isinstance(value, (dict, list)) or depth(where) != level or where in free:
                continue
            owner[key] = 5
            changed.append(where)
        if changed:
            lines = errors(place, table)
            assert [where for where in changed if not any(where in x for x in lines)] == []
