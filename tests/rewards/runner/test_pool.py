"""The limits hold, whatever a reward does, and every honest answer gets its own score."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.errors import RewardError, WorkerError
from trueward.rewards.runner import InProcess, Item, Outcome, WorkerPool
from trueward.status import Status

HERE = Path(__file__).parent
LOADER = "leaves:load"
DEADLINE = 0.3


@pytest.fixture(scope="module", autouse=True)
def _leaves_can_be_imported() -> Iterator[None]:
    sys.path.insert(0, str(HERE))
    yield
    sys.path.remove(str(HERE))


def make(**limits: object) -> WorkerPool:
    chosen = {"workers": 2, "deadline": DEADLINE, "memory_mb": 250, "loader": LOADER, **limits}
    return WorkerPool(**chosen)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with make() as workers:
        yield workers


def score(pool: WorkerPool, texts: list[str], **options: bool) -> list[Outcome]:
    return [one[0] for one in pool.run("obedient", [[Item("p", text)] for text in texts], **options)]


@pytest.mark.parametrize(
    ("text", "status", "detail"),
    [
        ("sleep 60", Status.TIMED_OUT, "no result within 0.3 s"),
        ("exit", Status.CRASHED, "exit code 7"),
        ("close", Status.CRASHED, "closed its connection"),
        ("sys.exit bye", Status.CRASHED, "sys.exit('bye')"),
        ("raise it", Status.RAISED, "LookupError: it"),
        ("interrupt", Status.RAISED, "KeyboardInterrupt"),
        ("nan", Status.NOT_FINITE, "nan"),
        ("huge", Status.NOT_FINITE, "too large"),
        ("text", Status.WRONG_TYPE, "str 'good'"),
        ("none", Status.ABSTAINED, "None"),
        ("one score too many", Status.WRONG_COUNT, "2 scores for 1 rows"),
        ("a bare number", Status.WRONG_COUNT, "float 1.0"),
    ],
)
def test_every_failure_has_its_status(pool: WorkerPool, text: str, status: Status, detail: str) -> None:
    before, hostile, after = score(pool, ["1.5", text, "2.5"])
    assert (before.value, after.value) == (1.5, 2.5)
    assert hostile.value is None
    assert hostile.status is status
    assert detail in hostile.detail
    assert pool.size == 2


def test_eating_memory_is_stopped() -> None:
    with make(deadline=20) as patient:
        outcomes = score(patient, ["1.5", "eat", "2.5"])
        assert [o.value for o in outcomes] == [1.5, None, 2.5]
        assert (outcomes[1].status, outcomes[1].detail) == (
            Status.OUT_OF_MEMORY,
            "more than 250 MiB of resident memory",
        )
        assert patient.size == 2


def test_numbers_of_all_kinds_are_scores(pool: WorkerPool) -> None:
    assert [o.value for o in score(pool, ["3", "bool", "-0.5", "1e-300"])] == [3.0, 1.0, -0.5, 1e-300]


@pytest.mark.parametrize(("text", "effects"), [("print", {"printed"}), ("fork", {"forked"}), ("1", set())])
def test_side_effects_are_seen_and_change_nothing(pool: WorkerPool, text: str, effects: set[str]) -> None:
    outcome = score(pool, [text])[0]
    assert outcome.status is Status.OK
    assert set(outcome.effects) - {"left processes"} == effects


def test_a_forked_child_never_answers(pool: WorkerPool) -> None:
    values = [outcome.value for outcome in score(pool, ["fork", "7"] * 20)]
    assert values == [0.25, 7.0] * 20


def test_processes_left_behind_are_named_and_die_with_the_pool() -> None:
    with make(workers=1) as workers:
        assert "left processes" in score(workers, ["leave"])[0].effects
        parent = psutil.Process(int(score(workers, ["pid"])[0].value or 0))
        left = parent.children(recursive=True)
        assert left
    _, alive = psutil.wait_procs(left, timeout=3)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_thousand_answers_half_of_them_hostile() -> None:
    rng = random.Random(0)
    quick = ["raise x", "nan", "none", "text", "sys.exit 1", "print", "one score too many", "fork"]
    hostile = ["sleep 60"] * 12 + ["exit"] * 25 + ["eat"] * 6
    hostile += [rng.choice(quick) for _ in range(500 - len(hostile))]
    honest = [str(i) for i in range(500)]
    texts = honest + hostile
    rng.shuffle(texts)
    with make() as workers:
        outcomes = score(workers, texts)
        assert workers.size == 2
        for text, outcome in zip(texts, outcomes, strict=True):
            if text.isdigit():
                assert outcome.value == float(text)
            else:
                assert not outcome.status.ok or outcome.effects, text
        assert score(workers, ["5"])[0].value == 5.0


def test_capacity_after_twenty_hangs_is_what_it_was() -> None:
    with make(workers=2) as workers:
        score(workers, ["1", "1"])
        assert all(o.status is Status.TIMED_OUT for o in score(workers, ["sleep 60"] * 20, retry=False))
        assert workers.size == 2
        # One worker would have to take all of these one after the other.
        outcomes = score(workers, ["sleep 0.02"] * 40)
        assert [o.value for o in outcomes] == [0.5] * 40
        assert len({o.worker for o in outcomes}) == 2


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(8)))
def test_permuting_the_calls_permutes_the_outcomes(pool: WorkerPool, order: list[int]) -> None:
    texts = ["1", "raise x", "2", "nan", "3", "none", "4", "text"]
    plain = score(pool, texts)
    mixed = score(pool, [texts[i] for i in order])
    assert [(o.value, o.status) for o in mixed] == [(plain[i].value, plain[i].status) for i in order]


def test_a_fault_that_does_not_come_back_costs_nothing(pool: WorkerPool, tmp_path: Path) -> None:
    outcome = score(pool, [f"once {tmp_path / 'a'}"])[0]
    assert (outcome.value, outcome.status, outcome.attempts) == (0.75, Status.OK, 2)


def test_two_different_failures_are_not_the_answers_fault(pool: WorkerPool, tmp_path: Path) -> None:
    outcome = score(pool, [f"twice {tmp_path / 'b'}"])[0]
    assert outcome.status is Status.UNAVAILABLE
    assert "timed out" in outcome.detail and "crashed" in outcome.detail


def test_without_retry_the_first_failure_is_final(pool: WorkerPool, tmp_path: Path) -> None:
    outcome = score(pool, [f"once {tmp_path / 'c'}"], retry=False)[0]
    assert (outcome.status, outcome.attempts) == (Status.CRASHED, 1)


def test_a_fresh_worker_has_scored_nothing() -> None:
    # One worker: with several an ordinary call may meet one that has scored nothing either.
    with make(workers=1, deadline=5) as single:
        score(single, ["1"] * 10)
        assert score(single, ["calls"], fresh=True)[0].value == 1.0
        assert score(single, ["calls"], fresh=True)[0].value == 1.0
        assert (score(single, ["calls", "calls"])[1].value or 0) > 1.0


def test_rows_of_one_call_are_scored_together(pool: WorkerPool) -> None:
    outcomes = pool.run("obedient", [[Item("p", "1"), Item("p", "2")], [Item("p", "3"), Item("p", "nan")]])
    assert [[o.value for o in rows] for rows in outcomes] == [[1.0, 2.0], [3.0, None]]
    too_many = pool.run("obedient", [[Item("p", "1"), Item("p", "one score too many")]])[0]
    assert [o.status for o in too_many] == [Status.WRONG_COUNT] * 2


def test_completions_of_ten_megabytes_pass() -> None:
    text = "big " + "x" * 10_000_000
    with make(deadline=20) as patient:
        outcomes = score(patient, [text] * 3 + ["1"])
    assert [o.value for o in outcomes] == [10_000_000.0] * 3 + [1.0]


def test_lone_surrogates_and_null_characters_pass(pool: WorkerPool) -> None:
    assert score(pool, ["big \ud800\x00"])[0].value == 2.0


def test_a_worker_killed_from_outside_is_replaced() -> None:
    with make(workers=1, deadline=5) as workers:
        victim = int(score(workers, ["pid"])[0].value or 0)
        threading.Timer(0.15, os.kill, (victim, signal.SIGKILL)).start()
        assert [o.value for o in score(workers, ["1", "sleep 0.4", "2"])] == [1.0, 0.5, 2.0]
        assert workers.size == 1
        os.kill(int(score(workers, ["pid"])[0].value or 0), signal.SIGKILL)
        assert score(workers, ["4"])[0].value == 4.0


def test_the_budget_ends_loudly() -> None:
    with make(workers=1, deadline=5, budget=0.7) as workers:
        score(workers, ["1"])
        with pytest.raises(WorkerError, match=r"2 of 4 calls were scored, 2 were not") as caught:
            score(workers, ["2", "3", "sleep 4", "5"])
        outcomes = [one[0] for one in caught.value.outcomes]  # type: ignore[attr-defined]
        assert [o.value for o in outcomes] == [2.0, 3.0, None, None]
        assert outcomes[3].status is Status.UNAVAILABLE
        assert score(workers, ["6"])[0].value == 6.0


def test_loading_is_not_charged_to_an_answer() -> None:
    with make(workers=1) as workers:
        assert workers.run("slow to load", [[Item("p", "1")]])[0][0].value == 1.0
        with pytest.raises(RewardError, match="cannot be loaded"):
            workers.run("broken", [[Item("p", "1")]])
        assert score(workers, ["2"])[0].value == 2.0


def test_a_spare_that_failed_to_load_one_reward_serves_another() -> None:
    with make(workers=1) as workers:
        with pytest.raises(RewardError, match="cannot be loaded"):
            workers.run("broken", [[Item("p", "1")]])
        outcomes = score(workers, ["sleep 60", "3"])
        assert [o.status for o in outcomes] == [Status.TIMED_OUT, Status.OK]


def test_what_cannot_be_sent_is_named(pool: WorkerPool) -> None:
    with pytest.raises(RewardError, match="column 'when' holds a object"):
        pool.run("obedient", [[Item("p", "1", {"when": object()})]])
    assert score(pool, ["1"])[0].value == 1.0


def test_the_self_test_runs_inside_every_worker(pool: WorkerPool) -> None:
    pool.self_test("obedient", Item("p", "1"), Item("p", "0"))
    with pytest.raises(WorkerError, match=r"right answer scored 0\.0"):
        pool.self_test("obedient", Item("p", "0"), Item("p", "0"))
    with pytest.raises(WorkerError, match="raised"):
        pool.self_test("obedient", Item("p", "raise x"), Item("p", "0"))


def test_progress_and_slowest(pool: WorkerPool) -> None:
    seen: list[tuple[int, int]] = []
    with make(on_progress=lambda done, total, slowest: seen.append((done, total))) as workers:
        score(workers, ["sleep 0.2", *["1"] * 10])
        assert seen[-1] == (11, 11)
        seconds, text = workers.slowest[0]
        assert seconds >= 0.2 and text == "sleep 0.2"


def test_several_threads_may_use_one_pool(pool: WorkerPool) -> None:
    results: dict[int, list[float | None]] = {}

    def work(number: int) -> None:
        results[number] = [o.value for o in score(pool, [str(number)] * 50)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [float(n)] * 50 for n in range(4)}


def test_inside_a_running_event_loop(pool: WorkerPool) -> None:
    async def main() -> list[Outcome]:
        return score(pool, ["1", "sleep 60", "2"])

    assert [o.value for o in asyncio.run(main())] == [1.0, None, 2.0]


def _in_a_daemon(queue: multiprocessing.Queue[list[float | None]]) -> None:
    with make() as workers:
        queue.put([o.value for o in score(workers, ["1", "sleep 60", "2"])])


def test_in_a_daemonic_process() -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[list[float | None]] = context.Queue()
    process = context.Process(target=_in_a_daemon, args=(queue,), daemon=True)
    process.start()
    assert queue.get(timeout=30) == [1.0, None, 2.0]
    process.join()


def test_workers_end_when_their_parent_is_killed() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from trueward.rewards.runner import WorkerPool, Item\n"
        "pool = WorkerPool(workers=2, loader='leaves:load', deadline=60)\n"
        "print([int(one[0].value) for one in pool.run('x', [[Item('p', 'pid')]] * 4)], flush=True)\n"
        "pool.run('x', [[Item('p', 'sleep 50')]] * 2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(pid) for pid in set(json.loads(parent.stdout.readline()))]
        parent.kill()
    _, alive = psutil.wait_procs(workers, timeout=3)
    assert not alive


def test_impossible_limits_and_closed_pools_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        make(deadline=0)
    workers = make()
    workers.close()
    with pytest.raises(WorkerError, match="closed"):
        score(workers, ["1"])


def test_in_process_classifies_as_a_worker_does() -> None:
    import leaves

    here = InProcess({"obedient": leaves.Obedient()})
    texts = ["1", "raise x", "nan", "none", "text", "sys.exit 1", "one score too many", "huge"]
    with make() as workers:
        there = score(workers, texts)
        outcomes = [one[0] for one in here.run("obedient", [[Item("p", text)] for text in texts])]
        assert [(o.value, o.status, o.attempts) for o in outcomes] == [(o.value, o.status, o.attempts) for o in there]
    assert not here.has_deadline
