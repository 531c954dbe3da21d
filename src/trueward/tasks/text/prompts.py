"""A prompt as the data has it: text, or chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trueward.errors import DataError
from trueward.tasks.text.rows import Prompt
from trueward.tasks.text.values import shown


def prompt_of(value: Any, where: str) -> tuple[Prompt, bool]:
    """Check a prompt, and cut off an answer that stands behind it.

    Args:
        value: text or a list of messages, as JSON values.
        where: `file:line` and the column, for messages.

    Returns:
        The prompt, and whether closing assistant messages were cut off: in data for supervised training they are the
        answer, which an audit must not take for part of the question.

    Raises:
        DataError: for anything else, an empty prompt, or a message without `role` and `content`.
    """
    if isinstance(value, str):
        if not value.strip():
            raise DataError(f"{where} is empty; expected the text of a prompt")
        return value, False
    if not isinstance(value, list):
        raise DataError(f"{where} is {shown(value)}; expected text or a list of chat messages")
    messages = [_message(message, f"{where}, message {i}") for i, message in enumerate(value, 1)]
    kept = list(messages)
    while kept and kept[-1]["role"] == "assistant":
        kept.pop()
    if not kept:
        raise DataError(f"{where} holds no message that asks something; expected one with the role user")
    return kept, len(kept) < len(messages)


def _message(message: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(message, Mapping):
        raise DataError(f"{where} is {shown(message)}; expected an object with role and content")
    lacking = [key for key in ("role", "content") if key not in message]
    if lacking:
        has = ", ".join(map(shown, message)) or "nothing"
        raise DataError(f"{where} has no {' and no '.join(lacking)}, it has {has}; rename its keys to role and content")
    if not isinstance(message["role"], str):
        raise DataError(f"{where} has the role {shown(message['role'])}; expected text such as user")
    return {**message, "content": _content(message, where)}


def _content(message: Mapping[str, Any], where: str) -> str:
    content = message["content"]
    if content is None and message.get("tool_calls"):
        return ""
    parts = content if isinstance(content, list) and content else [{"type": "text", "text": content}]
    texts = [part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where} has the content {shown(content)}; expected text")
    return "\n".join(str(text) for text in texts)
