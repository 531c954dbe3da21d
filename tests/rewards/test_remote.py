"""Rewards behind HTTP, against a real server on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from trueward.errors import RewardError, Unavailable
from trueward.rewards import remote
from trueward.rewards.address import load, parse, shown
from trueward.rewards.locate import module_at
from trueward.rewards.remote import RemoteReward, is_loopback, without_secrets
from trueward.rewards.runner import InProcess, WorkerPool
from trueward.rewards.runner.types import Item
from trueward.status import Status

serving = module_at(str(Path(__file__).with_name("serving.py"))).serving

ROWS = [Item(f"{n} + 1", str(n + 1), {"answer": str(n + 1), "source": "here"}) for n in range(5)]
SECRET = "hunter2"


def lengths(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    return 200, {}, {"rewards": [float(len(query)) for query in body["query"]]}


def saying(status: int, content: Any, **headers: str) -> Any:
    return lambda served, body: (status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def hanging(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    served.stop.wait(30)
    return lengths(served, body)


def statuses(reward: RemoteReward, rows: list[Item] = ROWS) -> list[Status]:
    return [outcome.status for outcome in InProcess({"r": reward}).run("r", [rows])[0]]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeats follow at once."""
    monkeypatch.setattr(remote, "_PAUSE", 0.001)


def test_the_request_is_what_openrlhf_sends() -> None:
    with serving(lengths) as served:
        reward = load(f"{served.url}(separator=' ')")
        assert reward.score_rows(ROWS) == [7.0] * 5
        assert reward.demands.batch == 16 and reward.demands.seconds == 30.0  # type: ignore[attr-defined]
    assert served.bodies == [
        {
            "query": [f"{n} + 1 {n + 1}" for n in range(5)],
            "prompts": [f"{n} + 1" for n in range(5)],
            "labels": [str(n + 1) for n in range(5)],
        }
    ]
    assert served.headers[0]["content-type"] == "application/json"
    assert "authorization" not in served.headers[0]


def test_prompts_of_messages_missing_labels_and_named_ones() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1"}]
    row = Item(messages, [{"role": "assistant", "content": "2"}], {"source": "here"})
    assert RemoteReward("http://h").request([row]) == {
        "query": ["Be brief.\n1 + 1\n2"],
        "prompts": ["Be brief.\n1 + 1"],
        "labels": [None],
    }
    assert RemoteReward("http://h", label_column="source").request([row])["labels"] == ["here"]
    with pytest.raises(RewardError, match="no column 'gold'; it has source"):
        RemoteReward("http://h", label_column="gold").request([row])


@pytest.mark.parametrize("content", [{"rewards": [1, 0.5, 0, 2, 3]}, {"scores": [1, 0.5, 0, 2, 3]}, [1, 0.5, 0, 2, 3]])
def test_what_servers_answer(content: Any) -> None:
    with serving(saying(200, content)) as served:
        assert load(served.url).score_rows(ROWS) == [1, 0.5, 0, 2, 3]


def test_rewards_come_before_scores() -> None:
    with serving(saying(200, {"scores": [9], "rewards": [1], "extra_logs": {}})) as served:
        assert load(served.url).score_rows(ROWS[:1]) == [1]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"rewards": [1, NaN, null, "good", [2]]}', ["ok", "not finite", "abstained", "wrong type", "wrong type"]),
        ({"rewards": [1, 2]}, ["wrong count"] * 5),
        ({"rewards": 1.0}, ["wrong count"] * 5),
        ({"result": [1, 2, 3, 4, 5]}, ["wrong count"] * 5),
        (b"<html>Sign in</html>", ["wrong count"] * 5),
        (b"", ["wrong count"] * 5),
        (b"\xff\xfe", ["wrong count"] * 5),
        (b"[" * 100_000, ["wrong count"] * 5),
    ],
)
def test_what_is_no_score_is_a_bug_of_the_reward(content: Any, expected: list[str]) -> None:
    with serving(saying(200, content)) as served:
        assert statuses(load(served.url)) == expected
        assert len(served.bodies) == 1


