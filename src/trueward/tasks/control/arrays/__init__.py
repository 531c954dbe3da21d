"""Environments written as arrays: N copies step as one, in microseconds, with the numbers of Gymnasium's.

- `environment`: `ArrayEnv`, what they have in common. To write another: `begin`, `advance`, `observe`.
- `cart_pole`, `pendulum`, `mountain_car`: Gymnasium's CartPole-v1, Pendulum-v1 and MountainCar-v0.
"""

from trueward.tasks.control.arrays.cart_pole import CartPole
from trueward.tasks.control.arrays.environment import ArrayEnv
from trueward.tasks.control.arrays.mountain_car import MountainCar
from trueward.tasks.control.arrays.pendulum import Pendulum

__all__ = ["ArrayEnv", "CartPole", "MountainCar", "Pendulum"]
