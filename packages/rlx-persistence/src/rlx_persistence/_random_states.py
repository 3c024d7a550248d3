"""Random states, so that a restored run draws the numbers it would have drawn."""

import base64
import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import xxhash

from rlx_persistence._atomic import replacing
from rlx_persistence._errors import DamagedFileError, PolicyNotFoundError
from rlx_persistence._events import Persistence, PersistEvent, RestoreEvent
from rlx_persistence._world import World

if TYPE_CHECKING:
    from numpy.random import Generator


class RandomStatePersistence(Persistence):
    """Keeps the global random states of Python, and of NumPy and torch where they are loaded.

    The file is JSON with a digest in it; reading it executes nothing. For exact resume of
    a whole run use rlx-snapshot, which holds these states in the same file as all the rest.

    Args:
        generators: NumPy generators to keep besides, by name.
        filename: Name of the file.
    """

    def __init__(
        self, generators: "Mapping[str, Generator] | None" = None, filename: str = "random_states.json"
    ) -> None:
        self._generators = dict(generators or {})
        self.filename = filename

    def persist(self, event: PersistEvent, world: World) -> None:
        """Write the states."""
        states = json.dumps(self._states())
        document = {"xxh3_128": xxhash.xxh3_128_hexdigest(states.encode()), "states": states}
        with replacing(world.persist_path(self.filename)) as file:
            file.write(json.dumps(document).encode())

    def restore(self, event: RestoreEvent, world: World) -> None:
        """Set the states.

        Raises:
            FileNotFoundError: If there is no file.
            DamagedFileError: If it is not what was written.
            KeyError: If one of the generators is not in the file.
        """
        states = _read(world.restore_path(self.filename))
        unknown = sorted(self._generators.keys() - states["generators"].keys())
        if unknown:
            raise KeyError(f"{self.filename} holds no state of the generators {', '.join(unknown)}")
        for name, generator in self._generators.items():
            generator.bit_generator.state = _decoded(states["generators"][name])
        version, words, gauss = states["python"]
        random.setstate((version, tuple(words), gauss))
        if (numpy := sys.modules.get("numpy")) and "numpy" in states:
            numpy.random.set_state(_decoded(states["numpy"]))
        if (torch := sys.modules.get("torch")) and "torch" in states:
            _set_torch_states(torch, states["torch"])

    def _states(self) -> dict[str, object]:
        states: dict[str, object] = {
            "python": random.getstate(),
            "generators": {
                name: _encoded(generator.bit_generator.state) for name, generator in self._generators.items()
            },
        }
        if numpy := sys.modules.get("numpy"):
            states["numpy"] = _encoded(numpy.random.get_state(legacy=False))
        if torch := sys.modules.get("torch"):
            states["torch"] = _torch_states(torch)
        return states


def _read(path: str) -> dict[str, Any]:
    try:
        document = json.loads(Path(path).read_bytes())
        if xxhash.xxh3_128_hexdigest(document["states"].encode()) != document["xxh3_128"]:
            raise DamagedFileError(path, "its digest is not that of its content")
        return cast("dict[str, Any]", json.loads(document["states"]))
    except FileNotFoundError as error:
        raise PolicyNotFoundError(path) from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DamagedFileError(path, f"{type(error).__name__}: {error}") from error


def _encoded(value: Any) -> Any:
    """Replace the arrays in a NumPy state (the key of MT19937, say) by lists."""
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in cast("dict[str, Any]", value).items()}
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return {"dtype": str(value.dtype), "words": value.tolist()}
    return value


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value)
    if items.keys() == {"dtype", "words"}:
        return sys.modules["numpy"].array(items["words"], dtype=items["dtype"])
    return {key: _decoded(item) for key, item in items.items()}


def _torch_states(torch: Any) -> list[str]:
    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states += torch.cuda.get_rng_state_all()
    return [_text(state) for state in states]


def _text(state: Any) -> str:
    return base64.b64encode(bytes(state.tolist())).decode()


def _set_torch_states(torch: Any, states: list[str]) -> None:
    cpu, *devices = [
        torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8) for text in states
    ]
    torch.set_rng_state(cpu)
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(devices[: torch.cuda.device_count()])
