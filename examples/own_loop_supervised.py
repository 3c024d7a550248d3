"""A classifier on images that are drawn as they are read: DataLoader with workers, and DDP where there are several ranks.

The lines that make it resumable end with ``# resumable``; without them it is an ordinary script. Kill it or any of its
ranks whenever you like, and start the same command again, or let torchrun do that::

    python examples/own_loop_supervised.py --log-dir data/own-supervised
    torchrun --nproc-per-node 2 --max-restarts 3 examples/own_loop_supervised.py --log-dir data/own-ddp
"""

import argparse
import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from rlx_logging import make_logger, rank_zero
from rlx_runner import Batches, Checkpoint, set_seed  # resumable


class Shapes(Dataset[tuple[Tensor, Any]]):
    """Squares and crosses at random places, in noise.

    Args:
        n_images: How many there are.
    """

    def __init__(self, n_images: int) -> None:
        self.n_images = n_images
        self.rng = np.random.default_rng(7)

    def __len__(self) -> int:
        return self.n_images

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        image = 0.3 * torch.randn(1, 16, 16)
        row, column = self.rng.integers(2, 10, 2)
        if index % 2:
            image[0, row : row + 5, column : column + 5] += 1
        else:
            image[0, row + 2, column : column + 5] += 1
            image[0, row : row + 5, column + 2] += 1
        return image, index % 2


def join_ranks() -> None:
    """Meet the other ranks in a store of this attempt: in torchrun's own, a restarted rank may find addresses of dead ones."""
    place = os.environ
    stores: Any = distributed  # whose types leave them out
    store = stores.TCPStore(place["MASTER_ADDR"], int(place["MASTER_PORT"]), is_master=False)
    attempt = stores.PrefixStore(place["TORCHELASTIC_RESTART_COUNT"], store)
    rank, n_ranks = int(place["RANK"]), int(place["WORLD_SIZE"])
    distributed.init_process_group("gloo", store=attempt, rank=rank, world_size=n_ranks)


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log-dir", default="data/own-supervised")
    parser.add_argument("--logger", default="csv")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n-epochs", type=int, default=10)
    parser.add_argument("--n-images", type=int, default=2000)
    parser.add_argument("--n-workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--save-every", type=int, default=10)  # resumable
    return parser.parse_args()


if __name__ == "__main__":
    args = arguments()
    n_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if n_ranks > 1:
        join_ranks()
    torch.set_num_threads(1)
    set_seed(args.seed)

    dataset = Shapes(args.n_images)
    sampler: Any = DistributedSampler(dataset, seed=args.seed) if n_ranks > 1 else None
    loader = DataLoader(
        dataset,
        batch_size=args.batch_size,
        shuffle=sampler is None,
        sampler=sampler,
        num_workers=args.n_workers,
        persistent_workers=args.n_workers > 0,
    )
    features = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU()]
    net: Any = nn.Sequential(*features, nn.Flatten(), nn.Dropout(0.2), nn.Linear(200, 2))
    model = DistributedDataParallel(net) if n_ranks > 1 else net
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    set_seed(1000 * args.seed + int(os.environ.get("RANK", "0")))  # each rank drops out others
    logger = rank_zero(lambda: make_logger(args.logger, log_dir=args.log_dir))

    data = Batches(loader)  # resumable
    run = Checkpoint(args.log_dir, model=model, optimizer=optimizer, data=data, logger=logger)  # resumable
    for step in run.steps(args.n_epochs * len(data), every=args.save_every):  # resumable
        images, labels = next(data)  # resumable
        scores = model(images)
        loss = nn.functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        accuracy = (scores.argmax(1) == labels).float().mean()
        logger.write("train/step", step, {"Loss": loss.item(), "Accuracy": accuracy.item()})

    logger.finalize()
    if n_ranks > 1:
        distributed.destroy_process_group()
