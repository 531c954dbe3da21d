"""Rewards behind HTTP, in OpenRLHF's convention for remote reward models.

    request   POST {"query": [prompt and completion, …], "prompts": [prompt, …], "labels": [reference or null, …]}
    response  200  {"rewards": [number, …]}, or the same under "scores"

A server that cannot be asked is never the answer's fault: it is asked again with growing pauses, within a bound of
time, and then the rows are `UNAVAILABLE`. What a server says is taken as it is: NaN, text or the wrong count get the
status of a bug in the reward. The standard library alone, because a worker process loads this.

Reference: OpenRLHF, `openrlhf/utils/remote_rm_utils.py` (the client) and `openrlhf/cli/serve_rm.py` (a server).
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import random
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueward.errors import RewardError, Unavailable
from trueward.rewards.references import holds, text_of, value
from trueward.rewards.runner.types import Demands, Item
from trueward.tasks.text.columns import REFERENCE_COLUMNS

TOKEN = "TRUEWARD_REWARD_TOKEN"
_KEYS = ("rewards", "scores")
_ATTEMPTS = 4
_PAUSE = 0.1  # seconds before the first repeat; twice as long before each further one
_SUSPICIOUS = 3  # calls in a row without an answer, after which the server gets less time
_SHARE = 0.1  # of the time limit, for a server that has never answered
_LEAST = 0.25  # seconds
_LARGEST = 64 << 20
_CHUNK = 1 << 16
_QUOTED = 120
# One row of numbers differs by so much when the server puts it into another batch.
_NOISE = 1e-4


@dataclass
class RemoteReward:
    """A reward that an HTTP server computes.

    Attributes:
        url: where requests go, without credentials.
        batch_size: rows of a request.
        timeout: seconds that one call may take, repeats and pauses included.
        separator: text between prompt and completion in `query`.
        label_column: column that is sent as label; None for the first reference column that a row has.
    """

    url: str
    batch_size: int = 16
    timeout: float = 30.0
    separator: str = "\n"
    label_column: str | None = None
    kind: str = field(default="remote", init=False)
    takes: None = field(default=None, init=False)
    containers: tuple[str, ...] = field(default=("text",), init=False)
    stand_ins: tuple[str, ...] = field(default=(), init=False)
    _unanswered: int = field(default=0, init=False, repr=False)
    _longest_answer: float | None = field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """The URL, with the values of its query hidden."""
        return without_secrets(self.url)

    @property
    def needs(self) -> tuple[str, ...]:
        """The label column, where one is named."""
        return () if self.label_column is None else (self.label_column,)

    @property
    def demands(self) -> Demands:
        """Batches, as long as the time limit lets a call take."""
        return Demands(batch=self.batch_size, seconds=self.timeout, noise=_NOISE)

    def score_rows(self, rows: Sequence[Item]) -> object:
        """What the server returns for the rows, unchanged.

        Raises:
            RewardError: the named label column is missing.
            Unavailable: no answer after the last repeat, or an answer that refuses the request.
        """
        body = json.dumps(self.request(rows)).encode("ascii")
        text = self.asked(body)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            return text  # no list of scores: whoever counts them says so
        if isinstance(answer, Mapping):
            return next((answer[key] for key in _KEYS if key in answer), answer)
        return answer

    def request(self, rows: Sequence[Item]) -> dict[str, list[Any]]:
        """The body of the request for N rows: three lists of N."""
        prompts = [text_of(row.prompt) for row in rows]
        completions = [text_of(row.completion) for row in rows]
        query = [prompt + self.separator + text for prompt, text in zip(prompts, completions, strict=True)]
        return {"query": query, "prompts": prompts, "labels": [self._label(row.columns) for row in rows]}

    def _label(self, columns: Mapping[str, Any]) -> Any:
        names = REFERENCE_COLUMNS if self.label_column is None else (self.label_column,)
        name = next((name for name in names if holds(columns, name)), None)
        if name is None and self.label_column is not None:
            raise RewardError(f"the row has no column {self.label_column!r}; it has {', '.join(columns) or 'none'}")
        return None if name is None else value(columns, name)

    def asked(self, body: bytes) -> str:
        """The answer to one request, asked for again while the time limit lets it.

        Raises:
            Unavailable: no answer after the last repeat, or an answer that refuses the request.
        """
        doubtful = self._unanswered >= _SUSPICIOUS
        allowed = self._time_for_a_doubtful_server() if doubtful else self.timeout
        ends = time.monotonic() + allowed
        asked, pause = 0, _PAUSE
        while True:
            started = time.monotonic()
            asked += 1
            try:
                text = self._once(body, ends)
            except _Passing as error:
                self._unanswered = 0 if error.answered else self._unanswered
                wait = max(error.wait, pause * random.uniform(1.0, 1.5))
                if asked == (1 if doubtful else _ATTEMPTS) or time.monotonic() + wait >= ends:
                    self._unanswered += not error.answered
                    times = "once" if asked == 1 else f"{asked} times"
                    raise Unavailable(f"{self.name}: {error}; asked {times} within {allowed:g} s") from None
                time.sleep(wait)
                pause *= 2
                continue
            except Unavailable:
                self._unanswered = 0
                raise
            self._unanswered = 0
            self._longest_answer = max(self._longest_answer or 0.0, time.monotonic() - started)
            return text

    def _time_for_a_doubtful_server(self) -> float:
        """Less and less, down to what it needed before: an audit must not wait out the whole limit for every row."""
        first = _SHARE * self.timeout if self._longest_answer is None else 4 * self._longest_answer
        least = _LEAST if self._longest_answer is None else 1.5 * self._longest_answer
        return min(self.timeout, max(_LEAST, least, first * 0.5 ** (self._unanswered - _SUSPICIOUS)))

    def _once(self, body: bytes, ends: float) -> str:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        token = os.environ.get(TOKEN)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        try:
            with _opener(self.url).open(request, timeout=max(0.01, ends - time.monotonic())) as response:
                return _read(response, ends)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(self.name, error) from None
        except urllib.error.URLError as error:
            raise _failure(self.name, error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise _failure(self.name, error) from None


class _Passing(Exception):
    """What may be over at the next attempt.

    Attributes:
        answered: the server did answer, if only that it could not.
        wait: seconds that it asked for.
    """

    def __init__(self, why: str, answered: bool, wait: float = 0.0) -> None:
        super().__init__(why)
        self.answered, self.wait = answered, wait


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: the token must not follow it to another host."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        """Follows none."""
        return None


def _opener(url: str) -> urllib.request.OpenerDirector:
    # A proxy of the environment cannot reach the loopback of this machine.
    proxies = urllib.request.ProxyHandler({} if is_loopback(url) else None)
    return urllib.request.build_opener(proxies, _NoRedirects())


def _read(response: Any, ends: float) -> str:
    """The body; a server that sends it drop by drop is cut off at the time limit."""
    data = bytearray()
    while chunk := response.read1(_CHUNK):
        data += chunk
        if len(data) > _LARGEST:
            return f"more than {_LARGEST >> 20} MiB"
        if time.monotonic() > ends:
            raise TimeoutError("the answer did not end")
    if response.length:
        raise http.client.IncompleteRead(bytes(data[:0]), response.length)
    return data.decode("utf-8", "replace")


def _refusal(name: str, error: urllib.error.HTTPError) -> Exception:
    said = f"the server answered {error.code} {error.reason}".strip()
    if error.code == 429 or error.code >= 500:
        wait = error.headers.get("Retry-After", "")
        return _Passing(said, answered=True, wait=float(wait) if re.fullmatch(r"\d{1,6}", wait) else 0.0)
    try:
        told = " ".join(error.read(_QUOTED).decode("utf-8", "replace").split())
    except (OSError, http.client.HTTPException):
        told = ""
    advice = {
        401: f"; put a token into the environment variable {TOKEN}",
        403: f"; put a token into the environment variable {TOKEN}",
        404: "; check the path",
    }.get(error.code, "; redirects are not followed, give the final URL" if error.code < 400 else "")
    return Unavailable(f"{name}: {said}{f' ({told})' if told else ''}{advice}")


def _failure(name: str, reason: object) -> Exception:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Unavailable(f"{name}: the certificate of the server is not trusted: {reason.verify_message}")
    if isinstance(reason, TimeoutError):
        return _Passing("no answer in time", answered=False)
    if isinstance(reason, http.client.HTTPException) and not isinstance(reason, http.client.RemoteDisconnected):
        return _Passing(f"no proper HTTP ({type(reason).__name__})", answered=True)
    return _Passing(f"no connection ({reason})" if str(reason) else "no connection", answered=False)


def is_loopback(url: str) -> bool:
    """True for a URL of this machine itself."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_secrets(url: str) -> str:
    """A URL as it may be printed: no user, no password, no fragment, and the values of its query as `…`.

    Example:
        >>> without_secrets("http://me:word@127.0.0.1:8000/score?key=abc&model=small")
        'http://127.0.0.1:8000/score?key=…&model=…'
    """
    plain = re.sub(r"^(\w+://)[^/?#]*@", r"\1", url.partition("#")[0])
    path, asked, query = plain.partition("?")
    names = [f"{part.partition('=')[0]}=…" if "=" in part else "…" for part in query.split("&")]
    return path + (f"?{'&'.join(names)}" if asked else "")


