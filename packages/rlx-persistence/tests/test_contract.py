"""The public names are those that were promised."""

import inspect
from enum import Enum

import rlx_persistence
from rlx_persistence import Persistence, PersistenceGroup, PersistEvent, PolicyPersistence, RestoreEvent


class TestNames:
    def test_all_lists_every_public_name(self) -> None:
        """`__all__` is sorted and is what the package's face defines."""
        public = {
            name
            for name, value in vars(rlx_persistence).items()
            if not name.startswith("_") and not inspect.ismodule(value)
        }
        assert public == set(rlx_persistence.__all__)

    def test_every_public_name_is_documented(self) -> None:
        """Each public class and function has a docstring of its own."""
        assert [n for n in rlx_persistence.__all__ if not inspect.getdoc(vars(rlx_persistence)[n])] == []


class TestTianshouContract:
    def test_events(self) -> None:
        """The events have the values that tianshou gives them."""
        assert [(e.name, e.value) for e in PersistEvent] == [("PERSIST_POLICY", "persist_policy")]
        assert [(e.name, e.value) for e in RestoreEvent] == [("RESTORE_POLICY", "restore_policy")]

    def test_mode_is_nested_and_names_its_file(self) -> None:
        """The modes and their files are tianshou's, and one more."""
        assert issubclass(PolicyPersistence.Mode, Enum)
        assert {mode.name: (mode.value, mode.get_filename()) for mode in PolicyPersistence.Mode} == {
            "POLICY_STATE_DICT": ("policy_state_dict", "policy_state_dict.pt"),
            "POLICY": ("policy", "policy.pt"),
            "SAFETENSORS": ("policy_safetensors", "policy.safetensors"),
        }

    def test_signatures(self) -> None:
        """Parameters have the promised names, order and defaults; anything added is keyword-only."""

        def promised(function: object) -> list[tuple[str, object]]:
            parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
            positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
            return [(p.name, None if p.default is p.empty else p.default) for p in positional]

        assert promised(PolicyPersistence) == [
            ("additional_persistence", None),
            ("enabled", True),
            ("mode", PolicyPersistence.Mode.POLICY),
        ]
        assert promised(PolicyPersistence.persist) == [("self", None), ("policy", None), ("world", None)]
        assert promised(PolicyPersistence.restore) == [
            ("self", None),
            ("policy", None),
            ("world", None),
            ("device", None),
        ]
        assert promised(PolicyPersistence.get_save_best_fn) == [("self", None), ("world", None)]
        assert promised(PolicyPersistence.get_save_checkpoint_fn) == [("self", None), ("world", None)]

    def test_group_takes_members_and_enabled(self) -> None:
        """Members are positional, `enabled` is keyword-only and true by default."""
        p, enabled = inspect.signature(PersistenceGroup).parameters.values()
        assert p.kind is p.VAR_POSITIONAL
        assert (enabled.name, enabled.kind, enabled.default) == ("enabled", enabled.KEYWORD_ONLY, True)

    def test_bases(self) -> None:
        """A group is a Persistence; a policy's persistence has no base but object."""
        assert issubclass(PersistenceGroup, Persistence)
        assert PolicyPersistence.__bases__ == (object,)

    def test_persistence_is_abstract(self) -> None:
        """A Persistence must say how it persists and restores."""
        assert Persistence.__abstractmethods__ == {"persist", "restore"}
