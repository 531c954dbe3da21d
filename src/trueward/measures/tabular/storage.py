"""MDPs in files: NumPy archives of plain arrays, nothing pickled.

Keys: `start` [S], `discount`, `terminal` [S], and either `transitions` [S, A, S] or, for sparse ones of shape [S·A, S],
`data`, `indices` and `indptr` in compressed rows.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from trueward.errors import DataError
from trueward.measures.tabular.mdp import TabularMDP


def save_mdp(mdp: TabularMDP, path: str | Path) -> None:
    """Writes an MDP. The name is taken as it is given."""
    if mdp.is_sparse:
        rows = mdp.transitions
        stored = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr}
    else:
        stored = {"transitions": mdp.transitions}
    # A file object keeps NumPy from adding a suffix to the name.
    with Path(path).open("wb") as file:
        np.savez_compressed(file, start=mdp.start, discount=np.float64(mdp.discount), terminal=mdp.terminal, **stored)


def load_mdp(path: str | Path) -> TabularMDP:
    """Reads an MDP.

    Raises:
        DataError: there is no such file, it is no archive of these keys, or what it holds is no MDP.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            stored = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as an MDP (expected a .npz archive): {error}") from error
    dense, sparse = {"transitions"}, {"data", "indices", "indptr"}
    missing = ({"start", "discount"} if dense <= stored.keys() or sparse <= stored.keys() else {"transitions"}) - set(
        stored
    )
    if missing:
        raise DataError(
            f"{path}: an MDP needs transitions (or data, indices, indptr), start and discount; missing: "
            f"{', '.join(sorted(missing))}; found: {', '.join(sorted(stored)) or 'nothing'}"
        )
    try:
        return TabularMDP(
            stored["transitions"] if "transitions" in stored else _compressed_rows(stored),
            np.asarray(stored["start"], dtype=np.float64),
            float(stored["discount"]),
            stored.get("terminal"),
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error


def _compressed_rows(stored: dict[str, np.ndarray]) -> object:
    from scipy import sparse

    shape = (len(stored["indptr"]) - 1, len(stored["start"]))
    rows = sparse.csr_matrix((stored["data"], stored["indices"], stored["indptr"]), shape=shape)
    # Indices out of range would be read out of bounds later.
    rows.check_format(full_check=True)
    return rows