def test_a_server_that_fails_twice_is_asked_a_third_time(soon: None) -> None:
    def twice(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        return lengths(served, body) if len(served.bodies) > 2 else (500, {}, b"no")

    with serving(twice) as served:
        assert load(served.url).score_rows(ROWS[:1]) == [7.0]
        assert len(served.bodies) == 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_goes_on_failing_is_unavailable(soon: None, status: int) -> None:
    with serving(saying(status, b"no")) as served:
        with pytest.raises(Unavailable, match=f"answered {status} .*asked 4 times within 30 s"):
            load(served.url).score_rows(ROWS)
        assert len(served.bodies) == 4
        assert statuses(load(served.url)) == [Status.UNAVAILABLE] * 5


@pytest.mark.parametrize(
    ("status", "told"), [(400, "no such field"), (401, "TRUEWARD_REWARD_TOKEN"), (404, "path"), (422, "no such field")]
)
def test_a_refused_request_is_not_repeated(status: int, told: str) -> None:
    with serving(saying(status, b"no such field")) as served:
        with pytest.raises(Unavailable, match=f"answered {status} .*{told}"):
            load(served.url).score_rows(ROWS)
        assert len(served.bodies) == 1
        assert statuses(load(served.url)) == [Status.UNAVAILABLE] * 5


def test_redirects_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUEWARD_REWARD_TOKEN", SECRET)
    with serving(lengths) as other, serving(saying(307, b"", Location=other.url)) as served:
        with pytest.raises(Unavailable, match=r"answered 307 .*final URL"):
            load(served.url).score_rows(ROWS)
        assert other.bodies == []


def test_as_long_as_the_server_asks_for_is_waited() -> None:
    with serving(saying(503, b"", Retry_After="60")) as served:
        with pytest.raises(Unavailable, match="asked once within 5 s"):  # a minute is more than the limit
            load(f"{served.url}(timeout=5)").score_rows(ROWS)
        assert len(served.bodies) == 1


def test_a_server_that_hangs_is_unavailable_within_the_limit() -> None:
    with serving(hanging) as served:
        with pytest.raises(Unavailable, match=r"no answer in time; asked once within 0.3 s"):
            load(f"{served.url}(timeout=0.3)").score_rows(ROWS)
        assert len(served.bodies) == 1


def test_a_server_that_sends_drop_by_drop_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        code = (
            "import socket, sys, time\n"
            f"s = socket.socket(fileno={listening.fileno()})\n"
            "c, _ = s.accept()\nc.recv(65536)\n"
            "c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 1000\\r\\n\\r\\n')\n"
            "while True:\n    c.sendall(b' ')\n    time.sleep(0.05)\n"
        )
        dripping = subprocess.Popen([sys.executable, "-c", code], pass_fds=[listening.fileno()])
        try:
            with pytest.raises(Unavailable, match="no answer in time"):
                RemoteReward(url, timeout=1.0).score_rows(ROWS)
        finally:
            dripping.kill()
            dripping.wait()


@pytest.mark.parametrize("sent", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[1"])
def test_connections_that_break(soon: None, sent: bytes) -> None:
    code = (
        "import socket, sys\n"
        "s = socket.socket(fileno=int(sys.argv[1]))\n"
        f"while True:\n    c, _ = s.accept()\n    c.recv(65536)\n    c.sendall({sent!r})\n    c.close()\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = str(listening.fileno())
        breaking = subprocess.Popen([sys.executable, "-c", code, number], pass_fds=[listening.fileno()])
        try:
            with pytest.raises(Unavailable, match="asked 4 times"):
                RemoteReward(f"http://127.0.0.1:{listening.getsockname()[1]}").score_rows(ROWS)
        finally:
            breaking.kill()
            breaking.wait()


def nobody_listens() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}/score"


def test_where_nobody_listens_the_first_calls_are_repeated_and_later_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, soon: None
) -> None:
    reward = RemoteReward(nobody_listens())
    told = []
    for _ in range(5):
        with pytest.raises(Unavailable) as raised:
            reward.score_rows(ROWS[:1])
        told.append(str(raised.value).rpartition("asked ")[2])
    assert told == ["4 times within 30 s"] * 3 + ["once within 3 s", "once within 1.5 s"]


def test_a_server_that_comes_back_gets_the_whole_limit_again(soon: None) -> None:
    down = True

    def flaky(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        return hanging(served, body) if down else lengths(served, body)

    with serving(flaky) as served:
        reward = RemoteReward(served.url, timeout=0.2)
        assert [statuses(reward, ROWS[:1])[0] for _ in range(4)] == [Status.UNAVAILABLE] * 4
        down = False
        assert statuses(reward, ROWS[:1]) == [Status.OK]
        down = True
        with pytest.raises(Unavailable, match=r"within 0.2 s"):
            reward.score_rows(ROWS[:1])


def test_the_token_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUEWARD_REWARD_TOKEN", SECRET)
    with serving(saying(401, b"")) as served:
        with pytest.raises(Unavailable) as raised:
            load(f"{served.url}?key={SECRET}").score_rows(ROWS)
        assert served.headers[0]["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in str(raised.value) and "key=…" in str(raised.value)


def test_no_proxy_stands_between_us_and_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nobody_listens())
    monkeypatch.setenv("no_proxy", "")
    with serving(lengths) as served:
        assert load(served.url).score_rows(ROWS[:1]) == [7.0]
    # And where it is not loopback, it is used: nobody listens there.
    with pytest.raises(Unavailable, match="no connection"):
        RemoteReward("http://192.0.2.1/score", timeout=0.5).score_rows(ROWS[:1])


@pytest.mark.parametrize(
    "address",
    [
        f"http://me:{SECRET}@127.0.0.1/score",
        f"https://{SECRET}@127.0.0.1/score(timeout=3)",
        f"http://127.0.0.1:99999/score?key={SECRET}",
        f"http://127.0.0.1/score?key={SECRET}(timeout=0)",
        f"http://127.0.0.1/score?key={SECRET}(retries=3)",
        f"http:///score?key={SECRET}",
        f"http://[::1/score?key={SECRET}",
        f"http://host/ä?key={SECRET}",
        f"http://host/a b?key={SECRET}",
        f"ftp://me:{SECRET}@127.0.0.1/score",
        f"file://me:{SECRET}@/etc/passwd",
        f"http://127.0.0.1/score?key={SECRET}(timeout=soon)",
        f"http://127.0.0.1/score?key={SECRET}(batch_size='3')",
    ],
)
def test_what_is_refused_does_not_tell_secrets(address: str) -> None:
    with pytest.raises(RewardError) as raised:
        load(address)
    assert SECRET not in str(raised.value)
    assert SECRET not in shown(address)


def test_addresses() -> None:
    parts = parse("http://127.0.0.1:8000/score?model=a(b)(batch_size=4, separator='')")
    assert parts.name == "http://127.0.0.1:8000/score?model=a(b)"
    assert parts.arguments == ((), {"batch_size": 4, "separator": ""})
    assert parse("HTTPS://host").place == "https"
    assert not parse("https://host/score.py").is_file
    assert shown("rewards.py:f(url='x')") == "rewards.py:f(url='x')"


def test_hidden_parts_of_a_url() -> None:
    assert without_secrets("https://a:b@c.d:8/e/f?x=1&y&z=2#g") == "https://c.d:8/e/f?x=…&…&z=…"
    assert without_secrets("https://c.d/e") == "https://c.d/e"


def test_loopback() -> None:
    assert all(map(is_loopback, ("http://127.0.0.1", "http://127.9.9.9:1/x", "http://[::1]:3/", "http://localhost:1")))
    assert not any(map(is_loopback, ("http://10.0.0.1", "http://127.0.0.1.example.org", "http://localhost.example")))


def test_a_worker_asks_the_server_and_never_blames_the_answer() -> None:
    with serving(hanging) as served, WorkerPool(workers=1, deadline=10) as pool:
        address = f"{served.url}?key={SECRET}(timeout=0.2)"
        started = time.monotonic()
        outcomes = pool.run(address, [[row] for row in ROWS])
        assert {rows[0].status for rows in outcomes} == {Status.UNAVAILABLE}
        assert {rows[0].attempts for rows in outcomes} == {1}
        assert SECRET not in json.dumps([rows[0].detail for rows in outcomes])
        assert time.monotonic() - started < 60  # five limits of a fifth of a second, not five deadlines


def test_a_worker_needs_neither_the_client_nor_torch_to_start() -> None:
    heavy = "{'torch', 'urllib.request', 'http.client'}"
    code = f"import sys, trueward.rewards.address\nprint(*{heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == ""
