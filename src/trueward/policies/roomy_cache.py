"""A key-value cache with room at its end, so that a token is written into it instead of the whole being copied."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_ROOM = 16  # tokens: the whole is copied once in so many


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer, as views into tensors that are longer than they."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append keys and values; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        self.keys, self._key_room = _appended(self.keys, key_states, getattr(self, "_key_room", None))
        self.values, self._value_room = _appended(self.values, value_states, getattr(self, "_value_room", None))
        return self.keys, self.values


def roomy_cache(config: Any) -> DynamicCache:
    """An empty cache for a model; layers that are more than a growing list of tokens are transformers' own."""
    cache = DynamicCache(config=config)
    make: Any = RoomyLayer
    cache.layers = [make() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def _appended(
    seen: Float[Tensor, "n h l d"], new: Float[Tensor, "n h m d"], room: Tensor | None
) -> tuple[Float[Tensor, "n h _ d"], Tensor]:
    """`seen` with `new` behind it, written into `room` where `seen` is a view of it and there is room left."""
    known, length = (seen.shape[-2] if seen.numel() else 0), new.shape[-2]
    # Whoever reorders the cache puts other tensors in place of the views.
    if room is None or known == 0 or seen.data_ptr() != room.data_ptr() or known + length > room.shape[-2]:
        room = torch.empty(*new.shape[:2], known + length + _ROOM, new.shape[-1], dtype=new.dtype, device=new.device)
        if known:
            room[:, :, :known] = seen
    room[:, :, known : known + length] = new
    return room[:, :, : known + length], room
