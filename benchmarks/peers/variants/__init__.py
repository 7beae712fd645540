"""One small file for each way of running the backend."""

from benchmarks.peers.variants.base import Variant
from benchmarks.peers.variants.bash import Bash
from benchmarks.peers.variants.circus import Circus, CircusSockets
from benchmarks.peers.variants.concurrently import Concurrently
from benchmarks.peers.variants.gunicorn import Gunicorn
from benchmarks.peers.variants.hand import Hand
from benchmarks.peers.variants.honcho import Honcho
from benchmarks.peers.variants.launcher import LauncherMulti, LauncherShared, LauncherSingle
from benchmarks.peers.variants.pm2 import Pm2
from benchmarks.peers.variants.supervisor import Supervisor
from benchmarks.peers.variants.uvicorn import UvicornWorkers

VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        LauncherSingle(),
        LauncherMulti(),
        LauncherShared(),
        Hand(),
        Bash(),
        Supervisor(),
        Circus(),
        CircusSockets(),
        Honcho(),
        Pm2(),
        Concurrently(),
        UvicornWorkers(),
        Gunicorn(),
    )
}
"""Every variant by its name, in the order of the tables."""

__all__ = ["VARIANTS", "Variant"]
