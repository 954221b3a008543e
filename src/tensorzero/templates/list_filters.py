"""Filters over lists and maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorzero.templates.errors import RenderFault, invalid
from tensorzero.templates.operators import add, as_index, get_attr, get_item
from tensorzero.templates.predicates import apply_test
from tensorzero.templates.values import (
    MAX_STEPS,
    UNDEFINED,
    Group,
    Items,
    Lazy,
    State,
    TemplateObject,
    Undefined,
    Value,
    iterate,
    kind_of,
    sort_key,
    sorted_keys,
    truthy,
)


def by_path(value: Value, path: Value) -> Value:
    """Follow a dotted path (``a.b.0``) into a value. Raises below something undefined."""
    if not isinstance(path, str):
        return path_item(value, path)
    for part in path.split("."):
        value = path_item(value, int(part) if part.isascii() and part.isdigit() else part)
    return value


def by_path_or(value: Value, path: Value, default: Value) -> Value:
    """Like :func:`by_path`, with ``default`` for whatever isn't there."""
    try:
        found = by_path(value, path)
    except RenderFault:
        return default
    return default if type(found) is Undefined else found


def path_item(value: Value, key: Value) -> Value:
    """One step of a path: an attribute by name, or an item by position."""
    return get_attr(value, key) if isinstance(key, str) else get_item(value, key)


def _as_list(state: State, value: Value) -> list[Value]:
    if type(value) is Undefined and not value.silent:
        raise invalid("cannot convert value to list")
    try:
        return iterate(state, value)
    except RenderFault as fault:
        if "is not iterable" in fault.text:
            raise invalid("cannot convert value to list") from None
        raise


def _map_of(value: Value) -> dict[Value, Value] | None:
    if type(value) is dict:
        return value
    if isinstance(value, TemplateObject) and value.is_map:
        return value.entries()
    return None


def list_(state: State, value: Value, /) -> list[Value]:
    return list(_as_list(state, value))


def length(_: State, value: Value, /) -> int:
    if isinstance(value, (str, dict)) or (isinstance(value, list) and type(value) is not Lazy):
        return len(value)
    mapping = _map_of(value)
    if mapping is None:
        raise invalid(f"cannot calculate length of value of type {kind_of(value)}")
    return len(mapping)


def first(state: State, value: Value, /) -> Value:
    if isinstance(value, (str, list)):
        return value[0] if value else UNDEFINED
    mapping = _map_of(value)
    if mapping is None:
        raise invalid("cannot get first item from value")
    keys = sorted_keys(mapping)
    return keys[0] if keys else UNDEFINED


def last(_: State, value: Value, /) -> Value:
    if isinstance(value, (str, list)):
        return value[-1] if value else UNDEFINED
    raise invalid("cannot get last item from value")


def reverse(state: State, value: Value, /) -> Value:
    if isinstance(value, str):
        return str(value)[::-1]
    if value is None or type(value) is Undefined:
        return value
    plain = isinstance(value, TemplateObject) and not value.is_map
    if plain or isinstance(value, (int, float)):
        raise invalid(f"cannot reverse values of type {kind_of(value)}")
    found = iterate(state, value)
    # Odd, but so it is: the keys of a map stay in order.
    return Items(found if _map_of(value) is not None else reversed(found))


def items(state: State, value: Value, /) -> Items:
    mapping = _map_of(value)
    if mapping is None:
        raise invalid("cannot convert value into pairs")
    state.charge(len(mapping))
    return Items([key, mapping[key]] for key in sorted_keys(mapping))


def dictsort(
    state: State,
    value: Value,
    /,
    *,
    by: Value = "key",
    case_sensitive: Value = False,
    reverse: Value = False,
) -> list[Value]:
    mapping = _map_of(value)
    if mapping is None:
        raise invalid("cannot convert value into pair list")
    state.charge(len(mapping))
    column = 1 if by == "value" else 0
    fold = not truthy(case_sensitive)
    pairs = [[key, mapping[key]] for key in sorted_keys(mapping)]
    pairs.sort(key=lambda pair: sort_key(pair[column], fold), reverse=truthy(reverse))
    return pairs


def sort(
    state: State,
    value: Value,
    /,
    *,
    reverse: Value = False,
    case_sensitive: Value = False,
    attribute: Value = None,
) -> list[Value]:
    """Stable; text ignores case unless ``case_sensitive``; ``attribute`` is a path or several."""
    fold = not truthy(case_sensitive)
    found = list(_as_list(state, value))
    if attribute is None:
        found.sort(key=lambda item: sort_key(item, fold), reverse=truthy(reverse))
        return found
    if not isinstance(attribute, str):
        raise invalid("value is not a string")
    paths = [path.strip() for path in attribute.split(",")]
    found.sort(
        key=lambda item: tuple(sort_key(by_path_or(item, path, UNDEFINED), fold) for path in paths),
        reverse=truthy(reverse),
    )
    return found


def unique(
    state: State, value: Value, /, *, attribute: Value = None, case_sensitive: Value = False
) -> list[Value]:
    fold = not truthy(case_sensitive)
    seen: set[object] = set()
    result = []
    for item in iterate(state, value):
        subject = item if attribute is None else by_path_or(item, attribute, UNDEFINED)
        key = sort_key(subject, fold)
        if key not in seen:
            seen.add(key)
            result.append(item)
    return result


