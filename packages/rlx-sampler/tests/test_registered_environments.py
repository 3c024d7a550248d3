"""Environments in mid-episode go on in a fresh process, bit for bit: all that gymnasium knows here."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import registered_environments as environments

pytestmark = pytest.mark.filterwarnings("ignore")  # some ids warn that they are old

FEW = 2
LIMIT = 1500


def save(env_id: str, path: Path, *, alters: bool = False) -> list[str]:
    """Stop a sampler in mid-episode and save its state; return what came of it in this process."""
    sampler = environments.start(env_id)
    sampler.obtain_samples(0, environments.STEPS, None)
    state: dict[str, Any] = sampler.state_dict()
    if alters:
        state["live"] = []
    path.write_bytes(pickle.dumps((env_id, state)))
    return environments.go_on(sampler)


def differing(env_ids: list[str], folder: Path) -> dict[str, Any]:
    """Return what came of each environment in a fresh process, where that is something else than here."""
    states = {env_id: folder / f"{number:04}.state" for number, env_id in enumerate(env_ids)}
    wanted = {env_id: save(env_id, path) for env_id, path in states.items()}
    script = [sys.executable, "-W", "ignore", environments.__file__, str(folder)]
    subprocess.run(script, check=True, timeout=LIMIT, capture_output=True)
    results = {
        env_id: pickle.loads(path.with_suffix(".result").read_bytes()) for env_id, path in states.items()
    }
    print(f"{len(results)} of {len(env_ids)} environments compared")
    return {env_id: result for env_id, result in results.items() if result != wanted[env_id]}


def installed(family: str) -> list[str]:
    """Return the ids of a family, all of which can be made; skip the test where the family cannot be.

    Where some can be made and others not, the tests that go on with the others fail.
    """
    env_ids = environments.registered(family)
    if not env_ids or not can_be_made(env_ids[0]):
        pytest.skip(f"the libraries of {family} are not installed")
    return env_ids


def spread_over(env_ids: list[str]) -> list[str]:
    """Return a few from all over the list."""
    return env_ids[:: max(1, len(env_ids) // FEW)][:FEW]


@pytest.mark.parametrize("family", environments.FAMILIES)
def test_a_few_of_each_family_go_on(family: str, tmp_path: Path) -> None:
    """Two of each family that is installed."""
    assert differing(working(spread_over(installed(family))), tmp_path) == {}


@pytest.mark.slow
@pytest.mark.timeout(2 * LIMIT)
@pytest.mark.parametrize("family", environments.FAMILIES)
def test_all_go_on(family: str, tmp_path: Path) -> None:
    """Every id of each family."""
    assert differing(working(installed(family)), tmp_path) == {}


def working(env_ids: list[str]) -> list[str]:
    """Leave out those that an old gymnasium cannot step with this NumPy; some are left."""
    left = [env_id for env_id in env_ids if not needs_older_numpy(env_id)]
    assert left
    return left


def needs_older_numpy(env_id: str) -> bool:
    """Whether a step asks NumPy for what it no longer has."""
    environment = gymnasium.make(env_id)
    environment.reset(seed=0)
    try:
        environment.step(environment.action_space.sample())
    except AttributeError as error:
        return "removed in the NumPy 2.0 release" in str(error)
    finally:
        environment.close()
    return False


def can_be_made(env_id: str) -> bool:
    """Whether what an environment needs is installed."""
    try:
        gymnasium.make(env_id).close()
    except gymnasium.error.DependencyNotInstalled:
        return False
    return True


def test_one_that_begins_anew_is_noticed(tmp_path: Path) -> None:
    """The comparison fails where the live environments are left out of the state."""
    save("CartPole-v1", tmp_path / "0000.state", alters=True)
    wanted = save("CartPole-v1", tmp_path / "0001.state")
    environments.main(tmp_path)
    altered, kept = (pickle.loads((tmp_path / f"000{number}.result").read_bytes()) for number in (0, 1))
    assert kept == wanted
    assert altered != wanted
