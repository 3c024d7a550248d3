"""Running statistics of normalisers, kept with a policy."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlx_persistence._arrays import array_of, in_the_kind_of
from rlx_persistence._errors import DamagedFileError, PolicyMismatchError
from rlx_persistence._members import FilePersistence
from rlx_persistence._offers import shape_of, statistics_of
from rlx_persistence._optional import import_numpy, is_tensor
from rlx_persistence._seal import SealingFile


class NormalizerPersistence(FilePersistence):
    """Keeps the running statistics of an observation or reward normaliser as an npz file.

    Args:
        normalizer: The object that holds the statistics: the ``RunningMeanStd`` of
            gymnasium, tianshou or Stable-Baselines3, a wrapper that has some
            (``VecNormalize``, ``NormalizeObservation``, ``NormalizeReward``), or one of your own.
        fields: Its attributes to keep, arrays or numbers; None for mean, var and count.
        filename: Name of the file.

    Raises:
        AttributeError: If the normaliser lacks one of the fields, or has no statistics.
    """

    def __init__(
        self,
        normalizer: object,
        fields: Sequence[str] | None = None,
        filename: str = "normalizer.npz",
    ) -> None:
        super().__init__(filename, "normalizer")
        self._normalizer = normalizer
        self._fields = None if fields is None else tuple(fields)
        if not self._values():
            raise AttributeError(
                f"normalizer must have mean, var and count, or hold objects that do, which "
                f"a {type(normalizer).__name__} does not; name its attributes with fields=(...)"
            )

    def write(self, file: SealingFile) -> None:
        """Write the fields as arrays.

        Raises:
            TypeError: One is no array of numbers.
        """
        numpy = import_numpy("NormalizerPersistence")
        buffer = io.BytesIO()  # NumPy takes nothing that cannot be read as well
        arrays = {
            name: numpy.asarray(array_of(value) if is_tensor(value) else value)
            for name, value in self._values().items()
        }
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"field {name!r} is {array!r}; it must be an array of numbers")
        numpy.savez(buffer, **arrays)
        file.write(buffer.getbuffer())

    def read(self, path: str) -> None:
        """Set the fields; a number stays a number.

        Raises:
            PolicyMismatchError: If a field is missing or has another shape; nothing has been changed.
        """
        numpy = import_numpy("NormalizerPersistence")
        current = self._values()
        try:
            with Path(path).open("rb") as file, numpy.load(file, allow_pickle=False) as archive:
                loaded = {name: archive[name] for name in archive.files}
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DamagedFileError(path, f"{type(error).__name__}: {error}") from error
        _refuse_misfit(current, loaded, path)
        places = self._places()
        for name, value in current.items():
            owner, attribute = places[name]
            setattr(owner, attribute, in_the_kind_of(loaded[name], value))

    def _places(self) -> Mapping[str, tuple[object, str]]:
        if self._fields is None:
            return statistics_of(self._normalizer)
        return {name: (self._normalizer, name) for name in self._fields}

    def _values(self) -> Mapping[str, Any]:
        # Which attributes there are is the caller's word, so this is no guess.
        return {name: getattr(owner, attribute) for name, (owner, attribute) in self._places().items()}


def _refuse_misfit(current: Mapping[str, Any], loaded: Mapping[str, Any], path: str) -> None:
    missing = sorted(current.keys() - loaded.keys())
    unexpected = sorted(loaded.keys() - current.keys())
    misshapen = [
        f"{name} {loaded[name].shape} instead of {shape_of(value)}"
        for name, value in current.items()
        # A number may become an array: tianshou's statistics are numbers before the first observation.
        if name in loaded and shape_of(value) not in {None, (), loaded[name].shape}
    ]
    if missing or unexpected or misshapen:
        raise PolicyMismatchError(path, missing=missing, unexpected=unexpected, misshapen=misshapen)
