"""The policy of a run on disk: the best one, and checkpoints on the way."""

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

from rlx_persistence._adaptor import PolicyAdaptor
from rlx_persistence._checkpoints import Checkpoint, Keeper, checkpoint_name, find_checkpoints, prune
from rlx_persistence._events import Persistence, PersistEvent, RestoreEvent
from rlx_persistence._formats import FORMATS, restore_policy
from rlx_persistence._offers import policy_of
from rlx_persistence._optional import TDevice
from rlx_persistence._record import PolicyInfo
from rlx_persistence._sidecar import write_sidecar
from rlx_persistence._world import World

PolicyLike: TypeAlias = object  # a torch.nn.Module above all; mode POLICY takes anything picklable


class PolicyPersistence:
    """Handles persistence of the policy.

    Files appear whole or not at all: the last best policy survives a kill at any instant.
    Every file carries a digest and a record (see `read_info`), is checked when it
    is restored, and has a JSON sidecar with the same record for people and scripts.

    Args:
        additional_persistence: A persistence instance which is to be invoked whenever
            this object is used to persist or restore data.
        enabled: Whether persistence is enabled (restoration is always enabled).
        mode: The persistence mode.
        keep: Which checkpoints stay, e.g. ``KeepLast(5)``; None keeps all. The one
            just written always stays until the next.

    Raises:
        TypeError: If `mode` is not a `PolicyPersistence.Mode`.
    """

    class Mode(Enum):
        """Mode of persistence."""

        POLICY_STATE_DICT = "policy_state_dict"
        """Persist only the policy's state dictionary.

        To be restored into a structurally equivalent policy; reading it executes nothing.
        """

        POLICY = "policy"
        """Persist the entire policy, which must be picklable: a torch module or any other object.

        It can be loaded without building one first (`load_policy`), but no longer
        when its class was renamed or moved. Reading it executes code that the file names.
        """

        SAFETENSORS = "policy_safetensors"
        """Persist only the policy's state dictionary, as a safetensors file.

        Tensors or NumPy arrays alone, nothing executable, readable from other languages.
        Needs the extra ``safetensors``.
        """

        def get_filename(self) -> str:
            """Return the name of the file that holds the best policy."""
            return FORMATS[self.value].filename

    def __init__(
        self,
        additional_persistence: Persistence | None = None,
        enabled: bool = True,
        mode: Mode = Mode.POLICY,
        *,
        keep: Keeper | None = None,
    ) -> None:
        _refuse_foreign(mode)
        self.additional_persistence = additional_persistence
        self.enabled = enabled
        self.mode = mode
        self.keep = keep

    def persist(
        self,
        policy: PolicyLike,
        world: World,
        *,
        epoch: int | None = None,
        env_step: int | None = None,
        gradient_step: int | None = None,
        score: float | None = None,
    ) -> None:
        """Write the best policy, if enabled, and then the additional persistence.

        Args:
            policy: A torch module, or any object that fits the mode.
            world: Where to write.
            epoch: Recorded in the file, as are the following.
            env_step: Environment steps done so far.
            gradient_step: Gradient steps done so far.
            score: Score of the policy.

        Raises:
            TypeError: If the policy does not fit the mode.
        """
        if not self.enabled:
            return
        self._write(
            policy,
            world.persist_path(self.mode.get_filename()),
            PolicyInfo(self.mode.value, epoch, env_step, gradient_step, score),
        )
        self._persist_additional(world)

    def restore(
        self, policy: PolicyLike, world: World, device: TDevice, *, filename: str | None = None
    ) -> None:
        """Bring the persisted state into `policy`, and then the additional persistence.

        Mode POLICY executes code that the file names: restore only files that you trust.

        Args:
            policy: Takes the state; it keeps its own device.
            world: Where to read.
            device: Where tensors are put on the way, ``'cpu'`` or a ``torch.device``.
            filename: Another file than the best policy's, e.g. a checkpoint's.

        Raises:
            ValueError: If the world has no directory to restore from.
            PolicyNotFoundError: If there is no such file (a FileNotFoundError).
            DamagedFileError: If the file is not what was written (a ValueError).
            WrongModeError: If the file was written in another mode (a ValueError).
            PolicyMismatchError: If keys or shapes differ (a RuntimeError); `policy` is unchanged.
        """
        path = world.restore_path(filename or self.mode.get_filename())
        restore_policy(self.mode.value, policy, path, device)
        if self.additional_persistence is not None:
            self.additional_persistence.restore(RestoreEvent.RESTORE_POLICY, world)

    def get_save_best_fn(self, world: World) -> Callable[[PolicyLike], None]:
        """Return a function that persists the policy it is given; trainers call it at each new best."""

        def save_best(policy: PolicyLike) -> None:
            self.persist(policy, world)

        return save_best

    def get_save_checkpoint_fn(
        self, world: World, *, score: Callable[[], float] | None = None
    ) -> Callable[[int, int, int], str] | None:
        """Return a function that writes a checkpoint of the world's algorithm or policy.

        Args:
            world: Where to write, and what: its algorithm where it has one, else its policy.
            score: Asked at each checkpoint for the score to record, for ``KeepBest``.

        Returns:
            A function of epoch, environment steps and gradient steps that returns the
            path it wrote; None if persistence is not enabled.
        """
        if not self.enabled:
            return None

        def save_checkpoint(epoch: int, env_step: int, gradient_step: int) -> str:
            value = None if score is None else score()
            info = PolicyInfo(self.mode.value, epoch, env_step, gradient_step, value)
            return self._write_checkpoint(world, epoch, info)

        return save_checkpoint

    def checkpoints(self, world: World) -> list[Checkpoint]:
        """Return the checkpoints of this mode in ``world.persist_directory``, in order of their epochs."""
        return find_checkpoints(world.persist_directory, self.mode.get_filename())

    def as_persistence(self, *, policy: PolicyLike = None, device: TDevice = "cpu") -> Persistence:
        """Return an adaptor, so that this object can be a member of a `PersistenceGroup`.

        Args:
            policy: The policy; by default the world's algorithm or policy at the time of the event.
            device: Where tensors are put when restoring.
        """
        return PolicyAdaptor(self, policy, device)

    def _write_checkpoint(self, world: World, epoch: int, info: PolicyInfo) -> str:
        path = world.persist_path(checkpoint_name(self.mode.get_filename(), epoch))
        self._write(policy_of(world), path, info)
        if self.keep is not None:
            prune(self.checkpoints(world), self.keep, path)
        self._persist_additional(world)
        return path

    def _write(self, policy: object, path: str, info: PolicyInfo) -> None:
        FORMATS[self.mode.value].write(policy, path, info)
        write_sidecar(path, info)

    def _persist_additional(self, world: World) -> None:
        if self.additional_persistence is not None:
            self.additional_persistence.persist(PersistEvent.PERSIST_POLICY, world)


def _refuse_foreign(mode: object) -> None:
    if not isinstance(mode, PolicyPersistence.Mode):
        names = ", ".join(f"PolicyPersistence.Mode.{each.name}" for each in PolicyPersistence.Mode)
        raise TypeError(f"mode is {mode!r}; possible are {names}")
