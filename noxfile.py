# /// script
# requires-python = ">=3.11"
# dependencies = ["nox[uv]>=2026.10"]
# ///
"""Every check of the repository, each in an environment that it builds itself.

`nox` lists and runs them; CONTRIBUTING.md says which one answers which question.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import nox
from nox.command import CommandFailed
from nox.virtualenv import UV  # its path: an environment that is not activated does not show it
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = pathlib.Path(__file__).parent.resolve()
PACKAGES = [
    folder.name for folder in sorted((ROOT / "packages").iterdir()) if (folder / "pyproject.toml").exists()
]
SHORT_NAMES = [package.removeprefix("rlx-") for package in PACKAGES]
# Those of the classifiers that every machine holds; who has the newest ones too names them: see .ci/pythons-next.
PYTHONS = os.environ.get("RLX_PYTHONS", "3.11 3.12 3.13").split()
WITHOUT_OLD_WHEELS = {"3.14", "3.15"}
# Half an hour on two cores has room for the first Python and the last, with the oldest libraries and the newest;
# the first one with the newest is that of `tests`.
FEWER_CELLS = "RLX_FEWER_CELLS" in os.environ
LEFT_OUT = {
    (PYTHONS[0], "highest"),
    *((python, what) for python in PYTHONS[1:-1] for what in ("lowest-direct", "highest")),
}
LONGEST = "rlx-sampler"
"""Three minutes in every cell: of the fewer ones it has those with the oldest libraries."""
TORCH_PYTHON = "3.11"
# The local label makes an installer stop where this build is missing, instead of fetching gigabytes of CUDA.
TORCH = os.environ.get("RLX_TORCH", "torch==2.13.0+cpu")
# Extras that bring a hundred libraries; a session of their own tests what they are for.
TRACKERS = ["mlflow", "trackio"]
CLIENTS = ["sb3"]
JAX = "jax>=0.6"
CI = "CI" in os.environ
SB3 = "stable-baselines3==2.9.2"
INTEGRATION = ROOT / "tests-integration"
WITH_RAY = ROOT / "packages" / "rlx-sampler" / "tests" / "test_ray.py"
ON_A_CLUSTER = (WITH_RAY, *(INTEGRATION / f"test_{name}.py" for name in ("slurm", "ray_cluster", "tune")))
IN_TORCH = [f"--ignore={INTEGRATION / name}" for name in ("test_kill_and_resume.py", "test_docs.py")]
"""Tests of examples and pages, which the `torch` session runs whether they need torch or not."""
ELSEWHERE = [f"--ignore={path}" for path in (INTEGRATION / "clients", *ON_A_CLUSTER)]
"""Tests that have sessions of their own."""
WITHOUT_TORCH = [
    f"--ignore={INTEGRATION / name}"
    for name in (
        "test_house_style.py",
        "test_glossary.py",
        "test_notebooks.py",
        "test_tensorboard_browser.py",
    )
]
"""Integration tests that torch has nothing to do with."""
WHEELS = ROOT / ".nox" / "wheels"
ONE_CORE: dict[str, Any] = {
    "venv_backend": "uv",
    "requires": ["wheels"],
    "default": False,
    "allow_parallel": True,
    "tags": ["ci"],
}
"""Of sessions of CI that use one core each and test what was built."""

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = CI
nox.options.reuse_venv = "no" if CI else "yes"  # a kept environment would hide a missing interpreter
nox.options.parallel = min(4, os.cpu_count() or 1)
nox.options.sessions = ["tests"]


def show_pyenv_interpreters() -> None:
    """Make every interpreter that pyenv holds visible, the active one first."""
    found = shutil.which("pyenv")
    if os.environ.get("PYENV_VERSION") or found is None:
        return
    root = pathlib.Path(found).parent.parent
    if "PYENV_ROOT" not in os.environ and (root / "versions").is_dir():
        os.environ["PYENV_ROOT"] = str(root)  # also where HOME is not the one that pyenv was installed in

    def ask(*args: str) -> list[str]:
        return subprocess.run(["pyenv", *args], capture_output=True, text=True, check=False).stdout.split()

    held = [name for series in PYTHONS for name in ask("latest", series)]
    active = [name for line in ask("version-name") for name in line.split(":")]
    if held:
        os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys([*active, *held]))


show_pyenv_interpreters()


# Building and installing


def pyproject(package: str) -> pathlib.Path:
    """Where a package declares itself."""
    return ROOT / "packages" / package / "pyproject.toml"


def fresh_wheels() -> pathlib.Path:
    """The folder that the `wheels` session has just filled."""
    return WHEELS / (WHEELS / "latest").read_text()


def wheel_of(package: str) -> pathlib.Path:
    """The wheel of one package, built in this run."""
    return next(fresh_wheels().glob(f"{package.replace('-', '_')}-*.whl"))


def uv(session: nox.Session, *args: object) -> str:
    """Run uv for the session's environment and return what it printed."""
    return str(session.run(UV, *map(str, args), external=True, silent=True))