def groupby(
    state: State,
    value: Value,
    path: Value = None,
    /,
    *,
    attribute: Value = None,
    default: Value = UNDEFINED,
    case_sensitive: Value = False,
) -> list[Value]:
    """Groups of items with the same attribute, sorted by it; each is a pair of value and items."""
    by = path if path is not None else attribute
    if by is None:
        raise RenderFault("missing argument: missing keyword argument 'attribute'")
    if type(value) is Undefined:
        return []
    fold = not truthy(case_sensitive)

    decorated = [(by_path_or(item, by, default), item) for item in iterate(state, value)]
    decorated.sort(key=lambda pair: sort_key(pair[0], fold))
    groups: list[Value] = []
    key: object = None
    for found, item in decorated:
        found_key = sort_key(found, fold)
        if groups and found_key == key:
            groups[-1][0] = found
            groups[-1][1].append(item)
        else:
            groups.append(Group([found, [item]]))
            key = found_key
    return groups


def min_(state: State, value: Value, /) -> Value:
    return min(_as_list(state, value), key=sort_key, default=UNDEFINED)


def max_(state: State, value: Value, /) -> Value:
    return max(_as_list(state, value), key=sort_key, default=UNDEFINED)


def sum_(state: State, value: Value, /) -> Value:
    total: Value = 0
    for item in iterate(state, value):
        if type(item) is not int and type(item) is not float:
            if type(item) is Undefined:
                continue
            raise invalid(f"can only sum numbers, got {kind_of(item)}")
        total = add(state, total, item)
    return total


def _size(value: Value) -> int:
    size = as_index(value)
    if size is None or size < 0:
        raise invalid(f"cannot convert {kind_of(value)} to usize")
    if size == 0:
        raise invalid("count cannot be 0")
    if size > MAX_STEPS:
        raise invalid("count is too large")
    return size


def batch(state: State, value: Value, count: Value, fill: Value = None, /) -> list[Value]:
    size = _size(count)
    found = iterate(state, value)
    rows = [list(found[start : start + size]) for start in range(0, len(found), size)]
    if fill is not None and rows:
        missing = size - len(rows[-1])
        state.charge(missing)
        rows[-1].extend([fill] * missing)
    return rows


def slice_(state: State, value: Value, count: Value, fill: Value = None, /) -> list[Value]:
    size = _size(count)
    found = iterate(state, value)
    state.charge(size)
    least, extra = divmod(len(found), size)
    columns = []
    start = 0
    for column in range(size):
        stop = start + least + (column < extra)
        taken = list(found[start:stop])
        if fill is not None and column >= extra:
            taken.append(fill)
        columns.append(taken)
        start = stop
    return columns


def chain(state: State, value: Value, /, *others: Value) -> Value:
    """One after the other: maps make a map, lists a list, anything else an iterator."""
    values = (value, *others)
    maps = [_map_of(part) for part in values]
    if all(mapping is not None for mapping in maps):
        merged: dict[Value, Value] = {}
        for mapping in maps:
            state.charge(len(mapping or ()))
            merged.update(mapping or {})
        return merged
    joined = []
    for part in values:
        joined.extend([] if type(part) is Undefined else iterate(state, part))
    if all(kind_of(part) == "sequence" for part in values):
        return joined
    return Lazy(joined)


def zip_(state: State, value: Value, /, *others: Value) -> Value:
    columns = []
    for part in (value, *others):
        if type(part) is Undefined:
            return Lazy()
        if not isinstance(part, (list, str, dict)) and part is not None and _map_of(part) is None:
            raise invalid(f"zip filter argument must be iterable, got {kind_of(part)}")
        columns.append(iterate(state, part))
    return Items(list(row) for row in zip(*columns, strict=False))


def _selected(
    state: State, value: Value, wanted: bool, path: Value, args: tuple[Value, ...]
) -> list[Value]:
    result = []
    for item in iterate(state, value):
        subject = item if path is None else by_path(item, path)
        if args:
            passed = apply_test(state, args[0], subject, args[1:])
        else:
            passed = type(subject) is not Undefined and truthy(subject)
        if passed is wanted:
            result.append(item)
    return result


def select(state: State, value: Value, /, *args: Value) -> list[Value]:
    return _selected(state, value, True, None, args)


def reject(state: State, value: Value, /, *args: Value) -> list[Value]:
    return _selected(state, value, False, None, args)


def selectattr(state: State, value: Value, attribute: Value, /, *args: Value) -> list[Value]:
    return _selected(state, value, True, attribute, args)


def rejectattr(state: State, value: Value, attribute: Value, /, *args: Value) -> list[Value]:
    return _selected(state, value, False, attribute, args)


FILTERS: Mapping[str, Callable[..., Value]] = {
    "batch": batch,
    "chain": chain,
    "count": length,
    "dictsort": dictsort,
    "first": first,
    "groupby": groupby,
    "items": items,
    "last": last,
    "length": length,
    "list": list_,
    "max": max_,
    "min": min_,
    "reject": reject,
    "rejectattr": rejectattr,
    "reverse": reverse,
    "select": select,
    "selectattr": selectattr,
    "slice": slice_,
    "sort": sort,
    "sum": sum_,
    "unique": unique,
    "zip": zip_,
}
