"""Compile the kernels of the fused join for a card that is not here: `python -m scripts.compile_kernels [CAPABILITY]`.

Prints registers, spills, shared memory and the matrix instructions of each; exit code 1 if one spills.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

DIM = 512
HOPPER = 90
_MATRIX = ("IGMMA", "HGMMA", "IMMA", "HMMA")


class Kernel(NamedTuple):
    """What a kernel is compiled with, as `fused` launches it."""

    name: str
    function: Any
    types: dict[str, str]
    constants: dict[str, Any]
    warps: int
    stages: int


def kernels() -> list[Kernel]:
    from memaudit.similarity.fused import Shape
    from memaudit.similarity.kernels import emit, scan

    shape = Shape()
    scanned = {"a_lost": "*fp32", "b_lost": "*fp32", "entries": "*i64", "count": "*i64"}
    scanned |= dict.fromkeys(("room", "rows", "row_tiles", "column_tiles"), "i32") | {
        "least": "fp32",
        "per_unit": "fp32",
    }
    cut = {"dim": DIM, "tile_rows": shape.rows, "tile_columns": shape.columns, "group": shape.group}
    formats = (("i8", 1), ("fp16", 2))
    found = [
        Kernel(
            f"scan {kind}",
            scan,
            {"a": f"*{kind}", "b": f"*{kind}", **scanned},
            {**cut, "step": shape.step_bytes // size, "whole": size == 1},
            shape.warps,
            shape.stages,
        )
        for kind, size in formats
    ]
    emitted = {"a": "*fp32", "b": "*fp32", "entries": "*i64", "number": "i32", "pairs": "*i64", "count": "*i64"}
    emitted |= {"room": "i32", "columns": "i32", "least": "fp32"}
    return [*found, Kernel("emit", emit, emitted, {"dim": DIM, "tile_columns": shape.columns, "step": 64}, 4, 3)]


def compiled(kernel: Kernel, capability: int) -> Any:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = kernel.function.arg_names
    source = ASTSource(
        fn=kernel.function,
        signature={name: kernel.types.get(name, "constexpr") for name in names},
        constexprs={(names.index(name),): value for name, value in kernel.constants.items()},
        attrs={
            (names.index(name),): [["tt.divisibility", 16]] for name in ("a", "b")
        },  # torch aligns what it allocates
    )
    options = {"num_warps": kernel.warps, "num_stages": kernel.stages}
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


def described(made: Any) -> tuple[str, int]:
    """A line on the machine code, and how many of its instructions spill registers."""
    import triton

    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        usage, code = (_said(str(tools / "cuobjdump"), how, file.name) for how in ("-res-usage", "-sass"))
    registers, stack = (re.findall(rf"{word}:(\d+)", usage)[0] for word in ("REG", "STACK"))
    spilled = len(re.findall(r"\b(?:STL|LDL)\b", code))
    matrix = [f"{count} {name}" for name in _MATRIX if (count := len(re.findall(rf"\b{name}", code)))]
    room = f"{registers} registers, stack {stack}, {spilled} spills, {made.metadata.shared:,} bytes shared"
    line = f"{room}; {', '.join(matrix) or 'no matrix instruction'}"
    return line, spilled


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> int:
    capability, spilled = int(sys.argv[1]) if len(sys.argv) > 1 else HOPPER, 0
    for kernel in kernels():
        line, more = described(compiled(kernel, capability))
        print(f"sm_{capability} {kernel.name}: {line}")
        spilled += more
    return 1 if spilled else 0


if __name__ == "__main__":
    sys.exit(main())
