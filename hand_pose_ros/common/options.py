"""Options declared once: frozen dataclasses whose fields carry a description and a range.

A configuration is a subclass of :class:`Options`. Its fields are single options (:func:`option`), groups of
options (:func:`section`), or a choice between groups (:func:`one_of`). Everything else derives from these
declarations: node parameters, the parameter file, the tables of the documentation, ``--help``. They use the
options under flat, dotted names: ``samples`` of the group ``diffusion`` is ``diffusion.samples``. Other fields of
the dataclass are plain arguments, which the code that makes the configuration sets.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from hand_pose_ros.files.bounded_text import shortened, shown

AnyOptions = TypeVar("AnyOptions", bound="Options")


@dataclass(frozen=True)
class Spec:
    """The properties of an option other than its name, type and default.

    minimum, maximum: inclusive; None for unbounded.
    choices: the only values allowed; empty for any.
    unset: the flat value that stands for None, since YAML parameters of ROS cannot be null.
    read_only: a node reads it at start only.
    essential: the short help of a node lists it.
    """

    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unset: Any = None
    read_only: bool = False
    essential: bool = False


class Leaf(NamedTuple):
    """One option under its flat name, with its flat default: a bool, int, float, str or list of these."""

    name: str
    default: Any
    spec: Spec


class Group(NamedTuple):
    """A field that holds further options.

    kinds: name -> class. A section has one, under the name of its field; '' if its options have no prefix.
    default, description, essential: of the choice; '' and False for a section.
    """

    kinds: Mapping[str, type[Options]]
    default: str = ""
    description: str = ""
    read_only: bool = False
    essential: bool = False


def option(default: Any, description: str, **spec: Any) -> Any:
    """A field that is one option; the further arguments are those of :class:`Spec`."""
    return dataclasses.field(default=default, metadata={"options": Spec(description, **spec)})


def section(kind: type[Options], name: str = "", read_only: bool = False) -> Any:
    """A field that is a group of options, under the prefix ``name``; without a prefix if it is empty."""
    group = Group({name: kind}, read_only=read_only)
    return dataclasses.field(default_factory=kind, metadata={"options": group})


def one_of(
    kinds: Mapping[str, type[Options]], default: str, description: str, essential: bool = False
) -> Any:
    """A field that is one of several groups; an option of the field's name says which, by its key in ``kinds``."""
    group = Group(kinds, default, description, essential=essential)

    def make() -> Options:  # looks the class up when called: the table may have changed since the declaration
        return kinds[default]()

    return dataclasses.field(default_factory=make, metadata={"options": group})


@dataclass(frozen=True)
class Options:
    """Base of a configuration.

    Raises:
        ValueError: a value has the wrong type, lies out of its range or is none of the choices.
    """

    def __post_init__(self) -> None:
        for name, declared in _declared(type(self)):
            value = getattr(self, name)
            if isinstance(declared, Group):
                if type(value) not in declared.kinds.values():
                    allowed = ", ".join(kind.__name__ for kind in declared.kinds.values())
                    raise ValueError(f"{name} must be one of {allowed}, got {shown(value)}")
                continue
            value = _converted(name, value, _hints(type(self))[name])
            _check(name, value, declared)
            object.__setattr__(self, name, value)

    @classmethod
    def from_flat(cls: type[AnyOptions], values: Mapping[str, Any]) -> AnyOptions:
        """A configuration from values by flat name; what is missing keeps its default.

        Raises:
            ValueError: an unknown name, or a value that is not allowed.
        """
        known = [leaf.name for leaf in leaves(cls)]
        if unknown := [name for name in values if name not in known]:
            known_text = f"known are {', '.join(known)}" if known else "there are none"
            raise ValueError(f"unknown option: {shortened(', '.join(unknown))}; {known_text}")
        return _built(cls, values, "")

    def flat(self) -> dict[str, Any]:
        """Every option by flat name; those of groups that are not chosen have their defaults."""
        return {leaf.name: leaf.default for leaf in _walk(type(self), self)}


def leaves(kind: type[Options]) -> list[Leaf]:
    """All options of a configuration, in the order of their declaration."""
    return list(_walk(kind, None))


