"""A support vector machine with a Gaussian kernel, kept as arrays: a second opinion beside that of networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trueward.errors import MissingExtra

_TEMPERATURES = np.geomspace(0.05, 2.0, 40)
_FOLDS = 5


@dataclass(frozen=True)
class KernelMachine:
    r"""One machine per class against all others, and probabilities by a softmax.

    $f_c(x) = \sum_i \alpha_{ic} e^{-\gamma \|x - x_i\|^2} + b_c$, and p(c | x) = softmax(f(x) / τ)_c.

    Attributes:
        images: those that it was fitted to, flattened.
        weights: α, 0 where an image supports nothing.
        offsets: b.
        gamma: γ.
        temperature: τ.
    """

    images: Float[np.ndarray, "m d"]
    weights: Float[np.ndarray, "m c"]
    offsets: Float[np.ndarray, " c"]
    gamma: Float[np.ndarray, ""]
    temperature: Float[np.ndarray, ""]

    @classmethod
    def fit(
        cls, images: Float[np.ndarray, "m *sample"], labels: Int[np.ndarray, " m"], cost: float = 10.0
    ) -> KernelMachine:
        """Fitted machines; γ is 1 / (d · variance of the pixels), and τ what cross-validation finds most likely.

        Args:
            images, labels: what it learns from. Every class from 0 up must be there.
            cost: C of the machines.

        Raises:
            MissingExtra: scikit-learn is not installed.
        """
        flat = images.reshape(len(images), -1).astype(np.float64)
        gamma = 1.0 / (flat.shape[1] * flat.var())
        fold, values = np.arange(len(flat)) % _FOLDS, np.empty((len(flat), int(labels.max()) + 1))
        for one in range(_FOLDS):
            rest = fold != one
            weights, offsets = _machines(flat[rest], labels[rest], gamma, cost)
            values[~rest] = _kernel(flat[~rest], flat[rest], gamma) @ weights + offsets
        likelihoods = [
            _log_softmax(values / temperature)[np.arange(len(labels)), labels].mean() for temperature in _TEMPERATURES
        ]
        weights, offsets = _machines(flat, labels, gamma, cost)
        best = _TEMPERATURES[int(np.argmax(likelihoods))]
        return cls(flat, weights, offsets, np.array(gamma), np.array(best))

    def decision(self, images: Float[np.ndarray, "n *sample"]) -> Float[np.ndarray, "n c"]:
        """f of each class."""
        flat = images.reshape(len(images), -1).astype(np.float64)
        values: np.ndarray = _kernel(flat, self.images, float(self.gamma)) @ self.weights + self.offsets
        return values

    def probabilities(self, images: Float[np.ndarray, "n *sample"]) -> Float[np.ndarray, "n c"]:
        """p(c | x)."""
        shares: np.ndarray = np.exp(_log_softmax(self.decision(images) / float(self.temperature)))
        return shares

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, by name: what the constructor takes."""
        return {name: np.asarray(value) for name, value in vars(self).items()}


def _machines(flat: np.ndarray, labels: np.ndarray, gamma: float, cost: float) -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.svm import SVC
    except ImportError as error:
        raise MissingExtra(f"the second opinion needs scikit-learn: pip install 'trueward[flow]' ({error})") from error
    classes = int(labels.max()) + 1
    weights, offsets = np.zeros((len(flat), classes)), np.zeros(classes)
    for one in range(classes):
        machine = SVC(C=cost, kernel="rbf", gamma=gamma).fit(flat, labels == one)
        weights[machine.support_, one] = machine.dual_coef_[0]
        offsets[one] = machine.intercept_[0]
    return weights, offsets


def _kernel(a: np.ndarray, b: np.ndarray, gamma: float) -> Float[np.ndarray, "n m"]:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    kernel: np.ndarray = np.exp(-gamma * np.maximum(squares, 0.0))
    return kernel


def _log_softmax(values: np.ndarray) -> np.ndarray:
    shifted = values - values.max(axis=1, keepdims=True)
    logs: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
