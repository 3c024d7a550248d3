"""Arguments that are objects with fields: recorded, named, checked and read field by field."""

import dataclasses
import enum
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pytest
from annotated_types import Gt

from rlx_experiment import ExperimentContext, Run, grid, wrap_experiment
from rlx_experiment._arguments.decode import from_json
from rlx_experiment._arguments.encoder import to_plain
from rlx_experiment._arguments.fields import as_text, field_types, flatten
from rlx_experiment._cli import main


class Colour(enum.Enum):
    """A choice."""

    RED = 1


class Size(NamedTuple):
    """A tuple with names."""

    width: int
    height: int


@dataclasses.dataclass(frozen=True, slots=True)
class Optimizer:
    """A dataclass inside of another, with slots."""

    lr: Annotated[float, Gt(0)] = 0.1
    kind: Literal["adam", "sgd"] = "adam"


@dataclasses.dataclass
class Args:
    """Hyperparameters as CleanRL has them."""

    seed: int = 1
    env_id: str = "Hopper-v5"
    hidden: tuple[int, ...] = (64, 64)
    colour: Colour = Colour.RED
    folder: Path = Path("data")
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)


@wrap_experiment(name_parameters="passed")
def train(ctxt: ExperimentContext, args: Args = Args(), epochs: int = 2) -> Args:  # noqa: B008
    """Train."""
    return args


def only_run() -> Path:
    """Return the one run folder there is."""
    (folder,) = Path("data/local/experiment").iterdir()
    return folder


def test_fields_have_flags_of_their_own() -> None:
    """Each field is a flag without the argument's name, as with tyro.cli(Args)."""
    with pytest.raises(SystemExit, match="0"):
        train.main(["--seed", "3", "--optimizer.lr", "0.5", "--epochs", "4"])
    run = Run.open(only_run())
    assert run.path.name == "train_seed=3_optimizer.lr=0.5_epochs=4"
    assert run.arguments["args"]["optimizer"]["lr"] == 0.5


def test_resumed_with_another_field(capsys: pytest.CaptureFixture[str]) -> None:
    """A resumed run has the recorded fields, but for those that are given, and says which."""
    with pytest.raises(SystemExit, match="0"):
        train.main(["--seed", "3", "--env-id", "Ant-v5", "--log-dir", "run"])
    with pytest.raises(SystemExit, match="0"):
        train.main(["--resume", "--log-dir", "run", "--optimizer.kind", "sgd"])
    assert "changed arguments: optimizer.kind 'adam' -> 'sgd';" in capsys.readouterr().err
    recorded = Run.open("run").arguments["args"]
    assert (recorded["seed"], recorded["env_id"], recorded["optimizer"]["kind"]) == (3, "Ant-v5", "sgd")


def test_a_field_that_is_called_like_a_parameter_keeps_its_prefix() -> None:
    """Where two flags would be one, tyro's own names stay."""

    @wrap_experiment
    def twice(ctxt: ExperimentContext, args: Args = Args(), seed: int = 7) -> None:  # noqa: B008
        """Have two seeds."""

    with pytest.raises(SystemExit, match="0"):
        twice.main(["--args.seed", "3", "--log-dir", "run"])
    assert flatten(Run.open("run").arguments)["args.seed"] == 3
    assert Run.open("run").arguments["seed"] == 7


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (Args(seed=-1), "seed is -1; it must be from 0 to 4294967295"),
        (Args(optimizer=Optimizer(lr=0.0)), "lr is 0.0; it must be above 0"),
        (Args(optimizer=Optimizer(kind="lion")), "kind is 'lion'; it must be one of 'adam', 'sgd'"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    ],
)
def test_bounds_hold_in_fields(args: Args, message: str) -> None:
    """What a field declares, and what a seed can be, is checked before there is a folder."""
    with pytest.raises(ValueError, match=message):
        train(args=args)
    assert not Path("data").exists()


def test_names_are_readable() -> None:
    """A name has the seed and what differs from the default, and nothing that a shell needs quotes for."""
    train(args=Args(seed=1, env_id="it's (a) new one", hidden=(32, 16)))
    assert only_run().name == "train_seed=1_env_id=it-s-a-new-one_hidden=32,16"


@pytest.mark.processes
def test_a_sweep_over_objects(capsys: pytest.CaptureFixture[str]) -> None:
    """Runs of a sweep are named by the fields in which they differ, found again, and grouped over their seeds."""
    points = [Args(seed=seed, optimizer=Optimizer(lr=lr)) for lr in (0.1, 0.2) for seed in (1, 2)]
    done = train.sweep(grid(args=points), jobs=2, log_dir="runs", progress=False)
    names = [result.path.name for result in done]
    assert names[0] == "seed=1_optimizer.lr=0.1"
    assert names[-1] == "seed=2_optimizer.lr=0.2"
    again = train.sweep(grid(args=points[:1]), jobs=1, log_dir="runs", progress=False)
    assert [(result.path, result.tries) for result in again] == [(done[0].path, 0)]
    assert main(["diff", str(done[0].path), str(done[1].path)]) == 0
    assert "seed" in capsys.readouterr().out
    assert main(["show", str(done[0].path)]) == 0
    assert "optimizer.lr" in capsys.readouterr().out


def test_credentials_in_fields_stay_out_of_records() -> None:
    """A field called api_key is hidden as an argument of that name is, in names and files."""

    @dataclasses.dataclass
    class Account:
        seed: int
        api_key: str

    @wrap_experiment(name_parameters="passed")
    def leaks(ctxt: ExperimentContext, args: Account) -> str:
        return args.api_key

    assert leaks(args=Account(1, "hunter2")) == "hunter2"
    assert only_run().name == "leaks_seed=1"
    files = [path for path in only_run().iterdir() if path.is_file()]
    assert not [path.name for path in files if b"hunter2" in path.read_bytes()]