def installed(session: nox.Session) -> dict[str, Version]:
    """Every distribution of the session's environment, with its version."""
    rows = json.loads(uv(session, "pip", "list", "--format", "json", "-q"))
    return {canonicalize_name(row["name"]): Version(row["version"]) for row in rows}


def install_package(
    session: nox.Session, package: str, resolution: str, *, groups: tuple[str, ...] = ()
) -> None:
    """Make the environment hold one wheel, its declared dependencies and `groups`, and nothing else.

    A wheel's name or path is no direct dependency for `lowest-direct`: it would leave every floor
    untouched. So the pyproject is resolved first, and its result constrains the installation.
    """
    siblings = fresh_wheels() / "siblings.txt"
    pins = fresh_wheels() / f"{package}-{session.python}-{resolution}-{'-'.join(groups)}.txt"
    wanted = [arg for group in groups for arg in ("--group", f"{pyproject(package)}:{group}")]
    uv(session, "pip", "compile", "-q", "--no-sources", "--resolution", resolution, "-c", siblings,
       pyproject(package), *wanted, "-o", pins)  # fmt: skip
    uv(session, "pip", "install", "--exact", "--no-sources", "-c", pins, wheel_of(package), *wanted)


def floors(package: str, python: str) -> Iterator[tuple[str, Version]]:
    """The lower bound of each run-time dependency; a dependency without one is an error."""
    for text in nox.project.load_toml(pyproject(package))["project"]["dependencies"]:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"python_version": python}):
            continue
        lower = [s.version for s in requirement.specifier if s.operator in {">=", "==", "~="}]
        if not lower:
            raise ValueError(f"{package}: {text!r} has no lower bound; add one, such as '>=1.0'")
        yield canonicalize_name(requirement.name), Version(lower[0])


def check_floors(session: nox.Session, package: str) -> None:
    """Fail unless every dependency is at the oldest version that the package promises."""
    have = installed(session)
    for name, floor in floors(package, str(session.python)):
        # Of a sibling only this build is at hand, so its floor cannot be tried.
        if name not in PACKAGES and have[name] != floor:
            session.error(f"{package}: {name} {have[name]} is installed where the floor is {floor}")


def install_torch(session: nox.Session) -> bool:
    """Install the CPU build of torch and keep others from changing it; False where there is no such build.

    By pip, because uv reads none of pip's configuration.
    """
    session.install("pip")
    constraints = pathlib.Path(session.bin).parent / "torch.txt"
    constraints.write_text(TORCH + "\n")
    report = session.run(
        *(
            "python",
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--quiet",
            "--use-feature=fast-deps",
            "--report",
            "-",
            TORCH,
        ),
        silent=True,
        stderr=subprocess.DEVNULL,
        success_codes=[0, 1],
    )
    if not str(report).strip():
        return False
    refuse_cuda(session, TORCH, [row["metadata"]["name"] for row in json.loads(str(report))["install"]])
    session.run("python", "-m", "pip", "install", "--quiet", "--no-compile", TORCH, stderr=subprocess.DEVNULL)
    session.env["UV_CONSTRAINT"] = str(constraints)
    return True


