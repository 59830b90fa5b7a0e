"""The dataclasses of events to and from what JSON can hold, by ``cattrs``.

``cattrs`` writes a function for each class, so that an event costs a few microseconds; what is set here on
top of its defaults is the stored format, and short cuts that rest on reading back only what was written here:

- a field at its default is left out (so a default, once in use, never changes without a new schema version);
- a field that the class does not know is passed over (so that a field with a default can be added at any
  time);
- ``Decimal`` is text, exact; JSON objects are carried as they are;
- members of a union of dataclasses are told apart by their field ``type``, which has one literal value each.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override
from cattrs.preconf.orjson import make_converter

TAG = "type"
"""The field that tells the members of a union apart."""

Write = Callable[[Any], Any]
Read = Callable[[Any, Any], Any]
"""Takes the stored value and the type that it shall have."""

_SCALARS = frozenset({str, int, float, bool, Any})

read_uuid = lru_cache(maxsize=4096)(UUID)
"""Parse a UUID. The events of one call share most of theirs, and parsing takes a microsecond."""


def event_converter() -> Converter:
    """A converter for the classes of events; those of the domain need nothing more, others may add hooks."""
    converter = make_converter(omit_if_default=True, detailed_validation=False)
    converter.register_structure_hook(UUID, lambda stored, _: read_uuid(stored))
    converter.register_unstructure_hook(UUID, _as_it_is)
    converter.register_structure_hook(Decimal, lambda stored, _: Decimal(stored))
    converter.register_unstructure_hook(Decimal, write_decimal)
    converter.register_unstructure_hook(datetime, _in_utc)
    converter.register_structure_hook_factory(_is_optional, lambda hint: _optional_reader(hint, converter))
    converter.register_structure_hook_factory(_is_list_like, lambda hint: _tuple_reader(hint, converter))
    converter.register_structure_hook_func(_is_plain_json, lambda stored, _: stored)
    converter.register_unstructure_hook_func(_is_plain_json, _as_it_is)
    converter.register_structure_hook_factory(_is_tagged_union, lambda hint: _tagged_reader(hint, converter))
    converter.register_unstructure_hook_factory(_is_tagged, lambda cls: _tagged_writer(cls, converter))
    return converter


def _as_it_is(value: Any) -> Any:
    return value


def write_decimal(amount: Decimal) -> str:
    """In plain digits: an exponent is exact too, but nobody wants to read ``0E-12`` dollars."""
    return f"{amount:f}"


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("A datetime in an event needs a time zone; use datetime.now(UTC).")
    return moment.astimezone(UTC)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _is_optional(hint: Any) -> bool:
    return _is_union(hint) and len(get_args(hint)) == 2 and NoneType in get_args(hint)


def _is_list_like(hint: Any) -> bool:
    return get_origin(hint) is tuple and get_args(hint)[1:] == (Ellipsis,)


def _is_plain_json(hint: Any) -> bool:
    """A literal, a JSON object, or a choice between these and scalars: what JSON gives back unchanged."""
    if _is_union(hint):
        return all(member in _SCALARS or member is NoneType or _is_plain_json(member) for member in get_args(hint))
    origin = get_origin(hint)
    is_object = isinstance(origin, type) and issubclass(origin, Mapping) and get_args(hint) == (str, Any)
    return is_object or (origin is Literal and all(type(value) in _SCALARS for value in get_args(hint)))


def _is_tagged(cls: Any) -> bool:
    return is_dataclass(cls) and isinstance(cls, type) and _tag_of(cls) is not None


def _is_tagged_union(hint: Any) -> bool:
    return _is_union(hint) and all(map(_is_tagged, get_args(hint)))


def _tag_of(cls: type) -> Any:
    if TAG not in (field.name for field in fields(cls)):
        return None
    hint = get_type_hints(cls)[TAG]
    values = get_args(hint) if get_origin(hint) is Literal else ()
    return values[0] if len(values) == 1 else None


def _optional_reader(hint: Any, converter: Converter) -> Read:
    (member,) = (each for each in get_args(hint) if each is not NoneType)
    if member in _SCALARS:
        return lambda stored, _: stored
    read = converter.get_structure_hook(member)
    return lambda stored, _: None if stored is None else read(stored, member)


def _tuple_reader(hint: Any, converter: Converter) -> Read:
    item = get_args(hint)[0]
    if item in _SCALARS or _is_plain_json(item):
        return lambda stored, _: tuple(stored)
    read = converter.get_structure_hook(item)
    return lambda stored, _: tuple([read(each, item) for each in stored])


def _tagged_reader(hint: Any, converter: Converter) -> Read:
    members = {_tag_of(cls): (cls, converter.get_structure_hook(cls)) for cls in get_args(hint)}
    if len(members) < len(get_args(hint)):
        raise TypeError(f"Two members of {hint} have the same {TAG!r}; each needs a literal value of its own.")

    def read(stored: Any, _: Any) -> Any:
        cls, read_member = members[stored[TAG]]
        return read_member(stored, cls)

    return read


def _tagged_writer(cls: type, converter: Converter) -> Write:
    # The tag is its field's default, and yet must be written: without it nothing could be read back.
    always = {TAG: override(omit_if_default=False)}
    return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **always)  # type: ignore[arg-type] # mypy takes the fields' names for options