def remote_reward(url: str, arguments: Mapping[str, Any]) -> RemoteReward:
    """The reward behind a URL.

    Args:
        url: `http://…` or `https://…`.
        arguments: `batch_size`, `timeout`, `separator`, `label_column`.

    Raises:
        RewardError: no usable URL, or a wrong argument. The message does not repeat credentials.
    """
    shown = without_secrets(url)
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise RewardError(f"{shown!r} is no URL: {error}") from None
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise RewardError(f"{shown!r} is no URL of a reward; expected http://HOST:PORT/PATH or https://…")
    if parts.username is not None or parts.password is not None:
        raise RewardError(
            f"{shown!r} was given with a user or password in it, which would be seen in the process list; put a bearer "
            f"token into the environment variable {TOKEN} instead"
        )
    if not url.isascii():
        raise RewardError(f"{shown!r}: write characters beyond ASCII as %XX in a path, as xn--… in a host")
    kinds = {"batch_size": (int,), "timeout": (int, float), "separator": (str,), "label_column": (str, type(None))}
    for name, given in arguments.items():
        if name not in kinds:
            raise RewardError(f"{shown!r}: there is no argument {name!r}; expected {', '.join(kinds)}")
        if not isinstance(given, kinds[name]) or isinstance(given, bool):
            raise RewardError(f"{shown!r}: {name}={given!r}, expected {kinds[name][0].__name__}")
    reward = RemoteReward(url.partition("#")[0], **arguments)
    if reward.batch_size < 1 or not 0 < reward.timeout < float("inf"):
        raise RewardError(f"{shown!r}: batch_size and timeout must be positive")
    return reward
