"""Which files, variables and command-line values are kept out of records."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, cast

from rlx_experiment._arguments.encoder import to_plain

_SECRET_FILES: Final = (
    ".env", ".env.*", "*.env", ".netrc", "_netrc", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd",
    "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "*.keystore", "*.jks", "*.token", "*.ovpn",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials", "credentials.*", "secrets", "secrets.*",
    "service-account*.json", "client_secret*.json",
)  # fmt: skip
_SECRET_FOLDERS: Final = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".azure"})
_HARMLESS: Final = (
    "*.example",
    "*.sample",
    "*.template",
    "*.dist",
    "*.pub",
    "*.py",
    "*.pyi",
    "*.md",
    "*.rst",
)
_SECRET_WORD: Final = re.compile(r"key|token|secret|passw|credential|auth|cookie", re.IGNORECASE)
_SECRET_ARGUMENT: Final = re.compile(
    r"(.*_)?(token|secret|(api|access|private|secret)_?key|passw(or)?d|passphrase|credentials?)",
    re.IGNORECASE,
)
_URL_LOGIN: Final = re.compile(r"(?<=://)[^/\s@]+@")

_ENVIRONMENT: Final = re.compile(
    r"(CUDA|NVIDIA|HIP|ROCR|OMP|MKL|OPENBLAS|NUMEXPR|NCCL|XLA|JAX|TORCH|PYTORCH|MUJOCO|PYOPENGL|SLURM|RAY|RLX)_\w+"
    r"|PYTHON\w+|CONDA_DEFAULT_ENV|CONDA_PREFIX|VIRTUAL_ENV|PATH|LD_LIBRARY_PATH|LANG|LC_ALL|TZ|DISPLAY"
)
HIDDEN: Final = "***"
SECRET_MARKER: Final = "$secret"


def is_secret_file(name: str) -> bool:
    """Return whether a file of a repository looks like it holds credentials, by its path alone."""
    path = PurePosixPath(name.lower())
    if _SECRET_FOLDERS.intersection(path.parts[:-1]):
        return True
    if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in _HARMLESS):
        return False
    return any(fnmatch.fnmatchcase(path.name, pattern) for pattern in _SECRET_FILES)


def public_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that matter to a run and are known to be harmless."""
    return {
        name: _URL_LOGIN.sub(f"{HIDDEN}@", value)
        for name, value in sorted(environment.items())
        if _ENVIRONMENT.fullmatch(name) and not _SECRET_WORD.search(name)
    }


def is_secret_argument(name: str, value: object) -> bool:
    """Return whether an argument looks like a credential: a text that is called a token, a password, an api_key."""
    return isinstance(value, str) and value != "" and _SECRET_ARGUMENT.fullmatch(name) is not None


def public_arguments(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return `arguments` as they are recorded, with a marker in the place of credentials."""
    return {name: _public(name, value) for name, value in arguments.items()}


def _public(name: str, value: object) -> object:
    if is_secret_argument(name, value):
        return {SECRET_MARKER: True}
    if value is None or type(value) in (bool, int, float, str) or type(value).__module__ == "numpy":
        return value
    plain: object = to_plain(value)
    hidden = _without_secrets(plain)
    return value if hidden == plain else hidden


def _without_secrets(plain: object) -> object:
    """Return a recorded value with a marker in the place of its entries that look like credentials."""
    if isinstance(plain, list):
        return [_without_secrets(item) for item in cast("list[object]", plain)]
    if not isinstance(plain, dict):
        return plain
    return {
        name: {SECRET_MARKER: True} if is_secret_argument(name, value) else _without_secrets(value)
        for name, value in cast("dict[str, object]", plain).items()
    }


def public_argv(argv: Sequence[str]) -> list[str]:
    """Return a command line with the values of options such as ``--api-key`` replaced by ``***``."""
    public: list[str] = []
    hide_next = False
    for word in argv:
        name, equals, _ = word.partition("=")
        secret = name.startswith("-") and _SECRET_WORD.search(name) is not None
        if hide_next and not word.startswith("-"):
            public.append(HIDDEN)
        elif secret and equals:
            public.append(f"{name}={HIDDEN}")
        else:
            public.append(_URL_LOGIN.sub(f"{HIDDEN}@", word))
        hide_next = secret and not equals
    return public