def _walk(kind: type[Options], instance: Options | None, prefix: str = "") -> Iterator[Leaf]:
    """The options, with the values of ``instance`` as defaults, or the declared ones if None."""
    instance = instance if instance is not None else kind()
    for name, declared in _declared(kind):
        value = getattr(instance, name)
        if isinstance(declared, Spec):
            flat = declared.unset if value is None else list(value) if isinstance(value, tuple) else value
            yield Leaf(prefix + name, flat, declared)
            continue
        if declared.default:
            chosen = next(key for key, one in declared.kinds.items() if one is type(value))
            spec = Spec(declared.description, choices=tuple(declared.kinds), essential=declared.essential)
            yield Leaf(prefix + name, chosen, spec)
        for key, one in declared.kinds.items():
            inner = f"{prefix}{key}." if key else prefix
            for leaf in _walk(one, value if type(value) is one else None, inner):
                spec = dataclasses.replace(leaf.spec, read_only=declared.read_only or leaf.spec.read_only)
                yield leaf._replace(spec=spec)


def _built(kind: type[AnyOptions], values: Mapping[str, Any], prefix: str) -> AnyOptions:
    arguments: dict[str, Any] = {}
    for name, declared in _declared(kind):
        full = prefix + name
        if isinstance(declared, Spec):
            if full in values:
                unset = declared.unset is not None and values[full] == declared.unset
                arguments[name] = None if unset else values[full]
            continue
        # All groups are built, so that a wrong value is named even where another group is chosen.
        built = {
            k: _built(one, values, f"{prefix}{k}." if k else prefix) for k, one in declared.kinds.items()
        }
        chosen = values.get(full, declared.default) if declared.default else next(iter(built))
        if not isinstance(chosen, str) or chosen not in built:
            raise ValueError(f"{full} must be one of {', '.join(built)}, got {shown(chosen)}")
        arguments[name] = built[chosen]
    try:
        return kind(**arguments)
    except ValueError as error:
        if prefix and str(error).split(maxsplit=1)[0] in arguments:
            raise ValueError(f"{prefix}{error}") from error
        raise


@lru_cache
def _declared(kind: type[Options]) -> list[tuple[str, Spec | Group]]:
    fields = dataclasses.fields(kind)
    return [(field.name, field.metadata["options"]) for field in fields if "options" in field.metadata]


@lru_cache
def _hints(kind: type[Options]) -> dict[str, Any]:
    return get_type_hints(kind)


def _converted(name: str, value: Any, expected: Any) -> Any:
    """``value`` as the expected type, if the conversion loses nothing."""
    if get_origin(expected) in (Union, types.UnionType):
        if value is None:
            return None
        expected = next(one for one in get_args(expected) if one is not types.NoneType)
    if get_origin(expected) is tuple:
        inner = get_args(expected)
        if not isinstance(value, list | tuple) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
            length = "" if inner[-1] is Ellipsis else f"{len(inner)} "
            raise ValueError(f"{name} must be a list of {length}values, got {shown(value)}")
        return tuple(_converted(name, one, inner[0]) for one in value)
    if isinstance(value, int) and not isinstance(value, bool) and expected in (float, str):
        try:
            return expected(value)
        except (OverflowError, ValueError) as error:
            raise ValueError(f"{name} must be a {expected.__name__}: {error}") from error
    if type(value) is not expected:
        raise ValueError(f"{name} must be a {expected.__name__}, got {shown(value)}")
    return value


def _check(name: str, value: Any, spec: Spec) -> None:
    for one in value if isinstance(value, tuple) else (value,):
        if one is None:
            continue
        if isinstance(one, float) and not math.isfinite(one):
            raise ValueError(f"{name} must be finite, got {shown(one)}")
        if spec.minimum is not None and one < spec.minimum:
            raise ValueError(f"{name} must be at least {spec.minimum:g}, got {shown(one)}")
        if spec.maximum is not None and one > spec.maximum:
            raise ValueError(f"{name} must be at most {spec.maximum:g}, got {shown(one)}")
        if spec.choices and one not in spec.choices:
            raise ValueError(f"{name} must be one of {', '.join(spec.choices)}, got {shown(one)}")