def require_torch(session: nox.Session) -> None:
    """Install torch; where there is no build of it, skip the session (CI: fail)."""
    if not install_torch(session):
        (session.error if CI else session.skip)(f"no build of {TORCH} here; name another one in RLX_TORCH")


def refuse_cuda(session: nox.Session, what: str, names: list[str]) -> None:
    """Stop before an installation that would bring CUDA."""
    bad = sorted(
        name for name in names if re.match(r"nvidia-(?!ml-py)|cuda-|triton\b", canonicalize_name(name))
    )
    if bad:
        session.error(f"{what} would bring {', '.join(bad)}")


def install_beside_torch(session: nox.Session, *args: object) -> None:
    """Install with uv where torch lies already, after a look at what would come."""
    command = [UV, "pip", "install", "--no-sources", *map(str, args)]
    plan = session.run(*command, "--dry-run", external=True, silent=True)
    refuse_cuda(session, " ".join(map(str, args)), re.findall(r"^ \+ (\S+)==", str(plan), flags=re.MULTILINE))
    session.run(*command, external=True, silent=True)


def everything(*, torch: bool, tests: bool = True, editable: bool = False) -> list[str]:
    """Installer arguments for all packages with their extras, but for trackers, and test groups."""
    args = [] if editable else ["-c", str(fresh_wheels() / "siblings.txt")]
    for package in PACKAGES:
        extras: dict[str, list[str]] = nox.project.load_toml(pyproject(package))["project"].get(
            "optional-dependencies", {}
        )
        chosen = [
            name
            for name, needs in extras.items()
            if name not in {*TRACKERS, *CLIENTS} and (torch or not any(map(needs_torch, needs)))
        ]
        listed = f"[{','.join(chosen)}]" if chosen else ""
        args += ["-e", f"{pyproject(package).parent}{listed}"] if editable else [f"{package}{listed}"]
        args += ["--group", f"{pyproject(package)}:test"] if tests else []
    return args


def needs_torch(requirement: str) -> bool:
    """Whether a requirement is torch itself; nothing else that we name brings it."""
    return canonicalize_name(Requirement(requirement).name) == "torch"


# Running checks


def run_each(session: nox.Session, commands: list[list[str]]) -> None:
    """Run every command, also after one has failed, and fail at the end if any did."""
    failed: list[str] = []
    for command in commands:
        try:
            session.run(*command)
        except CommandFailed:
            failed.append(" ".join(command))
    if failed:
        session.error("failed: " + "; ".join(failed))


PYTEST = """
import pytest, sys

if __name__ == "__main__":
    sys.exit(pytest.main())
"""


