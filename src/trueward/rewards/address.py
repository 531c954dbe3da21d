"""Addresses of rewards: the text by which a worker process finds the same reward again.

    file.py:name        package.module:name        module:Class.method        reasoning_gym:NAME
    hf:PATH             http://HOST:PORT/PATH      https://…

each with or without a call whose arguments are literals: `trl.rewards:get_repetition_penalty_reward(ngram_size=3)`,
`hf:path/to/model(max_length=512)`.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import fnmatch
import inspect
import os
import re
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from trueward.errors import RewardError
from trueward.rewards.foreign import Leaf, wrap
from trueward.rewards.locate import file_of, functions_in, module_at, module_named
from trueward.rewards.reasoning_gym import reasoning_gym_leaf, set_names

_FORMS = (
    "'file.py:name', 'package.module:name', 'reasoning_gym:NAME', 'hf:PATH' or a URL, with literal arguments where a "
    "call makes it"
)
_PARTS = re.compile(r"(?P<place>.+?):(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*(?P<call>\(.*\))?\s*", re.DOTALL)
_MODEL_OR_URL = re.compile(r"(?P<name>(?P<place>hf|(?i:https?)):.+?)\s*(?P<call>\([^()]*=.*\)|\(\s*\))?\s*", re.DOTALL)
_GYM = "reasoning_gym"
_MODEL = "hf"
_URL = ("http", "https")


@dataclass(frozen=True)
class Address:
    """An address taken apart.

    Attributes:
        typed: as it was given.
        place: file, module, "reasoning_gym", "hf", "http" or "https".
        name: attribute, dotted where it lies in a class; the path of a model; the whole URL.
        arguments: positional and keyword arguments of the call; None without a call.
    """

    typed: str
    place: str
    name: str
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]] | None

    @property
    def is_file(self) -> bool:
        """True when the place is a path."""
        return self.place.endswith(".py") or "/" in self.place or os.sep in self.place or os.path.isfile(self.place)


def parse(address: str) -> Address:
    """Take an address apart.

    Raises:
        RewardError: it has none of the known forms, or an argument is not a literal.
    """
    matched = _MODEL_OR_URL.fullmatch(address.strip()) or _PARTS.fullmatch(address.strip())
    if matched is None:
        raise RewardError(_unreadable(shown(address)))
    place, call = matched["place"], matched["call"]
    place = place.lower() if place.lower() in _URL else place
    name = matched["name"].removeprefix(f"{_MODEL}:") if place == _MODEL else matched["name"]
    return Address(address, place, name, None if call is None else _literal_arguments(call, shown(address)))


def shown(address: str) -> str:
    """An address as it may be printed: a URL without what could be a secret, everything else as it is."""
    if "://" not in address:
        return address
    from trueward.rewards.remote import without_secrets

    matched = _MODEL_OR_URL.fullmatch(address.strip())
    if matched is None:
        return without_secrets(address.strip())
    return without_secrets(matched["name"]) + (matched["call"] or "")


def _unreadable(address: str) -> str:
    path = Path(address.strip())
    if path.is_file():
        names = functions_in(path)
        listed = f", for example '{path}:{names[0]}' (it defines {', '.join(names)})" if names else f" as '{path}:name'"
        return f"{address!r} names a file but no reward: add a colon and the function{listed}"
    if ":" not in address:
        return f"{address!r} has no colon: a reward is given as {_FORMS}"
    return f"{address!r} cannot be read as an address: expected {_FORMS}"


def _literal_arguments(call: str, address: str) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    try:
        node = ast.parse(f"f{call}", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RewardError(f"{address!r}: the arguments {call} cannot be read: {error}") from error
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise RewardError(f"{address!r}: expected one call with literal arguments, as in make(k=3), got {call}")
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if None in keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        raise RewardError(f"{address!r}: * and ** are not evaluated; write every argument out")
    positional = tuple(_literal(argument, address) for argument in node.args)
    return positional, {str(name): _literal(node, address) for name, node in keywords.items()}


def _literal(node: ast.expr, address: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise RewardError(
            f"{address!r}: the argument {ast.unparse(node)} is not a literal; numbers, text in quotes, True, False, "
            "None, and lists, tuples, sets and dicts of these are. For anything else write a function in a file"
        ) from error


def load(address: str) -> Leaf:
    """Find a reward.

    Args:
        address: see the module's docstring.

    Raises:
        RewardError: it cannot be found or called. The message quotes the address and says what to do.
        MissingExtra: it needs a library that is not installed.

    Example:
        >>> load("trl.rewards:get_repetition_penalty_reward(ngram_size=2, max_penalty=-1.0)").kind  # doctest: +SKIP
        'trl'
    """
    parts = parse(address)
    if parts.place == _GYM:
        positional, config = parts.arguments or ((), {})
        if positional:
            raise RewardError(f"{address!r}: give the arguments of a set by name, as in {parts.name}(size=20, seed=0)")
        return reasoning_gym_leaf(parts.name, config)
    if parts.place == _MODEL or parts.place in _URL:
        return _model_or_url(parts)
    found = _object(parts)
    try:
        return wrap(found, str(getattr(found, "__name__", None) or parts.name.rpartition(".")[2]))
    except RewardError as error:
        raise RewardError(f"{address!r}: {error}") from error


def load_object(address: str) -> Any:
    """What a file or a module has under a name, called where the address has arguments, and otherwise as it is.

    Args:
        address: "file.py:name", "package.module:name", or either with literal arguments.

    Raises:
        RewardError: it cannot be found, or it is the address of a model, a server or a reasoning-gym set.
    """
    parts = parse(address)
    if parts.place == _GYM or parts.place == _MODEL or parts.place in _URL:
        raise RewardError(f"{shown(address)!r} scores text; here a function in a file or module is needed")
    return _object(parts)


def _object(parts: Address) -> Any:
    if parts.is_file:
        module = module_at(parts.place)
    elif re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", parts.place):
        module = module_named(parts.place, parts.typed)
    else:
        raise RewardError(f"{parts.typed!r}: {parts.place!r} is neither a Python file nor a module; expected {_FORMS}")
    found = _attribute(module, parts)
    return found if parts.arguments is None else _called(found, parts)


def _model_or_url(parts: Address) -> Leaf:
    positional, named = parts.arguments or ((), {})
    if positional:
        raise RewardError(f"{shown(parts.typed)!r}: give the arguments by name, as in (batch_size=8)")
    # Imported here because few workers need them.
    if parts.place == _MODEL:
        from trueward.rewards.models.sequence_classifier import sequence_classifier

        return sequence_classifier(parts.name, named)
    from trueward.rewards.remote import remote_reward

    return remote_reward(parts.name, named)


def _attribute(module: ModuleType, parts: Address) -> Any:
    found: Any = module
    for step in parts.name.split("."):
        owner = found
        try:
            found = getattr(owner, step)
        except AttributeError as error:
            raise RewardError(_no_attribute(module, owner, step, parts)) from error
        except ImportError as error:  # modules that import their parts when asked for them
            raise RewardError(f"{parts.typed!r}: {step} cannot be imported: {error}") from error
        if inspect.isclass(owner) and inspect.isfunction(found) and inspect.isfunction(vars(owner).get(step)):
            raise RewardError(
                f"{parts.typed!r}: {step} is a method of {owner.__name__} and needs an object; give the class with its "
                f"arguments, as in '{parts.place}:{owner.__name__}()', or make it a static method"
            )
    return found


def _no_attribute(module: ModuleType, owner: Any, step: str, parts: Address) -> str:
    where = parts.place if owner is module else f"{parts.place}:{getattr(owner, '__name__', owner)}"
    names = [name for name in dir(owner) if not name.startswith("_")]
    own = [name for name in names if callable(getattr(owner, name, None)) and _defined_in(owner, name)]
    close = difflib.get_close_matches(step, names, n=3, cutoff=0.6)
    if close:
        return f"{parts.typed!r}: {where} has no {step!r}. Did you mean {' or '.join(close)}?"
    listed = f"It has {', '.join(own[:20])}." if own else "It defines no function."
    return f"{parts.typed!r}: {where} has no {step!r}. {listed}"


def _defined_in(owner: Any, name: str) -> bool:
    """True for what a module defines itself or re-exports from its own package, rather than imports from elsewhere."""
    if not isinstance(owner, ModuleType):
        return True
    home = str(getattr(getattr(owner, name), "__module__", ""))
    return home == owner.__name__ or home.startswith(f"{owner.__name__}.")


def _called(found: Any, parts: Address) -> Any:
    if not callable(found):
        raise RewardError(f"{parts.typed!r}: {parts.name} is of type {type(found).__name__} and cannot be called")
    positional, keywords = parts.arguments or ((), {})
    try:
        return found(*positional, **keywords)
    except Exception as error:
        try:
            shown = f" Its parameters are {inspect.signature(found)}."
        except (TypeError, ValueError):
            shown = ""
        raise RewardError(
            f"{parts.typed!r}: making the reward failed with {type(error).__name__}: {error}.{shown}"
        ) from error


def address_of(reward: object) -> str | None:
    """The address under which a worker finds this same reward, or None.

    None for closures, lambdas, functions of the running script, and objects whose state no address can tell. A frozen
    dataclass whose fields are literals is written as a call of its class.

    Example:
        >>> import json
        >>> address_of(json.loads), address_of(lambda completion: 1.0)
        ('json:loads', None)
    """
    if inspect.isclass(reward) or inspect.isfunction(reward) or inspect.isbuiltin(reward) or inspect.ismethod(reward):
        return _place_and_name(reward)
    if dataclasses.is_dataclass(reward) and not isinstance(reward, type):
        return _dataclass_address(reward)
    return None


def _place_and_name(named: Any) -> str | None:
    module = sys.modules.get(getattr(named, "__module__", None) or "")
    name = getattr(named, "__qualname__", "")
    if module is None or module.__name__ == "__main__" or not name or "<" in name:
        return None
    found: Any = module
    for step in name.split("."):
        found = getattr(found, step, None)
    # A class method is a new object at every access; equality compares function and class.
    of_class = inspect.ismethod(named) and inspect.isclass(named.__self__)
    if found is not named and not (of_class and found == named):
        return None
    return f"{_place_of(module)}:{name}"


def _place_of(module: ModuleType) -> str:
    """A path where a fresh process would not find the module by its name: beside a script, or loaded from a path."""
    private = file_of(module.__name__)
    if private is not None:
        return private
    path = getattr(module, "__file__", None)
    if path is None or "." in module.__name__ or hasattr(module, "__path__") or not path.endswith(".py"):
        return module.__name__
    installed = {os.path.realpath(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    real = os.path.realpath(path)
    return module.__name__ if os.path.dirname(real) in installed else real


def _dataclass_address(reward: Any) -> str | None:
    if not type(reward).__dataclass_params__.frozen:
        return None
    place = _place_and_name(type(reward))
    arguments = []
    for field in dataclasses.fields(reward):
        if not field.init:
            continue
        value = getattr(reward, field.name)
        try:
            again = ast.literal_eval(repr(value))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
        if type(again) is not type(value) or again != value:
            return None
        arguments.append(f"{field.name}={value!r}")
    return None if place is None else f"{place}({', '.join(arguments)})"


def expand(address: str) -> list[str]:
    """All addresses that a pattern stands for.

    Args:
        address: `reasoning_gym:` with `*`, `?` or `[…]` in the name stands for every set that can be made without
            arguments and whose name fits; everything else stands for itself.

    Raises:
        RewardError: no set fits.
        MissingExtra: reasoning-gym is not installed.
    """
    place, _, pattern = address.strip().partition(":")
    if place != _GYM or "(" in pattern or not any(sign in pattern for sign in "*?["):
        return [address]
    names = set_names()
    found = fnmatch.filter(names, pattern)
    if not found:
        raise RewardError(f"{address!r} fits none of the {len(names)} sets; 'reasoning_gym:*' names them all")
    return [f"{_GYM}:{name}" for name in found]
