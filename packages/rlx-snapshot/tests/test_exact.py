"""Objects that ordinary pickling restarts, splits or cannot hold."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlx_snapshot import exact_copy, exact_dumps, exact_loads

SCRIPT = """
import pickle, sys
{definitions}
if __name__ == "__main__":
    from rlx_snapshot import Snapshotter
    if sys.argv[1] == "save":
        Snapshotter({directory!r}).save_itr_params(0, {state})
    else:
        state = Snapshotter({directory!r}).load({directory!r})
        print({check})
"""
CLASSES = """
class Base:
    def __init__(self, n): self.n = n
class Policy(Base):
    def __init__(self, n):
        super().__init__(n)
    def act(self): return self.n + OFFSET
def schedule(step): return step * OFFSET
OFFSET = 10
"""


def run(path: Path, *arguments: str) -> str:
    """Run a script in a fresh interpreter and return what it prints."""
    command = [sys.executable, str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _geom(data: Any) -> Any:
    return data.geom(0).xpos


def _coordinates(data: Any) -> Any:
    return data.geom_xpos[0, ::2]


def _rows(data: Any) -> Any:
    return data.geom_xmat[:]


class TestMainModule:
    def script(self, tmp_path: Path, name: str, definitions: str, check: str) -> Path:
        """A script that saves and loads instances of its own classes."""
        state = "{'policy': Policy(1), 'schedule': schedule, 'twice': lambda x: schedule(x) * 2}"
        text = SCRIPT.format(
            definitions=definitions, directory=str(tmp_path / "run"), state=state, check=check
        )
        (tmp_path / name).write_text(text)
        return tmp_path / name

    def test_resumed_script_gets_its_own_classes(self, tmp_path: Path) -> None:
        """An instance loaded by the script that saved it is of the script's class, edits included."""
        run(self.script(tmp_path, "train.py", CLASSES, "0"), "save")
        check = "type(state['policy']) is Policy, state['schedule'] is schedule, state['policy'].act()"
        edited = self.script(tmp_path, "train.py", CLASSES.replace("OFFSET = 10", "OFFSET = 20"), check)
        assert run(edited, "load") == "True True 21"

    def test_another_program_gets_a_copy_of_the_code(self, tmp_path: Path) -> None:
        """A program without such names loads the classes as they were when saved."""
        run(self.script(tmp_path, "train.py", CLASSES, "0"), "save")
        check = "state['policy'].act(), state['schedule'](2), state['twice'](2), type(state['policy']).__mro__[1].__name__"
        other = self.script(tmp_path, "other.py", "", check)
        assert run(other, "load") == "11 20 40 Base"

    def test_plain_pickle_needs_no_rlx(self, tmp_path: Path) -> None:
        """The file does not name this package anywhere."""
        run(self.script(tmp_path, "train.py", CLASSES, "0"), "save")
        assert b"rlx_snapshot" not in (tmp_path / "run/params.pkl").read_bytes()


