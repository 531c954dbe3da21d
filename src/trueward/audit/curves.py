"""Over-optimisation curves of logged samples: what best-of-n by the proxy earns in proxy and in gold."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueward.errors import AuditError, DataError, MissingExtra
from trueward.measures.best_of_n import Curve as Measured
from trueward.measures.best_of_n import averaged, expected_rewards, pass_at_k
from trueward.report.document import Curve
from trueward.tasks.text.columns import PROMPT_COLUMNS
from trueward.tasks.text.rollouts import log_files, number_of, read_files
from trueward.tasks.text.values import shown

LEAST_SHARE = 0.9
"""Of the median number of samples. Prompts with fewer are left out, because the largest n is what every prompt has."""

LEAST_PROMPTS = 10
GROUP_COLUMNS = ("group", "group_id", "prompt_id")


@dataclass(frozen=True)
class Samples:
    """Scored samples of one prompt each.

    Attributes:
        groups: proxy and gold of the samples of every prompt, each an array of one length.
        failed: samples without a finite proxy or gold, which are in none of them.
        by: the columns that say which samples belong together.
    """

    groups: Sequence[tuple[np.ndarray, np.ndarray]]
    failed: int
    by: tuple[str, ...]


def curve_of(path: str | Path, proxy: str, gold: str, n: Sequence[int] | None = None) -> Curve:
    """The curve of a file of samples, or of all files of a folder.

    Samples belong together when they have the same group (column `group`, `group_id` or `prompt_id`); without such a
    column, the same prompt; and the same step where there are several, because every step has another policy. Every
    prompt uses all its samples, whatever their number: the expectation is exact for each. Prompts with less than 90 %
    of the median number are left out, and the largest n is the smallest number that any of the others has, so that a
    few failed samples cost neither their prompt nor most of the curve.

    Args:
        path: .parquet, .jsonl or .json, or a folder of them.
        proxy: column that best-of-n chooses by.
        gold: column of what is really wanted.
        n: numbers of samples; by default the powers of two up to the largest n, and that.

    Raises:
        DataError: the file cannot be read, lacks a column, or holds no numbers in it.
        AuditError: no prompt has two samples, or an n is larger than the prompts have samples.
    """
    samples = _grouped(Path(path), proxy, gold)
    groups, notices = _chosen(samples, str(path))
    largest = min(len(group[0]) for group in groups)
    sizes = sorted(set(n)) if n else _powers(largest)
    if sizes[0] < 1 or sizes[-1] > largest:
        raise AuditError(
            f"{path}: n must lie in 1…{largest}, the number of samples that every prompt has; "
            f"got {', '.join(map(str, sizes))}"
        )
    by_proxy, by_gold = _expected(groups, sizes)
    measured = averaged(by_proxy, by_gold, sizes)
    sentence = _sentence(measured, len(groups))
    return Curve(
        source=str(path),
        proxy=proxy,
        gold=gold,
        prompts=len(groups),
        samples=largest,
        n=list(measured.n),
        kl=measured.kl.tolist(),
        proxy_mean=measured.proxy.tolist(),
        proxy_low=measured.proxy_interval[0].tolist(),
        proxy_high=measured.proxy_interval[1].tolist(),
        gold_mean=measured.gold.tolist(),
        gold_low=measured.gold_interval[0].tolist(),
        gold_high=measured.gold_interval[1].tolist(),
        pass_at_k=_pass_at_k(groups, sizes),
        peak=measured.n[measured.peak],
        notices=[*([sentence] if sentence else []), *notices],
    )


def _powers(largest: int) -> list[int]:
    powers = [2**exponent for exponent in range(largest.bit_length())]
    return powers if powers[-1] == largest else [*powers, largest]


def _grouped(path: Path, proxy: str, gold: str) -> Samples:
    """The samples of every prompt; failed ones left out."""
    columns, by = _read(path, proxy, gold)
    proxies, golds = (np.array([_value(value) for value in columns[name]]) for name in (proxy, gold))
    for name, values in ((proxy, proxies), (gold, golds)):
        if np.isnan(values).all():
            raise DataError(f"{path}: column {shown(name)} holds no number; expected one for each sample")
    scored = ~(np.isnan(proxies) | np.isnan(golds))
    places: dict[Hashable, list[int]] = {}
    for place, key in enumerate(zip(*(columns[name] for name in by), strict=True)):
        of_key = places.setdefault(key, [])
        if scored[place]:
            of_key.append(place)
    groups = [(proxies[of_one], golds[of_one]) for of_one in places.values()]
    return Samples(groups, int((~scored).sum()), by)


def _value(value: Any) -> float:
    number = number_of(value)
    return float("nan") if number is None else number


def _read(path: Path, proxy: str, gold: str) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
    """The columns that matter, and those of them that tell which samples belong together."""
    files = log_files(path)
    names = _names(files)
    for wanted in (proxy, gold):
        if wanted not in names:
            raise DataError(f"{path}: no column {shown(wanted)}; it has {', '.join(map(shown, names))}")
    by_step = ["step"] if "step" in names else []
    columns = _columns(path, files, list(dict.fromkeys((proxy, gold, *by_step))))
    for key in (*GROUP_COLUMNS, *PROMPT_COLUMNS):
        if key not in names:
            continue
        values = [_hashable(value) for value in _columns(path, files, [key])[key]]
        if any(value is None or value == "" for value in values) and key in GROUP_COLUMNS:
            continue  # logged, but not for these samples
        several_steps = len(set(columns["step"])) > 1 if by_step else False
        return {**columns, key: values}, (key, "step") if several_steps else (key,)
    expected = ", ".join((*GROUP_COLUMNS, *PROMPT_COLUMNS))
    raise DataError(f"{path}: nothing tells which samples belong to one prompt; expected a column {expected}")


def _hashable(value: Any) -> Hashable:
    """Chat messages as text; what is text or a number already stays."""
    return value if isinstance(value, str | int | float) or value is None else repr(value)


def _names(files: Sequence[Path]) -> list[str]:
    if not _are_parquet(files):
        return list(dict.fromkeys(name for file in read_files(files[0]) for row in file.records for name in row.values))
    from pyarrow import ArrowException, parquet

    try:
        return [str(name) for name in parquet.read_schema(files[0]).names]
    except (ArrowException, OSError) as error:
        raise DataError(f"{files[0]}: cannot be read as Parquet: {error}") from None


def _are_parquet(files: Sequence[Path]) -> bool:
    if not all(file.suffix.lower() == ".parquet" and file.is_file() for file in files):
        return False
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingExtra(f"{files[0]}: reading Parquet needs pyarrow; pip install 'trueward[audit]'") from None
    return True


def _columns(path: Path, files: Sequence[Path], wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Of Parquet only the columns that are wanted: half a million completions are gigabytes of text."""
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    if not _are_parquet(files):
        rows: list[Mapping[str, Any]] = [row.values for file in read_files(path) for row in file.records]
        return {name: [row.get(name) for row in rows] for name in wanted}
    from pyarrow import ArrowException, parquet

    for file in files:
        try:
            table = parquet.read_table(file, columns=list(wanted))
        except (ArrowException, OSError) as error:
            raise DataError(f"{file}: cannot be read as Parquet: {error}") from None
        for name in wanted:
            if name not in table.column_names:
                raise DataError(f"{file}: no column {shown(name)}, which {files[0].name} has")
            columns[name] += table.column(name).to_pylist()
    return columns


