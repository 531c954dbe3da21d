"""Environments of control: what is stepped, and gold for them.

- `stepping`: steps of any Gymnasium vector environment as transitions, with true ends of episodes.
- `tabular/`: finite MDPs with names: random ones, gridworlds, the tomato world.
- `minigrid`: mazes of MiniGrid, many at once, with states that can be counted.
- `running`: robots of MuJoCo, with speed as the proxy.
- `arrays/`: environments written as arrays, which step thousands of copies at once.
"""
