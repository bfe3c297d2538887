"""What dead processes left behind in a store, and copies left out."""

import contextlib

from dlcore.engine.durable.claims import Claims
from dlcore.engine.durable.folder import FOLDERS, Store
from dlcore.engine.durable.parts import remove_leftovers


def tidy(store: Store, claims: Claims) -> None:
    """Remove temporary files, claims and states that nobody needs; make folders that are missing. Nothing raises.

    Of a store that cannot be written to, whoever has something to write says so.
    """
    for folder in ("", *FOLDERS):
        with contextlib.suppress(OSError):  # copies may leave out what is empty
            (store.path / folder).mkdir(exist_ok=True)
        remove_leftovers(store.path / folder)
    claims.remove_dead()
    _drop_states(store, claims)


def _drop_states(store: Store, claims: Claims) -> None:
    """Remove states from the midst of runs where later ones are there, and those whose part was never written.

    Whoever writes a state has a claim until its part is there. So this looks for states first, for claims then, for
    parts last.
    """
    there = set(store.names("states"))
    nobody_computes = not claims.others()
    store.refresh()
    known = store.pieces_by_part()
    for name in there:
        if name not in known:
            useless = nobody_computes
        else:
            useless = all(
                not piece.final and any(other.end > piece.end and other.name in there for other in pieces)
                for piece, pieces in known[name]
            )
        if useless:
            store.drop_state(name)