def run_pytest(session: nox.Session, *args: str | pathlib.Path, spread: bool = False) -> None:
    """Run pytest on what is installed; a test that skips for a library that is here is an error.

    `spread` runs the tests in as many processes as there are cores: for sessions that nox runs alone.
    """
    if spread:
        uv(session, "pip", "install", "pytest-xdist>=3.6")
        args = ("-n", "logical", "--dist", "worksteal", *args)
    report = pathlib.Path(session.bin).parent / "report.xml"
    config = ROOT / "pyproject.toml"
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        f"{config}",
        "--rootdir",
        f"{ROOT}",
        f"--junitxml={report}",
    ]
    # Worker processes import the test modules by their path from the root.
    session.env.update({"PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(ROOT)})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Not `-m pytest`: the main program would lie in this checkout, and each test of a launch would archive it.
        program = pathlib.Path(folder) / "run_pytest.py"
        program.write_text(PYTEST)
        # In pytest's own folder, sessions that run at the same time trip over what each other removes.
        options.append(f"--basetemp={folder}/t")
        session.run("python", program, *options, *args, *session.posargs)
    have = set(installed(session))
    for case in ET.parse(report).iter("testcase"):
        for skipped in case.iter("skipped"):
            reason = skipped.get("message", "")
            missing = re.search(r"No module named '([\w.]+)'", reason)
            if missing and canonicalize_name(missing[1].partition(".")[0]) in have:
                session.error(
                    f"{case.get('classname')}.{case.get('name')} skips though the library is here: {reason}"
                )


# Sessions


@nox.session(python=False, default=False)
def wheels(session: nox.Session) -> None:
    """Build every wheel once for this run, into a folder that is new each time."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    folder = WHEELS / uuid.uuid4().hex
    folder.mkdir(parents=True)
    uv(session, "build", "-q", "--wheel", "--all-packages", "--no-sources", "--out-dir", folder)
    names = {wheel.name.partition("-")[0].replace("_", "-"): wheel.as_uri() for wheel in folder.glob("*.whl")}
    (folder / "siblings.txt").write_text("".join(f"{name} @ {uri}\n" for name, uri in sorted(names.items())))
    (WHEELS / "latest").write_text(folder.name)


@nox.session(venv_backend="uv", requires=["wheels"], tags=["ci"])
def tests(session: nox.Session) -> None:
    """All packages on one interpreter with the newest dependencies, spread over the cores."""
    session.log("installing the packages and what their tests need")
    uv(session, "pip", "install", "--no-sources", *everything(torch=False))
    folders = [ROOT / "packages" / package / "tests" for package in PACKAGES]
    run_pytest(session, "-m", "not slow", f"--ignore={WITH_RAY}", *folders, spread=True)


@nox.session(
    python=PYTHONS,
    venv_backend="uv",
    requires=["wheels"],
    allow_parallel=True,
    default=False,
    tags=["ci", "matrix"],
)
@nox.parametrize("resolution", ["highest", "lowest-direct"], ids=["highest", "lowest"])
@nox.parametrize("package", PACKAGES, ids=SHORT_NAMES)
def matrix(session: nox.Session, package: str, resolution: str) -> None:
    """Each package alone: its wheel, what it declares, its tests; newest and oldest dependencies."""
    is_left_out = (session.python, resolution) in LEFT_OUT or (package, resolution) == (LONGEST, "highest")
    if FEWER_CELLS and is_left_out:
        session.skip("not among the fewer cells that RLX_FEWER_CELLS asks for")
    if resolution == "lowest-direct" and session.python in WITHOUT_OLD_WHEELS:
        session.skip(f"the oldest libraries that we promise have no wheels for Python {session.python}")
    install_package(session, package, resolution, groups=("test",))
    if resolution == "lowest-direct":
        check_floors(session, package)
    # What starts many processes runs with the newest of everything in `tests`, and here with the oldest.
    oldest = (session.python, resolution) == (PYTHONS[-1], "lowest-direct")
    marks = "not slow" if oldest else "not slow and not processes"
    if not oldest:
        session.env["RLX_EXAMPLES"] = "20"  # of each property; `tests` tries a hundred
    run_pytest(session, "-m", marks, ROOT / "packages" / package / "tests")


@nox.session(python=PYTHONS[-1], **ONE_CORE)
@nox.parametrize("package", PACKAGES, ids=SHORT_NAMES)
def alone(session: nox.Session, package: str) -> None:
    """One wheel in an empty environment: does it import, what does it weigh, what comes with it?"""
    install_package(session, package, "highest")
    brought = sorted(set(installed(session)) - {package})
    session.log(
        f"{wheel_of(package).stat().st_size / 1024:.0f} KiB; brings {', '.join(brought) or 'nothing'}"
    )
    session.run("python", "-I", INTEGRATION / "alone.py", package)


@nox.session(python=TORCH_PYTHON, venv_backend="uv", default=False, allow_parallel=True, tags=["ci"])
def types(session: nox.Session) -> None:
    """Mypy and pyright, both strict, over sources, tests and examples."""
    require_torch(session)
    install_beside_torch(
        session,
        "mypy>=2.4,<3",
        "pyright[nodejs]==1.1.414",
        "types-psutil",
        JAX,
        "nox",
        SB3,
        *everything(torch=True, editable=True),
    )
    python = str(pathlib.Path(session.bin) / "python")
    folders = [[f"packages/{package}/{part}" for part in ("src", "tests")] for package in PACKAGES]
    commands: list[list[str]] = []
    for paths in [*folders, ["examples"], ["tests-integration"], ["noxfile.py", "conftest.py"]]:
        existing = [path for path in paths if path.endswith(".py") or any((ROOT / path).rglob("*.py"))]
        if existing:  # once for each package: test files of two packages may have the same name
            commands += [["mypy", "--config-file", "pyproject.toml", *existing]]
            commands += [["pyright", "--pythonpath", python, *existing]]
    run_each(session, commands)


@nox.session(python=PYTHONS[0], venv_backend="uv", default=False, allow_parallel=True, tags=["ci"])
def lint(session: nox.Session) -> None:
    """Style, spelling, the edges between the packages, and declared against imported libraries."""
    session.install(
        "ruff>=0.17,<0.18",
        "import-linter>=2.16,<3",
        "deptry>=0.25,<0.26",
        "codespell>=2.4,<3",
        "zizmor>=1.20",
    )
    session.env["PYTHONPATH"] = os.pathsep.join(
        str(pyproject(package).parent / "src") for package in PACKAGES
    )
    commands = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["codespell"],
        ["lint-imports"],
        ["zizmor", "--offline", "--quiet", ".github"],
    ]
    commands += [deptry_command(package) for package in PACKAGES]
    run_each(session, commands)


def deptry_command(package: str) -> list[str]:
    """Compare what one package imports with what it declares.

    Extras are imported by name, which no reader of the source can see; torch is there or it is not.
    """
    extras = nox.project.load_toml(pyproject(package))["project"].get("optional-dependencies", {})
    optional = {canonicalize_name(Requirement(need).name) for needs in extras.values() for need in needs}
    ignored = f"DEP001=torch,DEP002={'|'.join(sorted(optional))}" if optional else "DEP001=torch"
    names = "gitpython=git,pillow=PIL,nvidia-ml-py=pynvml"
    source = f"packages/{package}/src"
    return ["deptry", "--no-ansi", source, "--config", f"packages/{package}/pyproject.toml",
            "--per-rule-ignores", ignored, "--package-module-name-map", names]  # fmt: skip


@nox.session(python=PYTHONS[-1], venv_backend="uv", default=False, allow_parallel=True, tags=["ci"])
def build(session: nox.Session) -> None:
    """Source distributions and wheels, as they would be published."""
    session.install("twine>=6", "check-wheel-contents>=0.6", "validate-pyproject[all]>=0.24")
    session.run("validate-pyproject", *(str(pyproject(package)) for package in PACKAGES))
    folder = pathlib.Path(session.bin).parent / uuid.uuid4().hex
    session.run(UV, "build", "-q", "--all-packages", "--no-sources", "--out-dir", folder, external=True)
    made = sorted(map(str, folder.glob("rlx_*")))
    if len(made) != 2 * len(PACKAGES):
        session.error(f"expected a wheel and a source distribution of each package, found {made}")
    session.run("twine", "check", "--strict", *made)
    session.run("check-wheel-contents", *(name for name in made if name.endswith(".whl")))
    for name in made:
        check_contents(session, pathlib.Path(name))


def check_contents(session: nox.Session, archive: pathlib.Path) -> None:
    """Fail unless the licence and the typing marker are inside."""
    unpacked = archive.with_suffix(archive.suffix + ".d")
    shutil.unpack_archive(archive, unpacked, format="zip" if archive.suffix == ".whl" else "gztar")
    for wanted in ("LICENSE", "py.typed"):
        if not any(unpacked.rglob(wanted)):
            session.error(f"{archive.name} holds no {wanted}")


@nox.session(python=PYTHONS[-1], venv_backend="uv", default=False)
def release(session: nox.Session) -> None:
    """Build what a tag publishes: `nox -s release -- rlx-snapshot-v1.2.3 dist`."""
    tag, folder = session.posargs
    package, _, version = tag.rpartition("-v")
    if package not in PACKAGES:
        session.error(f"{tag!r} names none of {', '.join(PACKAGES)}; write <package>-v<version>")
    declared = nox.project.load_toml(pyproject(package))["project"]["version"]
    if declared != version:
        session.error(f"the tag {tag!r} says {version}, the pyproject of {package} says {declared}")
    if not re.search(
        rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", changelog(package), flags=re.MULTILINE
    ):
        session.error(f"the changelog of {package} has no '## {version} - <date>'")
    session.install("twine>=6")
    uv(session, "build", "--package", package, "--no-sources", "--out-dir", folder)
    session.run("twine", "check", "--strict", *map(str, pathlib.Path(folder).glob("rlx_*")))


def changelog(package: str) -> str:
    """The changelog of one package."""
    return (pyproject(package).parent / "CHANGELOG.md").read_text()


@nox.session(python=PYTHONS[-1], venv_backend="uv", requires=["wheels"], default=False, tags=["ci"])
def integration(session: nox.Session) -> None:
    """All packages together, with every optional library except torch, and in notebooks."""
    uv(
        session,
        "pip",
        "install",
        "--no-sources",
        *everything(torch=False),
        JAX,
        "box2d>=2.3.10",
        "nbconvert>=7.16",
        "ipykernel>=6.29",
    )
    run_pytest(session, "-m", "not slow", *ELSEWHERE, *IN_TORCH, INTEGRATION, spread=True)


@nox.session(python=TORCH_PYTHON, venv_backend="uv", requires=["wheels"], default=False, tags=["ci"])
def torch(session: nox.Session) -> None:
    """All packages together with torch: their tests that use it, and the integration tests."""
    require_torch(session)
    install_beside_torch(session, "torchdata>=0.11", *everything(torch=True))
    session.env["OMP_NUM_THREADS"] = "1"  # the tests run on all cores already
    files = [
        path
        for path in ROOT.glob("packages/*/tests/**/test_*.py")
        if re.search(r"\btorch\b", path.read_text())
    ]
    run_pytest(session, "-m", "not slow", *ELSEWHERE, *WITHOUT_TORCH, *files, INTEGRATION, spread=True)


@nox.session(python=PYTHONS[0], **ONE_CORE)
def portability(session: nox.Session) -> None:
    """What is saved on the newest NumPy loads on 1.26.0 without rlx, and the other way round."""
    program = ROOT / "packages" / "rlx-snapshot" / "tests" / "portable_values.py"
    numpys = ["numpy==1.26.0", "numpy"]
    for number, (saving, loading) in enumerate([numpys, numpys[::-1]]):
        file = pathlib.Path(session.create_tmp()) / f"{number}.pkl"
        for action, numpy, needs in (("save", saving, [wheel_of("rlx-snapshot")]), ("check", loading, [])):
            session.install(numpy, *map(str, needs))
            session.run("python", "-I", program, action, file)
            uv(session, "pip", "uninstall", "-q", *sorted(installed(session)))


@nox.session(python=TORCH_PYTHON, **ONE_CORE)
@nox.parametrize("version", ["1.2.0", "2.0.1"], ids=["1.2", "2.0"])
def tianshou(session: nox.Session, version: str) -> None:
    """Our parts in the hands of tianshou's trainers."""
    # High-level experiments of 2.0 import a library of its extra "eval".
    more = ["rliable>=1.2", "joblib>=1.4"] if version.startswith("2") else []
    check_client(session, f"tianshou=={version}", "test_tianshou_*.py", *more)
    if version.startswith("2"):
        run_pytest(session, "-k", "resume-tianshou", INTEGRATION / "test_docs.py")


@nox.session(python=PYTHONS[0], **ONE_CORE)
def stores(session: nox.Session) -> None:
    """Snapshots at URLs against real servers: OpenSSH's for sftp, moto's for S3."""
    install_package(session, "rlx-snapshot", "highest", groups=("test",))
    uv(session, "pip", "install", "fsspec", "s3fs", "moto[server]", "paramiko")
    run_pytest(session, ROOT / "packages" / "rlx-snapshot" / "tests" / "test_storage.py")


@nox.session(python=PYTHONS[0], **ONE_CORE)
def cluster(session: nox.Session) -> None:
    """Sweeps, runs and samplers on a real Slurm, which root starts for it, and a real Ray cluster, of two nodes each."""
    missing = [program for program in ("slurmctld", "slurmd", "munged") if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        why = f"not installed: {', '.join(missing)} (slurm-wlm, munge)" if missing else "root starts a Slurm"
        (session.error if CI else session.skip)(why)
    uv(session, "pip", "install", "--no-sources", "ray[tune]>=2.40", *everything(torch=False))
    run_pytest(session, "-m", "not slow", *ON_A_CLUSTER)
    run_pytest(session, "-k", "ray-tune", INTEGRATION / "test_docs.py")


@nox.session(python=PYTHONS[0], **ONE_CORE)
def trackers(session: nox.Session) -> None:
    """Logs in trackers of experiments: MLflow on its SQLite file, and Trackio."""
    install_package(session, "rlx-logging", "highest", groups=("test",))
    extras = nox.project.load_toml(pyproject("rlx-logging"))["project"]["optional-dependencies"]
    uv(session, "pip", "install", *(need for name in TRACKERS for need in extras[name]))
    run_pytest(session, ROOT / "packages" / "rlx-logging" / "tests" / "test_trackers.py")


@nox.session(python=TORCH_PYTHON, **ONE_CORE)
def sb3(session: nox.Session) -> None:
    """Our parts in the hands of Stable-Baselines3."""
    check_client(session, SB3, "test_sb3_*.py")
    run_pytest(session, "-k", "stable-baselines3", INTEGRATION / "test_docs.py")


@nox.session(python=TORCH_PYTHON, **ONE_CORE)
def jax(session: nox.Session) -> None:
    """Policies and states of JAX, with its two libraries of modules."""
    require_torch(session)
    install_beside_torch(
        session,
        "-c",
        fresh_wheels() / "siblings.txt",
        "rlx-persistence[cloudpickle,numpy,safetensors]",
        "rlx-snapshot",
        JAX,
        "equinox>=0.13",
        "flax>=0.12",
        "optax>=0.2",
        "hypothesis>=6.100",
        "pytest>=8",
        "pytest-randomly",
        "pytest-timeout",
    )
    tests = ("rlx-persistence/tests/test_jax_policies.py", "rlx-snapshot/tests/test_jax.py")
    run_pytest(session, *(ROOT / "packages" / test for test in tests))


EXACTNESS = {
    "everything": (
        "gymnasium[classic-control,toy-text,box2d,mujoco]",
        "ale-py",
        "envpool",
        "minigrid",
        "highway-env",
        "pettingzoo",
        "mpe2",
        "pygame-ce",
    ),
    "metaworld": ("metaworld", "packaging"),
    "robotics": ("gymnasium-robotics", "mujoco<4"),
    "dm_control": ("dm-control==1.0.50", "mujoco==3.17.0", "shimmy[dm-control]", "packaging"),
    "jax": ("jumanji", "craftax"),
}
"""Libraries of environments, in environments in which they agree with each other."""


@nox.session(python=PYTHONS[0], venv_backend="uv", requires=["wheels"], default=False)
def exactness(session: nox.Session) -> None:
    """Write docs/exactness.md: what becomes of environments of fifteen libraries; half an hour, not in CI."""
    pythons: list[str] = []
    for name, libraries in EXACTNESS.items():
        folder = pathlib.Path(session.bin).parent / "families" / name
        python = folder / "bin" / "python"
        session.run(UV, "venv", "-q", "--clear", "--python", str(session.python), folder, external=True)
        packages = ["-c", str(fresh_wheels() / "siblings.txt"), *PACKAGES, *libraries]
        plan = session.run(
            UV,
            "pip",
            "install",
            "--no-sources",
            "--python",
            python,
            "--dry-run",
            *packages,
            external=True,
            silent=True,
        )
        refuse_cuda(session, name, re.findall(r"^ \+ (\S+)==", str(plan), flags=re.MULTILINE))
        session.run(UV, "pip", "install", "-q", "--no-sources", "--python", python, *packages, external=True)
        pythons.append(str(python))
    session.run("python", INTEGRATION / "exactness_table.py", ROOT / "docs" / "exactness.md", *pythons)


def check_client(session: nox.Session, client: str, pattern: str, *more: str) -> None:
    """Run the tests of one client library, which share an environment with nothing that it does not want."""
    require_torch(session)
    packages = ["-c", fresh_wheels() / "siblings.txt", *PACKAGES]
    install_beside_torch(
        session,
        client,
        *more,
        *packages,
        "safetensors",
        "tensorboard",
        "hypothesis>=6.100",
        "pytest>=8",
        "pytest-randomly",
        "pytest-timeout",
    )
    which = ["--timeout", "0"] if "RLX_SOAK" in os.environ else ["-m", "not slow"]
    run_pytest(session, *which, *sorted((INTEGRATION / "clients").glob(pattern)))


@nox.session(python=TORCH_PYTHON, venv_backend="uv", requires=["wheels"], default=False)
def api(session: nox.Session) -> None:
    """Record every public name and its parameters, so that a change shows as a diff."""
    require_torch(session)
    install_beside_torch(session, *everything(torch=True, tests=False))
    with (INTEGRATION / "public-api.txt").open("w", encoding="utf-8") as file:
        session.run("python", "-I", INTEGRATION / "public_api.py", stdout=file)


@nox.session(venv_backend="uv", requires=["wheels"], default=False, allow_parallel=True, tags=["ci"])
def demo(session: nox.Session) -> None:
    """Train, kill with SIGKILL, resume, and compare with a run that nothing disturbed."""
    torch_here = session.python in {None, TORCH_PYTHON} and install_torch(session)
    install_beside_torch(session, *everything(torch=torch_here, tests=False))
    session.run("python", ROOT / "examples" / "demo.py", *session.posargs)


@nox.session(python=TORCH_PYTHON, venv_backend="uv", requires=["wheels"], default=False)
@nox.parametrize("package", PACKAGES, ids=SHORT_NAMES)
def benchmarks(session: nox.Session, package: str) -> None:
    """The benchmark scripts of one package, side by side with its peers."""
    scripts = sorted((ROOT / "packages" / package / "benchmarks").glob("[!_]*.py"))
    if not scripts:
        session.skip(f"{package} has no benchmarks")
    require_torch(session)
    groups = nox.project.load_toml(pyproject(package)).get("dependency-groups", {})
    peers = ["--group", f"{pyproject(package)}:benchmarks"] if "benchmarks" in groups else []
    install_beside_torch(session, *everything(torch=True, tests=False), *peers)
    for script in scripts:
        session.run("python", script, *session.posargs)


@nox.session(python=TORCH_PYTHON, venv_backend="uv", requires=["wheels"], default=False)
def faults(session: nox.Session) -> None:
    """The long fault and kill tests, sampled; `soak` runs them whole."""
    require_torch(session)
    install_beside_torch(session, *everything(torch=True))
    run_pytest(
        session, "-m", "slow", *(ROOT / "packages" / package / "tests" for package in PACKAGES), spread=True
    )


@nox.session(python=TORCH_PYTHON, venv_backend="uv", requires=["wheels"], default=False)
def soak(session: nox.Session) -> None:
    """Every long test in full: every kill, every system call. Takes hours; `RLX_SOAK=1 nox -s sb3 tianshou` has the clients'."""
    session.env["RLX_SOAK"] = "1"
    require_torch(session)
    install_beside_torch(session, *everything(torch=True))
    run_pytest(session, "-m", "slow", "--timeout", "0", ROOT / "packages", INTEGRATION)


@nox.session(python=PYTHONS[0], venv_backend="uv", default=False, allow_parallel=True, tags=["ci"])
def docs(session: nox.Session) -> None:
    """The site, with every warning an error."""
    if not (ROOT / "mkdocs.yml").exists():
        session.skip("there is no mkdocs.yml")
    session.install("mkdocs-material>=9.6", "mkdocstrings[python]>=0.29", "ruff>=0.17,<0.18")
    session.run("mkdocs", "build", "--strict", "--site-dir", pathlib.Path(session.bin).parent / "site")
