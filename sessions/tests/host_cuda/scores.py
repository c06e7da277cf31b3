#!/usr/bin/env python3
"""Scores that are made where the keys are, on the host-backed driver, against those that the processor makes of its own.

Usage: scores.py PROGRAM OUT, with the driver in LD_LIBRARY_PATH. Captures one prompt with all windows on both, keeping
scores and no keys, and ends with 1 where any number of the sessions differs by more than its tolerance.
"""

import array
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

PROGRAM, OUT = sys.argv[1], Path(sys.argv[2])
TOLERANCE = 1e-4  # of a number, or of 1 where it is smaller


def capture(device):
    """The tensors of a captured prompt, in single precision, by name."""
    session = OUT / f"scores-{device}.kvlens"
    shutil.rmtree(session, ignore_errors=True)
    command = [PROGRAM, "capture", "--model", "demo", "--data", "facts:length=300,samples=1,seed=5", "--windows", "all"]
    command += ["--decode", "8", "--ignore-eos", "--device", device, "--dtype", "f32", "--keep", "scores"]
    ran = subprocess.run([*command, "--out", str(session)], env=os.environ, capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{ran.stderr}")
    (file,) = session.rglob("*.safetensors")
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    tensors = json.loads(content[8 : 8 + length])
    numbers = {}
    for name, tensor in tensors.items():
        if name != "__metadata__" and tensor["dtype"] == "F32":
            begin, end = (8 + length + offset for offset in tensor["data_offsets"])
            numbers[name] = array.array("f", content[begin:end])
    return numbers


def difference(one, other):
    """Undefined numbers are alike if both are."""
    if one != one or other != other:
        return 0.0 if one != one and other != other else float("inf")
    return abs(one - other) / max(1.0, abs(other))


def main():
    there, here = capture("cuda"), capture("cpu")
    lengths = [{name: len(numbers) for name, numbers in session.items()} for session in (there, here)]
    if lengths[0] != lengths[1] or not any("scores" in name for name in here):
        sys.exit(f"the sessions hold other tensors: {lengths}")
    worst = {name: max(map(difference, there[name], here[name])) for name in here}
    name = max(worst, key=worst.get)
    print(f"{len(worst)} tensors of kept scores differ by at most {worst[name]:.1e} ({name})")
    sys.exit(1 if worst[name] > TOLERANCE else 0)


main()
