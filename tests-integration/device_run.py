"""Policy gradients on a device, with an acting copy of the policy on the CPU."""

# torch declares only part of its types.
# pyright: reportUnknownMemberType=false

import copy
from typing import Any

import torch

from rlx_sampler import sample_categorical


class Actor(torch.nn.Module):
    """Scores two actions; lives on the CPU, where workers copy it."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))

    def get_actions(self, observations: Any, /, *, rngs: Any) -> Any:
        with torch.no_grad():
            scores = self.scores(torch.as_tensor(observations, dtype=torch.float32)).numpy()
        return sample_categorical(scores, rngs), {}

    def get_action(self, observation: Any, /, *, rng: Any) -> Any:
        actions, infos = self.get_actions(observation[None], rngs=[rng])
        return actions[0], infos

    def get_param_values(self) -> Any:
        return {name: value.numpy() for name, value in self.state_dict().items()}

    def set_param_values(self, values: Any, /) -> None:
        self.load_state_dict({name: torch.as_tensor(value) for name, value in values.items()})


class Reinforce:
    """Policy gradients with noise from the device's generator, so that a wrong resume shows.

    Source: Williams (1992), "Simple statistical gradient-following algorithms", eq. 4.

    Args:
        device: Where the policy learns.
    """

    max_episode_length = 100

    def __init__(self, device: str) -> None:
        self.device = device
        self.exploration_policy = Actor()
        self.policy = copy.deepcopy(self.exploration_policy).to(device)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=1e-2)

    def train(self, loop: Any, /) -> None:
        for epoch in loop.step_epochs():
            self._learn(loop.obtain_episodes(epoch))
            self.exploration_policy.load_state_dict(self.policy.state_dict())
            loop.step_itr += 1

    def _learn(self, batch: Any) -> None:
        observations = torch.as_tensor(batch.observations, dtype=torch.float32, device=self.device)
        actions = torch.as_tensor(batch.actions, device=self.device)
        returns = torch.as_tensor(batch.lengths, dtype=torch.float32).repeat_interleave(
            torch.as_tensor(batch.lengths)
        )
        noise = torch.randn(len(actions), device=self.device)
        logs = torch.log_softmax(self.policy.scores(observations), dim=1)
        chosen = logs.gather(1, actions[:, None]).squeeze(1)
        loss = -(chosen * (returns.to(self.device) / 100 + 0.01 * noise)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
