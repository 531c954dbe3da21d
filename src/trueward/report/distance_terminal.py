"""Distances of rewards on a terminal: two in words, more as tables."""

from __future__ import annotations

from collections.abc import Sequence

from trueward.report.curve_terminal import aligned
from trueward.report.distance_document import DistanceDocument
from trueward.report.escape import visible

_LONGEST_NAME = 60
_SAME = 1e-7

_ENDS = {
    "starc": "0: they order all policies alike. 2: they are opposite. 1.41: they have nothing to do with each other.",
    "starc_other": "0: they order all policies alike, where the canonical form is value or minimal.",
    "epic": "0: the same but for shaping and scale. .71: uncorrelated. 1: opposite. It does not see that a reward may "
    "be spread over next states without a change for any policy.",
    "dard": "as epic, with next states that the dynamics lead to.",
}


def distance_lines(document: DistanceDocument) -> list[str]:
    """What was compared, the distances with what they mean, the regrets, and rewards that say nothing.

    Example:
        a.npy and b.npy in world.npz (32 states, 4 actions, discount 0.95)

        starc  0.2310  close
        regret under a.npy of optimising b.npy  0.031
    """
    names = [visible(reward["name"], _LONGEST_NAME) for reward in document["rewards"]]
    world = document["mdp"]
    size = f"{world['states']:,} states, {world['actions']:,} actions, discount {world['discount']:g}"
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    lines = [f"{listed} in {visible(world['name'], _LONGEST_NAME)} ({size})", ""]
    lines += _pair(document, names) if len(names) == 2 else _tables(document, names)
    lines += ["", *(f"{name}: {_meaning(name, document)}" for name in document["distances"])]
    lines += [
        f"{name}: all policies earn the same under it, so that nothing it says can be optimised"
        for name, reward in zip(names, document["rewards"], strict=True)
        if reward["trivial"]
    ]
    return lines


def in_words(name: str, distance: float, document: DistanceDocument) -> str:
    """What a distance between two rewards that are not trivial says; "" where there are no words for it."""
    if distance <= _SAME:
        return "no difference"
    if name == "starc" and not _angular(document):
        return ""
    # ½√(2 − 2 cos) is what EPIC and DARD give; the words are those of the angle.
    turned = distance if name == "starc" else 2 * distance
    if turned >= 2 - _SAME:
        return "exactly opposite"
    for limit, words in ((0.5, "close"), (1.2, "related"), (1.6, "little to do with each other")):
        if turned < limit:
            return words
    return "opposed"


def _pair(document: DistanceDocument, names: Sequence[str]) -> list[str]:
    said = [not reward["trivial"] for reward in document["rewards"]]
    lines = []
    for name, table in document["distances"].items():
        words = in_words(name, table[0][1], document) if all(said) else ""
        lines.append(f"{name:<5}  {table[0][1]:.4f}  {words}".rstrip())
    lines.append("")
    for judge, other in ((0, 1), (1, 0)):
        shown = _share(document["regret"][judge][other])
        lines.append(f"lost under {names[judge]} by optimising {names[other]}: {shown}")
        if document["worst_case"] is not None:
            shown = _share(document["worst_case"][judge][other])
            lines.append(f"lost under {names[judge]} at worst, by a change that {names[other]} approves of: {shown}")
    return lines


def _tables(document: DistanceDocument, names: Sequence[str]) -> list[str]:
    lines = [f"{number}  {name}" for number, name in enumerate(names, 1)]
    for name, table in document["distances"].items():
        lines += ["", name, *_table([[f"{value:.4f}" for value in row] for row in table])]
    titles = {
        "regret": "lost under the reward of the row by optimising the one of the column",
        "worst_case": "the same at worst, by a change that the one of the column approves of",
    }
    for key, losses in (("regret", document["regret"]), ("worst_case", document["worst_case"])):
        if losses is not None:
            lines += ["", titles[key], *_table([[_share(value) for value in row] for row in losses])]
    return lines


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    return aligned([["", *numbers, ""], *([number, *row, ""] for number, row in zip(numbers, rows, strict=True))])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _angular(document: DistanceDocument) -> bool:
    return document["canonical"] in ("value", "minimal") and document["norm"] == document["metric"] == "2"


def _meaning(name: str, document: DistanceDocument) -> str:
    if name != "starc":
        return _ENDS[name]
    how = f"{document['canonical']}, norm {document['norm']}, metric {document['metric']}"
    return f"{how}. {_ENDS['starc' if _angular(document) else 'starc_other']}"