class TestNumpy:
    @pytest.mark.parametrize("name", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
    def test_generators_continue_their_stream(self, name: str) -> None:
        """A copy draws the same numbers and spawns the same children."""
        np = pytest.importorskip("numpy", reason="needs numpy")
        generator: Any = np.random.Generator(vars(np.random)[name](7))
        generator.integers(10, size=3, dtype=np.uint32)
        generator.spawn(2)
        copy = exact_copy(generator)
        assert copy.integers(1 << 40, size=5).tolist() == generator.integers(1 << 40, size=5).tolist()
        ours, theirs = generator.spawn(1)[0], copy.spawn(1)[0]
        assert ours.integers(1 << 40) == theirs.integers(1 << 40)

    def test_random_state_continues_with_its_spare_gaussian(self) -> None:
        """The cached second Gaussian of the legacy generator is kept."""
        np = pytest.importorskip("numpy", reason="needs numpy")
        state = np.random.RandomState(3)
        state.standard_normal()
        copy = exact_copy(state)
        assert copy.standard_normal(4).tolist() == state.standard_normal(4).tolist()

    def test_generators_name_no_private_module(self) -> None:
        """The bytes hold public names only, so every NumPy from 1.26 on reads them."""
        np = pytest.importorskip("numpy", reason="needs numpy")
        assert b"_pickle" not in exact_dumps([np.random.default_rng(1), np.random.RandomState(1)])

    def test_two_generators_on_one_source_stay_together(self) -> None:
        """Generators that share a bit generator share it again."""
        np = pytest.importorskip("numpy", reason="needs numpy")
        source = np.random.PCG64(1)
        first, second = exact_copy((np.random.Generator(source), np.random.Generator(source)))
        assert first.bit_generator is second.bit_generator


class TestEnvironments:
    @pytest.mark.parametrize(
        "name",
        ["CartPole-v1", "Acrobot-v1", "Hopper-v5", "Ant-v5", "ALE/Breakout-v5", "ALE/Pong-v5"],
    )
    def test_copy_goes_on_in_mid_episode(self, name: str) -> None:
        """Copy and original answer the same 120 actions with the same observations."""
        environment = _made(name)
        environment.reset(seed=3)
        environment.action_space.seed(1)
        actions = [environment.action_space.sample() for _ in range(190)]
        for start in (0, 37, 60):
            _play(environment, actions[start : start + 10])
            copy = exact_copy(environment)
            exact_dumps(copy)
            assert _play(copy, actions[70:]) == _play(exact_copy(environment), actions[70:])

    def test_saving_does_not_disturb_the_original(self) -> None:
        """An emulator that is saved again and again plays on as one that is not."""
        played: list[list[bytes]] = []
        for save in (False, True):
            environment = _made("ALE/Pong-v5")
            environment.reset(seed=3)
            seen = _play(environment, [2, 3] * 20)
            for moment in range(30):
                seen += _play(environment, [2, 3, 3, 2, 2][: 1 + moment % 5])
                if save:
                    exact_dumps(environment)
            played.append(seen)
        assert played[0] == played[1]

    def test_sticky_actions_are_repeated_after_loading(self) -> None:
        """The action an emulator would repeat is part of the copy, at each of a dozen moments."""
        environment = _made("ALE/Breakout-v5")
        environment.reset(seed=2)
        for moment in range(12):
            _play(environment, [1, 2, 3, 2, 2, 3, 1][: 3 + moment % 5])
            copy = exact_copy(environment)
            assert _play(copy, [0, 3] * 3) == _play(environment, [0, 3] * 3), moment

    def test_wrappers_keep_their_statistics(self) -> None:
        """The running mean of an observation normaliser is part of the copy."""
        wrappers: Any = pytest.importorskip("gymnasium.wrappers", reason="needs gymnasium")
        environment = wrappers.NormalizeObservation(_made("CartPole-v1"))
        environment.reset(seed=1)
        _play(environment, [0, 1] * 10)
        copy = exact_copy(environment)
        assert copy.obs_rms.mean.tolist() == environment.obs_rms.mean.tolist()
        assert copy.obs_rms.count == environment.obs_rms.count > 20

    @pytest.mark.parametrize("shown", [_geom, _coordinates, _rows])
    def test_array_that_shows_the_simulation_still_does(self, shown: Callable[[Any], Any]) -> None:
        """A kept ``data.geom(0).xpos`` moves with the copy's own simulation."""
        mujoco: Any = pytest.importorskip("mujoco", reason="needs mujoco")
        environment = _simulation_that_starts_again(mujoco)
        environment.shown = shown(environment.data)
        environment.step([0.5])
        copy = exact_copy(environment)
        before = copy.shown.tolist()
        for _ in range(3):
            environment.step([0.5])
            assert copy.step([0.5])
        assert copy.shown.tolist() == environment.shown.tolist() != before

    def test_simulation_is_saved_whatever_the_environment_pickles(self) -> None:
        """One with a ``__getstate__`` that builds its simulator again is copied in mid-episode all the same."""
        mujoco: Any = pytest.importorskip("mujoco", reason="needs mujoco")
        environment = _simulation_that_starts_again(mujoco)
        for _ in range(5):
            environment.step(0.3)
        copy = exact_copy(environment)
        assert [copy.step(0.1) for _ in range(5)] == [environment.step(0.1) for _ in range(5)]

    def test_bytes_load_without_rlx(self) -> None:
        """A live environment in a pickle needs its own library and nothing of ours."""
        environment = _made("Hopper-v5")
        environment.reset(seed=3)
        data = exact_dumps(environment)
        assert b"rlx_snapshot" not in data
        assert pickle.loads(data).unwrapped.data.qpos.tolist() == environment.unwrapped.data.qpos.tolist()

    def test_emulator_without_its_environment_is_refused(self) -> None:
        """An ALE handle alone does not say which game it plays."""
        emulator: Any = _made("ALE/Pong-v5").unwrapped.ale
        with pytest.raises(TypeError, match="save the environment"):
            exact_dumps(emulator)


def test_old_ale_py_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions that take an emulator's state for text cannot save it; the error says which can."""
    ale_py: Any = pytest.importorskip("ale_py", reason="needs ale-py")
    environment = _made("ALE/Pong-v5")
    environment.reset(seed=1)
    monkeypatch.setattr(ale_py.ALEState, "serialize", _as_text)
    with pytest.raises(TypeError, match=r"state\['env'\].* ale-py [0-9.]+ cannot .* 'ale-py>=0\.12'"):
        exact_dumps({"env": environment})


def _as_text(_: object) -> str:
    return bytes([0xF7]).decode()


def test_loads_returns_what_dumps_took() -> None:
    """Any picklable value makes the round trip."""
    value = {"a": [1, 2.5, None], "b": ({3}, b"x")}
    assert exact_loads(exact_dumps(value)) == value


def _simulation_that_starts_again(mujoco: Any) -> Any:
    gymnasium: Any = pytest.importorskip("gymnasium", reason="needs gymnasium")

    class Simulation(gymnasium.Env):  # type: ignore[misc]
        def __init__(self) -> None:
            self.model: Any = mujoco.MjModel.from_xml_string(
                "<mujoco><worldbody><body><joint type='hinge' name='j'/><geom size='.1' pos='.2 0 0'/></body>"
                "</worldbody><actuator><motor joint='j'/></actuator></mujoco>"
            )
            self.data: Any = mujoco.MjData(self.model)

        def step(self, action: Any) -> Any:
            self.data.ctrl[:] = action
            mujoco.mj_step(self.model, self.data)
            return self.data.qpos.tolist(), self.data.qacc_warmstart.tolist()

        def __getstate__(self) -> dict[str, Any]:
            return {"qpos": self.data.qpos.copy()}

        def __setstate__(self, state: dict[str, Any]) -> None:
            self.__init__()  # type: ignore[misc]
            self.data.qpos[:] = state["qpos"]

    return Simulation()


@pytest.mark.filterwarnings("ignore")
def _made(name: str, **options: object) -> Any:
    gymnasium: Any = pytest.importorskip("gymnasium", reason="needs gymnasium")
    if name.startswith("ALE/"):
        gymnasium.register_envs(pytest.importorskip("ale_py", reason="needs ale-py"))
    elif name.endswith("-v5"):
        pytest.importorskip("mujoco", reason="needs mujoco")
    return gymnasium.make(name, **options)


def _play(environment: Any, actions: list[Any]) -> list[bytes]:
    seen: list[bytes] = []
    for action in actions:
        observation, reward, terminated, truncated, _ = environment.step(action)
        seen.append(bytes(observation.tobytes()) + repr(float(reward)).encode())
        if terminated or truncated:
            seen.append(bytes(environment.reset()[0].tobytes()))
    return seen


def test_plain_namespaces_need_no_cloudpickle_to_be_read() -> None:
    """They are kept by name, like any class that can be imported."""
    assert b"cloudpickle" not in exact_dumps(SimpleNamespace(a=1))
