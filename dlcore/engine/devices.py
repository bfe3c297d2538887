"""Devices: programs are compiled once and loaded on each, and one copy of what they close over is placed there.

A mesh of devices is a place like one device: a program is compiled for it, and what it closes over is put on each.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakValueDictionary

import jax
import numpy as np
from jax.sharding import Mesh

from dlcore.engine import executables
from dlcore.engine.dtypes import as_numbers, bits, digest
from dlcore.engine.places import Place, check_alike, is_shared, put
from dlcore.engine.threads import DaemonThreads

MAX_PROGRAMS_KEPT = 64
T = TypeVar("T")

Options = dict[str, Any]  # of the compiler, by XLA's names


class Constants:
    """The arrays that programs close over: equal ones are one array, with one copy on each device."""

    def __init__(self) -> None:
        self._known: dict[Any, list[Any]] = {}
        self._placed: WeakValueDictionary[tuple[int, Place], jax.Array] = WeakValueDictionary()
        self._resident: dict[Place, Sequence[jax.Array]] = {}
        self._digests: dict[int, str] = {}
        self._lock = threading.Lock()

    def shared(self, value: Any) -> Any:
        """The array itself, or an equal one known already; NumPy's without a copy."""
        if not isinstance(value, jax.Array):
            value = np.asarray(value)
        alike = self._known.setdefault((type(value), value.shape, value.dtype), [])
        for known in alike:
            if known is value or (isinstance(value, np.ndarray) and _same_bytes(known, value)):
                return known
        alike.append(value)
        return value

    def digest(self, value: Any) -> str:
        """`dtypes.digest` of `value`, which was `shared`; of keys, of their integers."""
        if id(value) not in self._digests:
            self._digests[id(value)] = digest(np.asarray(as_numbers(value)))
        return self._digests[id(value)]

    def placed(self, value: Any, place: Place) -> jax.Array:
        """`value`, which was `shared`, at the place; copied once as long as somebody holds the copy."""
        with self._lock:
            return self._put(value, place)

    def keep(self, values: Sequence[Any], place: Place) -> None:
        """Have these at the place until others are kept there.

        So what two programs close over stays there when one follows the other, and what only the first of them did does
        not lie beside what the second needs.
        """
        with self._lock:
            self._resident[place] = [
                there for value in values if (there := self._placed.get((id(value), place))) is not None
            ]
            self._resident[place] = [self._put(value, place) for value in values]

    def _put(self, value: Any, place: Place) -> jax.Array:
        there = self._placed.get((id(value), place))
        if there is None:
            there = self._placed[id(value), place] = put(value, place)
        return there


class Description(NamedTuple):
    """What is known of a lowered function.

    text: its StableHLO. types: of its arguments; one that is not used leaves no trace in the text. name: of the
    program, the same in every process; None for one that calls Python, of which the text does not say what it calls.
    """

    text: str
    types: str
    name: str | None


