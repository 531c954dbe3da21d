"""What is really wanted of a generated digit: that networks which no reward knows recognise it, and that it looks real.

Gold, so for measuring alone: no reward, credit, objective or trainer takes a `GoldJudge` or the `Gold` that it gives.
It is fitted to images that neither the generator nor any reward has seen, with noise and shifts, so that it does not
fall for what a classifier of 200 clean images falls for; a support vector machine is asked beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trueward.measures.images import nearest_distance, realism_rank
from trueward.tasks.flow.digits import CLASSES, Digits
from trueward.tasks.flow.kernel_machine import KernelMachine
from trueward.tasks.gold import Gold


@dataclass(frozen=True)
class JudgeSettings:
    """How the networks of a judge are fitted.

    Attributes:
        networks: how many; their probabilities are averaged.
        width: channels of the first convolution.
        steps, batch, learning_rate, weight_decay: of AdamW, with a cosine.
        noise: largest standard deviation of the noise that is added; each image draws its own, from 0 up.
        shift: by how many pixels an image may be moved, in each direction.
    """

    networks: int = 3
    width: int = 16
    steps: int = 300
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    noise: float = 0.4
    shift: int = 1


class GoldJudge:
    """Networks, a support vector machine, and real images to compare with.

    Args:
        networks: what `fit` trained; each [n, 1, 8, 8] → [n, classes].
        machine: the second opinion.
        real: images that `machine` and networks were fitted to, from which distances are measured.
        real_distances: of held-out real images to the nearest of `real`, in order.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        machine: KernelMachine,
        real: Float[np.ndarray, "m 1 8 8"],
        real_distances: Float[np.ndarray, " h"],
    ) -> None:
        self.networks = nn.ModuleList(networks).eval().requires_grad_(False)
        self.machine, self.real, self.real_distances = machine, real, real_distances

    @classmethod
    def fit(cls, images: Digits, heldout: Digits, *, settings: JudgeSettings | None = None, seed: int = 0) -> GoldJudge:
        """A judge.

        Args:
            images: what it learns from.
            heldout: other real images; their distances to `images` are what samples are ranked among.
            settings: of the networks.
            seed: of first weights, batches and noise.

        Raises:
            MissingExtra: scikit-learn is not installed.
        """
        chosen = settings or JudgeSettings()
        networks = [_fitted(images, chosen, seed * chosen.networks + place) for place in range(chosen.networks)]
        machine = KernelMachine.fit(images.images, images.labels)
        distances = np.sort(nearest_distance(heldout.images, images.images))
        return cls(networks, machine, images.images, distances)

    @torch.inference_mode()
    def probabilities(self, images: Float[np.ndarray, "n 1 8 8"]) -> Float[np.ndarray, "n c"]:
        """What the networks see in each image, averaged over the networks.

        Args:
            images: clamped to [−1, 1] first: what lies outside cannot be shown.
        """
        seen = torch.as_tensor(np.clip(images, -1.0, 1.0), dtype=torch.float32)
        mean: np.ndarray = torch.stack([network(seen).softmax(1) for network in self.networks]).mean(0).double().numpy()
        return mean

    def probability(
        self, images: Float[np.ndarray, "n 1 8 8"], labels: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Probability of the digit that each image was made for, by the networks."""
        found: np.ndarray = self.probabilities(images)[np.arange(len(labels)), labels]
        return found

    def svm_probability(
        self, images: Float[np.ndarray, "n 1 8 8"], labels: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """The same by the support vector machine."""
        found: np.ndarray = self.machine.probabilities(np.clip(images, -1.0, 1.0))[np.arange(len(labels)), labels]
        return found

    def realism(self, images: Float[np.ndarray, "n 1 8 8"]) -> Float[np.ndarray, " n"]:
        """How each image lies to real ones: its rank among held-out real images, .5 on average for real ones.

        It does not ask which digit the image was made for.
        """
        return realism_rank(nearest_distance(np.clip(images, -1.0, 1.0), self.real), self.real_distances)

    def judge(self, images: Float[np.ndarray, "n 1 8 8"], labels: Int[np.ndarray, " n"]) -> Gold:
        """Gold of images: the probability of the right digit, with the second opinion and the realism beside it."""
        measures = {"second_opinion": self.svm_probability(images, labels), "realism": self.realism(images)}
        # Averaged float32 probabilities may exceed 1 in the last digit.
        return Gold(np.clip(self.probability(images, labels), 0.0, 1.0), measures)

    def save(self, folder: Path) -> None:
        """Write it into a folder: networks as safetensors, the rest as arrays without pickle."""
        save_file(self.networks.state_dict(), folder / "networks.safetensors")
        arrays = {"real": self.real, "real_distances": self.real_distances, **self.machine.arrays()}
        np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
        first = self.networks[0]
        shape = {"networks": len(self.networks), "width": first[0].out_channels}  # type: ignore[index]
        (folder / "judge.json").write_text(json.dumps(shape))

    @classmethod
    def load(cls, folder: Path) -> GoldJudge:
        """Read what `save` wrote."""
        shape = json.loads((folder / "judge.json").read_text())
        networks = [_network(shape["width"], torch.Generator()) for _ in range(shape["networks"])]
        nn.ModuleList(networks).load_state_dict(load_file(folder / "networks.safetensors"))
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        real, distances = found.pop("real"), found.pop("real_distances")
        return cls(networks, KernelMachine(**found), real, distances)


def _network(width: int, generator: torch.Generator) -> nn.Sequential:
    """Three convolutions, one pooling, one hidden layer: 8×8 pixels to logits."""
    layers = nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(2 * width, 4 * width, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * width * 16, 4 * width), nn.ReLU(), nn.Linear(4 * width, CLASSES),
    )  # fmt: skip
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layers


def _fitted(digits: Digits, settings: JudgeSettings, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    network = _network(settings.width, generator)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    images, labels = torch.as_tensor(digits.images), torch.as_tensor(digits.labels)
    for _ in range(settings.steps):
        rows = torch.randint(len(labels), (settings.batch,), generator=generator)
        seen = _noised(_shifted(images[rows], settings.shift, generator), settings.noise, generator)
        loss = nn.functional.cross_entropy(network(seen), labels[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network


def _shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each image moved by up to so many pixels both ways; paper comes in at the edge."""
    n, _, height, width = images.shape
    padded = nn.functional.pad(images, (most,) * 4, value=-1.0)
    down, right = torch.randint(2 * most + 1, (2, n, 1), generator=generator)
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    return padded[torch.arange(n)[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def _noised(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    deviation = most * torch.rand(len(images), 1, 1, 1, generator=generator)
    return (images + deviation * torch.randn(images.shape, generator=generator)).clamp(-1.0, 1.0)