def test_fields_of_other_libraries() -> None:
    """Classes of attrs and models of pydantic have fields as dataclasses have, and come back from their record."""
    attrs = pytest.importorskip("attrs", reason="attrs is not installed")
    kind = attrs.make_class("Made", {"seed": attrs.field(type=int, default=1)})
    assert list(field_types(kind)) == ["seed"]
    record = to_plain(kind(seed=2))
    assert flatten({"args": record}) == {"seed": 2}
    assert from_json(record, kind) == kind(seed=2)


@pytest.mark.parametrize("value", [Args(seed=4), Size(1, 2), Optimizer(lr=0.3)])
def test_comes_back_from_its_record(value: object) -> None:
    """An object is built again from what JSON holds of it."""
    assert from_json(json.loads(json.dumps(to_plain(value))), type(value)) == value


def test_flattens_dictionaries_with_their_names() -> None:
    """Entries of a dictionary keep the argument's name in front; markers and empty ones stay whole."""
    recorded = {"config": {"seed": 1, "net": {"width": 8}}, "none": {}, "bad": {"$float": "nan"}}
    expected = {"config.seed": 1, "config.net.width": 8, "none": {}, "bad": {"$float": "nan"}}
    assert flatten(recorded) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"$enum": "m.Colour.RED"}, "RED"),
        ({"$function": "torch.tanh"}, "tanh"),
        ({"$float": "nan"}, "nan"),
        ({"$secret": True}, "***"),
        ([1, 2], "[1, 2]"),
        ("text", "text"),
    ],
)
def test_records_as_text(value: object, text: str) -> None:
    """Markers read as what they stand for."""
    assert as_text(value) == text


class TestScalars:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (np.int64(3), 3),
            (np.uint32(3), 3),
            (np.float32(0.5), 0.5),
            (np.float64(0.5), 0.5),
            (np.bool_(1), True),
            (np.str_("a"), "a"),
            (np.array(3), 3),
        ],
    )
    def test_are_taken_as_pythons(self, given: Any, expected: object) -> None:
        """A function gets the number that NumPy's scalar is, so that the standard library takes it, too."""

        @wrap_experiment
        def takes(ctxt: ExperimentContext, value: Any) -> object:
            return value

        taken = takes(value=given)
        assert taken == expected
        assert type(taken) is type(expected)

    def test_stay_where_they_are_declared(self) -> None:
        """A parameter that asks for NumPy's type gets it, and an array stays an array."""

        @wrap_experiment
        def takes(ctxt: ExperimentContext, one: np.float32, many: Any) -> tuple[Any, Any]:
            return one.__class__, many.__class__

        assert takes(one=np.float32(1), many=np.arange(2)) == (np.float32, np.ndarray)

    @pytest.mark.processes
    def test_are_points_of_a_grid(self) -> None:
        """A grid over NumPy's numbers runs, and is found again by a range."""

        @wrap_experiment
        def seeded(ctxt: ExperimentContext, seed: int) -> None:
            import random

            random.seed(seed)

        first = seeded.sweep(grid(seed=np.arange(2)), jobs=1, log_dir="s", progress=False)
        assert [(result.state, result.path.name) for result in first] == [
            ("finished", "seed=0"),
            ("finished", "seed=1"),
        ]
        again = seeded.sweep(grid(seed=range(2)), jobs=1, log_dir="s", progress=False)
        assert [result.tries for result in again] == [0, 0]


class TestKindsOfParameters:
    def test_get_the_flags_that_tyro_gives(self) -> None:
        """By position only is a word, ``*names`` a flag with words, ``**more`` one with pairs."""

        @wrap_experiment
        def kinds(ctxt: ExperimentContext, size: int, /, rate: float, *names: str, **more: int) -> None:
            Path(ctxt.snapshot_dir, "seen").write_text(repr((size, rate, names, more)))

        with pytest.raises(SystemExit, match="0"):
            kinds.main(
                ["3", "--rate", "0.5", "--names", "a", "b", "--more", "x", "1", "y", "2", "--log-dir", "run"]
            )
        assert Path("run/seen").read_text() == "(3, 0.5, ('a', 'b'), {'x': 1, 'y': 2})"
        with pytest.raises(SystemExit, match="0"):
            kinds.main(["--rate", "1.5", "--log-dir", "run", "--resume"])
        assert Path("run/seen").read_text() == "(3, 1.5, ('a', 'b'), {'x': 1, 'y': 2})"

    @pytest.mark.parametrize("decorated", [False, True])
    def test_reach_the_function(self, decorated: bool) -> None:
        """From Python all are passed by keyword; defaults fill the places between."""

        def body(ctxt: object, a: int = 1, b: int = 2, /, c: int = 3, *names: str) -> object:
            return a, b, c, names

        function: Callable[..., object] = body
        if decorated:
            import functools

            @functools.wraps(body)
            def wrapped(*args: Any, **kwargs: Any) -> object:
                return body(*args, **kwargs)

            function = wrapped
        experiment = wrap_experiment(function)
        assert experiment(b=5) == (1, 5, 3, ())
        assert experiment(names=("x", "y")) == (1, 2, 3, ("x", "y"))
        assert experiment(c=7, names=["x"]) == (1, 2, 7, ("x",))