class Executable:
    """A function lowered now, compiled once, in a thread, and loaded on each device that asks for it.

    Args:
      lower: `lower(place) -> Lowered`; called now for `place`, and for another one where the program cannot be loaded
        there: where it calls Python, is for a mesh, or JAX does not let us.
      held: the constants, the function's first argument.
      options: of the compiler.
      known: the same for functions that are lowered alike, which is done once; None if that is not known.
    """

    def __init__(
        self,
        lower: Callable[[Place], jax.stages.Lowered],
        place: Place,
        held: Sequence[Any],
        threads: DaemonThreads,
        constants: Constants,
        options: Options | None = None,
        known: Hashable | None = None,
    ):
        self.held, self.constants, self._threads = held, constants, threads
        self.options, self._lower, self._place = options, lower, place
        self._lowered: jax.stages.Lowered | None = None
        self._description = self._described(known)
        self._loadable: Future[_Loadable] | None = None

    @property
    def text(self) -> str:
        """Its StableHLO."""
        return self._description.text

    @property
    def types(self) -> str:
        """The types of its arguments."""
        return self._description.types

    def begin(self) -> None:
        """Have it compiled, unless that was asked for before."""
        if self._loadable is None:
            self._loadable = self._compile()
            self._lowered = None

    def compiled(self, place: Place) -> jax.stages.Compiled:
        """The function at a place, of the constants and its own arguments; waits until it is compiled."""
        return self._result().on(place)

    def on(self, place: Place) -> Callable[..., Any]:
        """The function at a place, with its constants there; waits until it is compiled."""
        function = self.compiled(place)
        values = [self.constants.placed(value, place) for value in self.held]
        return lambda *arguments: function(values, *arguments)

    def _result(self) -> "_Loadable":
        self.begin()
        assert self._loadable is not None
        try:
            return self._loadable.result()
        except CancelledError:  # another study, which had the same program compiled, has ended before it was
            if self._threads.closed:
                raise
            self._loadable = self._compile()
            return self._loadable.result()

    def _described(self, known: Hashable | None) -> Description:
        """The description of the function, lowered unless one that is lowered alike was."""
        settings = executables.settings()
        if known is None or settings is None or is_shared(self._place):
            return _description_of(self._lowered_here(), self.options)
        key = (known, settings, str(self.options), self._place)
        found = _descriptions.get(key)
        if found is None:
            found = _description_of(self._lowered_here(), self.options)
            _descriptions.put(key, found)
        return found

    def _lowered_here(self) -> jax.stages.Lowered:
        if self._lowered is None:
            self._lowered = self._lower(self._place)
        return self._lowered

    def _compile(self) -> "Future[_Loadable]":
        """Compile in a thread, or take the program compiled before whose text and types are the same.

        `lower` must hold no data: programs are kept for longer than the study.
        """
        if is_shared(self._place):
            check_alike(self._lowered_here(), self.held, self._place)
        lower, place, options, name = self._lower, self._place, self.options, self._description.name
        if name is None:
            lowered = self._lowered_here()
            return self._threads.submit(lambda: _Loadable(lower, lowered, place, options, None))
        with _compiling:
            future = _programs.get((name, place))
            if future is None or not _is_usable(future):
                lowered, on_others = self._lowered_here(), None if isinstance(place, Mesh) else name
                future = self._threads.submit(lambda: _Loadable(lower, lowered, place, options, on_others))
                _programs.put((name, place), future)
            return future


def _description_of(lowered: jax.stages.Lowered, options: Options | None) -> Description:
    text, types = lowered.as_text(), str(lowered.in_avals)
    described = (text, types, str(lowered.in_tree), str(lowered.out_tree), str(options))
    return Description(text, types, None if "callback" in text else executables.name_of(*described))


class _Loadable:
    """A compiled function that loads on other devices of its kind.

    Args:
      name: of the program, the same in every process; None for one that cannot be loaded elsewhere.
    """

    def __init__(
        self,
        lower: Callable[[Place], jax.stages.Lowered],
        lowered: jax.stages.Lowered,
        place: Place,
        options: Options | None,
        name: str | None,
    ):
        self._lower, self._options = lower, options
        self._first, from_cache = executables.compiled(lowered, options)
        self._on = {place: self._first}
        self._code = executables.code_of(self._first, name, from_cache) if name else None
        self._lock = threading.Lock()

    def on(self, place: Place) -> jax.stages.Compiled:
        with self._lock:
            if place not in self._on:
                loaded = executables.loaded(self._first, self._code, place) if self._code else None
                self._on[place] = loaded or self._lower(place).compile(self._options)
            return self._on[place]


def _is_usable(future: "Future[_Loadable]") -> bool:
    """Whether it has a program, or will have."""
    return not (future.cancelled() or (future.done() and future.exception() is not None))


class _Kept(Generic[T]):
    """What was used last, of all studies."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: T) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > MAX_PROGRAMS_KEPT:
                self._values.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()


_compiling = threading.Lock()  # so that two studies do not compile the same program
_programs: "_Kept[Future[_Loadable]]" = _Kept()  # by name and place
_descriptions: _Kept[Description] = _Kept()


def forget_programs() -> None:
    """Drop the compiled programs kept in memory."""
    _programs.clear()
    _descriptions.clear()


def _same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one shape and dtype hold the same bits; at once for one and the same memory."""
    if a.ctypes.data == b.ctypes.data and a.strides == b.strides:
        return True
    return a.tobytes() == b.tobytes() if a.nbytes < 1 << 16 else np.array_equal(bits(a), bits(b))
