"""Coefficients, quantities, and the stages that come of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from memaudit.files import read_small, toml_in

PATH = Path(__file__).with_name("costs.toml")
ONCE = "once"


class Machine(NamedTuple):
    """One of the machines that work: cores, bytes of memory, GPUs and which."""

    cores: int
    memory: int
    gpus: int = 0
    gpu: str = ""


@dataclass(frozen=True)
class Stage:
    """A part of the work. seconds: on the machine; cpu_seconds: of all its cores together; gpu: whether a GPU does it;
    basis: where the coefficient comes from."""

    name: str
    seconds: float
    cpu_seconds: float
    gpu: bool = False
    basis: str = ""


class Told(NamedTuple):
    """Stages, and the peak memory and the disk of all of them, in bytes."""

    stages: list[Stage]
    memory: float
    disk: float


@dataclass(frozen=True)
class StageCost:
    """Processor seconds for each unit of a quantity; threads: how many cores it can use, 0: all there are; basis: where
    the coefficient comes from."""

    name: str
    threads: int
    per: Mapping[str, float]
    basis: str = "fitted to runs"

    def stage(self, quantities: Mapping[str, float], cores: int) -> Stage:
        cpu = sum(seconds * quantities[unit] for unit, seconds in self.per.items())
        used = min(cores, self.threads or cores)
        return Stage(self.name, cpu / used, cpu, basis=self.basis)


@dataclass(frozen=True)
class CommandCost:
    """What a command costs. memory, disk: bytes for each unit of a quantity."""

    stages: tuple[StageCost, ...]
    memory: Mapping[str, float]
    disk: Mapping[str, float]

    def told(self, quantities: Mapping[str, float], cores: int) -> Told:
        """quantities: how many of each unit; `once` is one."""
        known = {ONCE: 1.0, **quantities}
        stages = [stage.stage(known, cores) for stage in self.stages]
        memory, disk = (sum(size * known[unit] for unit, size in per.items()) for per in (self.memory, self.disk))
        return Told(stages, memory, disk)


@dataclass(frozen=True)
class Costs:
    """The whole file. measured: on what, in words; fitted_rows: the largest number of rows of a run that it was fitted
    to; rates: images a second and core by encoder; gpus: what is assumed of each, by name."""

    measured: str
    fitted_rows: int
    commands: Mapping[str, CommandCost]
    rates: Mapping[str, float]
    gpus: Mapping[str, Mapping[str, float]]


@cache
def read_costs(path: Path = PATH) -> Costs:
    """The file that ships, unless another one is named."""
    raw = toml_in(read_small(path))
    return Costs(
        measured=raw["measured"],
        fitted_rows=raw["fitted_rows"],
        commands={name: _command(raw[name]) for name in ("dedup", "embed", "index", "audit")},
        rates=raw["embed"]["images_per_core_second"],
        gpus=raw["gpu"],
    )


def _command(raw: Mapping[str, Any]) -> CommandCost:
    return CommandCost(tuple(_stage(**stage) for stage in raw["stage"]), raw["memory"], raw["disk"])


def _stage(name: str, threads: int, seconds: Mapping[str, float], basis: str = StageCost.basis) -> StageCost:
    return StageCost(name, threads, seconds, basis)