def _chosen(samples: Samples, source: str) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[str]]:
    """The prompts that the curve is made from, and what is to be said about them."""
    counts = sorted(len(group[0]) for group in samples.groups)
    enough = LEAST_SHARE * counts[len(counts) // 2]
    largest = next(count for count in counts if count >= enough)
    if largest < 2:
        raise AuditError(
            f"{source}: best-of-n needs at least two scored samples of a prompt, and the {len(counts):,} prompts (by "
            f"{' and '.join(samples.by)}) have {largest}; log several samples for each prompt"
        )
    groups = [group for group in samples.groups if len(group[0]) >= largest]
    notices = []
    if samples.failed:
        notices.append(f"{samples.failed:,} samples without a proxy or gold score were left out")
    if left_out := len(samples.groups) - len(groups):
        notices.append(f"{left_out:,} of {len(samples.groups):,} prompts have fewer than {largest:,} samples, left out")
    if counts[-1] > largest:
        notices.append(f"prompts have {largest:,} to {counts[-1]:,} samples; all are used, and n ends at {largest:,}")
    if "step" in samples.by:
        notices.append(f"samples belong together by {' and '.join(samples.by)}")
    if len(groups) < LEAST_PROMPTS:
        notices.append(f"{len(groups)} prompts are too few for intervals by resampling them; these are too narrow")
    return groups, notices


def _expected(groups: Sequence[tuple[np.ndarray, np.ndarray]], sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Expected proxy and gold, prompts × n; prompts with the same number of samples in one go."""
    by_count: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for group in groups:
        by_count.setdefault(len(group[0]), []).append(group)
    made = [
        expected_rewards(np.stack([p for p, _ in same]), np.stack([g for _, g in same]), sizes)
        for same in by_count.values()
    ]
    return np.concatenate([p for p, _ in made]), np.concatenate([g for _, g in made])


def _pass_at_k(groups: Sequence[tuple[np.ndarray, np.ndarray]], sizes: Sequence[int]) -> list[float] | None:
    """Mean pass@k where gold is 0 or 1."""
    if not all(np.isin(gold, (0.0, 1.0)).all() for _, gold in groups):
        return None
    correct = np.array([int(gold.sum()) for _, gold in groups])
    mean: list[float] = pass_at_k(correct, np.array([len(gold) for _, gold in groups]), sizes).mean(axis=0).tolist()
    return mean


def _sentence(measured: Measured, prompts: int) -> str:
    """What the curve shows, where the interval of the paired difference leaves no doubt; else nothing."""
    low, high = measured.fall_interval
    rise = float(measured.proxy[-1] - measured.proxy[measured.peak])
    if prompts < LEAST_PROMPTS or low <= 0 or rise <= 0:
        return ""
    return (
        f"gold peaks at n = {measured.n[measured.peak]:,} and falls by {measured.fall:.3g} [{low:.3g}, {high:.3g}] to "
        f"n = {measured.n[-1]:,} while the proxy rises by {rise:.3g}"
    )
