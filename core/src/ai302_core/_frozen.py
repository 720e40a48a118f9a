"""Frozen records at a part of what the standard library takes: made, changed, a member made when asked. No I/O."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import wraps
from typing import TYPE_CHECKING

__all__ = ["changed", "once", "swift"]

_MANY = 50  # records of a class after which a swift way is worth its making: a command makes one job

if TYPE_CHECKING:
    from dataclasses import replace as changed
    from functools import cached_property as once
    from typing import TypeVar

    T = TypeVar("T")

    def swift(cls: type[T]) -> type[T]: ...

else:

    def swift(cls):
        """A frozen dataclass whose records are filled in one go, not by a call for each member: a third of the cost.

        For records that are made at every request and check nothing. A small one that is kept takes more memory so.
        """
        slow, made = cls.__init__, 0
        assert not hasattr(cls, "__post_init__")

        @wraps(slow)
        def counted(self, /, *given, **members):
            nonlocal made
            made += 1
            if made == _MANY:
                cls.__init__ = wraps(slow)(_filling(cls))
            slow(self, *given, **members)

        cls.__init__ = counted
        return cls

    def _filling(cls):
        """The function that fills a record; it takes what the dataclass's own does."""
        known, parameters, keywords, members = {"absent": MISSING}, [], [], []
        for item in fields(cls):
            asked = taken = item.name
            if item.default is not MISSING:
                known[f"{item.name}_else"] = item.default
                asked = f"{item.name}={item.name}_else"
            elif item.default_factory is not MISSING:
                known[f"{item.name}_made"] = item.default_factory
                asked = f"{item.name}=absent"
                taken = f"{item.name}_made()" + (f" if {item.name} is absent else {item.name}" if item.init else "")
            if item.init:
                (keywords if item.kw_only else parameters).append(asked)
            members.append(f"{item.name!r}: {taken}")
        listed = ", ".join(["self", *parameters, *(["*", *keywords] if keywords else [])])
        text = f"def __init__({listed}):\n    self.__dict__.update({{{', '.join(members)}}})"
        exec(text, known)  # noqa: S102 - as dataclasses make theirs, of nothing but the names of members
        return known["__init__"]

    def changed(record, /, **members):
        """As `dataclasses.replace`, a sixth of its cost: for records that check nothing when they are made.

        A look at a job makes several snapshots of thirty members. Raises TypeError for a member the record has not.
        """
        held = vars(record)
        copy = object.__new__(type(record))
        own = vars(copy)
        own.update(held)
        own.update(members)
        if len(own) != len(held):
            raise TypeError(f"{type(record).__name__} has no {sorted(members.keys() - held.keys())[0]!r}")
        return copy

    class _Once:
        """As `functools.cached_property`, without the lock it has before Python 3.12."""

        def __init__(self, work):
            self.work, self.__doc__ = work, work.__doc__

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, record, owner=None):
            if record is None:
                return self
            value = vars(record)[self.name] = self.work(record)
            return value

    once = _Once
