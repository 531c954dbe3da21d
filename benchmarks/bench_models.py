"""Reward models by path against Transformers' own pipeline, and the client of HTTP rewards against a bare connection.

    python benchmarks/bench_models.py

Equality first: the scores of every way must be the same. The model is tiny and random, so the ratios show what padding
and calls cost, not what a large model costs.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from trueward.rewards.address import load
from trueward.rewards.locate import module_at
from trueward.rewards.runner import Item

TINY = Path(__file__).parents[1] / "tests" / "rewards" / "models" / "tiny.py"
ROWS = 256
CALLS = 300


def row(name: str, value: str, target: str, kept: bool) -> None:
    """One line of the table."""
    print(f"{name:<62} {value:>10}   target {target:<10} {'ok' if kept else 'LOST'}")


def timed(run: Callable[[], Any], times: int = 3) -> float:
    """Best of some runs, in seconds."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def models() -> None:
    """Batches against single rows and against the pipeline of Transformers."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(1)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path = module_at(str(TINY)).llama(Path(folder, "model"))
        texts = [" ".join(draw.choices("abcdefghijkl", k=int(draw.paretovariate(0.7)) % 400)) for _ in range(ROWS)]
        rows = [Item("Question a : what is the answer ?", text) for text in texts]
        reward: Any = load(f"hf:{path}")
        classify = pipeline("text-classification", str(path), function_to_apply="none", device="cpu")
        whole = [f"{item.prompt}\n{item.completion}" for item in rows]

        def piped() -> list[float]:
            return [found["score"] for found in classify(whole, batch_size=8)]

        together, alone = reward.score_rows(rows), [reward.score_rows([item])[0] for item in rows]
        worst = max(abs(a - b) for others in (alone, piped()) for a, b in zip(together, others, strict=True))
        if worst > 1e-4:
            raise SystemExit(f"the ways differ by {worst:.2g}")
        print(f"{ROWS} rows of 7 to {7 + max(len(t.split()) for t in texts)} tokens: equal to {worst:.1g}")
        batched = timed(lambda: reward.score_rows(rows))
        singly = timed(lambda: [reward.score_rows([item]) for item in rows])
        theirs = timed(piped)
        row("rows one by one over batches of 8 by length", f"{singly / batched:.2f}", ">= 1.5", singly >= 1.5 * batched)
        row("pipeline in batches of 8 over the same", f"{theirs / batched:.2f}", ">= 1.5", theirs >= 1.5 * batched)


class Handler(BaseHTTPRequestHandler):
    """Scores every query by its length."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = json.dumps({"rewards": [len(query) for query in body["query"]]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        return None


def client() -> None:
    """What the client adds to one request over a new connection."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    reward: Any = load(f"http://127.0.0.1:{port}/score")
    rows = [Item("1 + 1", "2", {"answer": "2"})] * 16
    body = json.dumps(reward.request(rows))

    def bare() -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/score", body, {"Content-Type": "application/json", "Connection": "close"})
        scores: list[int] = json.loads(connection.getresponse().read())["rewards"]
        connection.close()
        return scores

    if bare() != reward.score_rows(rows):
        raise SystemExit("the client and a bare connection differ")
    extra = []
    for _ in range(CALLS):
        # In turn, so that a busy machine is as busy for both.
        first = timed(bare, 1)
        extra.append(timed(lambda: reward.score_rows(rows), 1) - first)
    server.shutdown()
    added = median(extra)
    row("a call with 16 rows over a bare connection", f"{1e3 * added:+.2f} ms", "<= 1 ms", added <= 1e-3)


if __name__ == "__main__":
    models()
    client()
