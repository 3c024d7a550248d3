"""What is recorded about launcher, program and machine."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from rlx_experiment import Run, get_metadata
from rlx_experiment._runs.metadata import installed_packages
from rlx_experiment._secrets import is_secret_file, public_argv, public_environment

Git = Callable[..., str]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]

ASK = "from rlx_experiment import get_metadata; import json; print(json.dumps(get_metadata()))"
RUN = """
from rlx_experiment import wrap_experiment

@wrap_experiment(log_dir="run")
def exp(ctxt, seed=3):
    pass

exp()
"""


class TestGetMetadata:
    def test_clean_repository(self, git: Git, run_script: RunScript, in_own_folder: Path) -> None:
        """A clean repository gives its root, commit, and the launcher relative to it."""
        (in_own_folder / "sub").mkdir()
        run_script(ASK, name="sub/launch.py")
        git("add", ".")
        git("commit", "-qm", "x")
        root, metadata = json.loads(run_script(ASK, name="sub/launch.py").stdout)
        assert root == str(in_own_folder)
        assert metadata == {"githash": git("rev-parse", "HEAD"), "launcher": "sub/launch.py"}

    def test_dirty_repository(self, git: Git, run_script: RunScript) -> None:
        """Anything that differs from the commit makes it dirty."""
        git("commit", "-qm", "x", "--allow-empty")
        assert json.loads(run_script(ASK).stdout)[1]["githash"].endswith("-dirty")

    def test_repository_without_a_commit(self, git: Git, run_script: RunScript, in_own_folder: Path) -> None:
        """Before the first commit there is no githash, and launches work."""
        assert json.loads(run_script(ASK).stdout) == [str(in_own_folder), {"launcher": "script.py"}]
        assert run_script(RUN).returncode == 0

    def test_no_repository(self, run_script: RunScript, in_own_folder: Path) -> None:
        """Outside of repositories the launcher's path is absolute."""
        assert json.loads(run_script(ASK).stdout) == [None, {"launcher": str(in_own_folder / "script.py")}]

    def test_no_git(self, git: Git, run_script: RunScript, in_own_folder: Path) -> None:
        """Without the git program, a repository is no repository, and launches work."""
        assert json.loads(run_script(ASK, PATH="/nowhere").stdout)[0] is None
        result = run_script(RUN, PATH="/nowhere")
        assert result.returncode == 0
        assert "is not kept with the run: git cannot be run" in result.stderr

    def test_a_program_from_standard_input(self) -> None:
        """A program that is no file is no launcher."""
        subprocess.run((sys.executable, "-"), input=textwrap.dedent(RUN), text=True, check=True)
        assert "launcher" not in Run.open("run").metadata

    def test_no_main_script(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interactive session has no launcher."""
        monkeypatch.delattr("__main__.__file__", raising=False)
        assert get_metadata() == (None, {})


def test_a_run_records_its_process(run_script: RunScript) -> None:
    """metadata.json has program, machine, seed, libraries and start."""
    run_script(RUN, OMP_NUM_THREADS="2", MY_API_KEY="hush")
    metadata = json.loads(Path("run/metadata.json").read_text())
    assert {"argv", "python", "platform", "host", "user", "gpus", "started", "packages"} <= set(metadata)
    assert metadata["seed"] == 3
    assert metadata["environment"]["OMP_NUM_THREADS"] == "2"
    assert "hush" not in Path("run/metadata.json").read_text()


def test_credentials_among_the_arguments(run_script: RunScript) -> None:
    """An argument that is called like a credential is in no record and no name; the function has it."""
    script = """
        from rlx_experiment import wrap_experiment

        @wrap_experiment(name_parameters="all")
        def exp(ctxt, hf_token, tokenizer="hushed", api_key=""):
            assert hf_token == "unheard"

        if __name__ == "__main__":
            exp(hf_token="unheard")
    """
    assert run_script(script).returncode == 0
    (folder,) = Path("data/local/experiment").iterdir()
    assert folder.name == "exp_tokenizer=hushed_api_key="
    assert not [path for path in folder.iterdir() if b"unheard" in path.read_bytes()]
    resumed = subprocess.run(
        (sys.executable, "-m", "rlx_experiment._replay", "resume", str(folder)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert resumed.returncode == 1
    assert resumed.stderr.startswith(
        "error: argument 'hf_token' looked like a credential and was not recorded"
    )


def test_packages_have_versions() -> None:
    """Installed distributions are found by their folders."""
    assert installed_packages()["pytest"][0].isdigit()


@pytest.mark.parametrize(
    "name", [".env", "a/.env.local", "server.pem", "id_rsa", ".aws/config", "secrets.yaml", "x/.netrc"]
)
def test_files_with_credentials_are_known_by_name(name: str) -> None:
    """Usual names of credential files are secret."""
    assert is_secret_file(name)


@pytest.mark.parametrize(
    "name", [".env.example", "secrets.py", "keys.py", "tokenizer.json", "src/env.py", "id_rsa.pub"]
)
def test_code_and_templates_are_no_secrets(name: str) -> None:
    """Files that only sound like it are kept."""
    assert not is_secret_file(name)


def test_environment_by_allow_list() -> None:
    """Only variables known to matter are recorded, and none that sounds secret."""
    environment = {"CUDA_VISIBLE_DEVICES": "0", "HOME": "/h", "SLURM_JOB_ID": "1", "RAY_TOKEN": "t"}
    assert public_environment(environment) == {"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_ID": "1"}


def test_command_lines_without_secrets() -> None:
    """Values of options that sound secret, and logins in addresses, are masked."""
    argv = ["x.py", "--api-key", "k", "--token=t", "--seed", "1", "--db", "http://me:pw@host/"]
    assert public_argv(argv) == [
        "x.py",
        "--api-key",
        "***",
        "--token=***",
        "--seed",
        "1",
        "--db",
        "http://***@host/",
    ]
