#!/usr/bin/env python3
"""Time and peak memory of `kvlens measure` on a sample of a large model's size.

    python3 app/benches/measure_large.py PROGRAM [PROGRAM...] [--tokens 32768] [--layers 32] [--folder DIR]

Writes a session of one made-up sample (32 layers of 32 query and 8 key/value heads of 128 numbers, half precision,
eight windows of eight rows, sixteen decode steps), measures it by each program at 20 budgets, and tells the wall
time, the processor's time and the largest resident set. The keys of 32,768 tokens take 2 GiB on the disk. Needs
NumPy. Nothing of the numbers has a meaning but their count: attention is exp(q k) over a constant.
"""

import argparse
import hashlib
import json
import os
import pathlib
import resource
import subprocess
import tempfile
import time

import numpy as np

HEADS, KV_HEADS, HEAD_DIM = 32, 8, 128
WINDOWS, ROWS, STEPS = 8, 8, 16


def halves(random, *shape):
    """Numbers of one size, plus or minus a half to one."""
    bits = random.integers(0, 1 << 16, size=shape, dtype=np.uint16)
    return ((bits & 0x83FF) | 0x3800).view(np.float16)


class File:
    """A safetensors file written tensor by tensor, in the order of their names."""

    def __init__(self, path, tensors, metadata):
        names = {"float16": "F16", "float32": "F32", "uint32": "U32"}
        header, place = {"__metadata__": metadata}, 0
        for name, (dtype, shape, _) in tensors.items():
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            header[name] = {"dtype": names[dtype], "shape": shape, "data_offsets": [place, place + size]}
            place += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        digest = hashlib.sha256()
        with open(path, "wb") as file:
            for bytes_ in self.parts(text, tensors):
                digest.update(bytes_)
                file.write(bytes_)
        self.sha256 = digest.hexdigest()

    @staticmethod
    def parts(text, tensors):
        yield len(text).to_bytes(8, "little") + text
        for _, _, make in tensors.values():
            for part in make():
                yield part.tobytes()


def tensors(layers, tokens):
    random = np.random.default_rng(7)
    log_sum = np.float32(np.log(tokens) + 0.2)
    all_ = {}

    def by_layer(heads, rows):
        return lambda: (halves(random, heads, rows, HEAD_DIM) for _ in range(layers))

    all_["keys"] = ("float16", [layers, KV_HEADS, tokens, HEAD_DIM], by_layer(KV_HEADS, tokens))
    for index in range(WINDOWS + 1):
        rows = ROWS if index else STEPS
        first = tokens - rows if index else tokens - 1
        positions = np.arange(first, first + rows, dtype=np.uint32)
        name = f"observation.{index}."
        all_[name + "log_sum_exp"] = (
            "float32",
            [layers, HEADS, rows],
            lambda rows=rows: [np.full((layers, HEADS, rows), log_sum, np.float32)],
        )
        all_[name + "positions"] = ("uint32", [rows], lambda positions=positions: [positions])
        all_[name + "queries"] = ("float16", [layers, HEADS, rows, HEAD_DIM], by_layer(HEADS, rows))
        all_[name + "visible_keys"] = ("uint32", [rows], lambda positions=positions: [positions + 1])
    all_["prompt_ids"] = ("uint32", [tokens], lambda: [np.ones(tokens, np.uint32)])
    return all_




def write_session(folder, layers, tokens, like):
    """`like` is a manifest and a sample's texts of a session of this program, whose other fields are taken over."""
    manifest, texts = like
    record = texts["record"]
    record.update(id="large", prompt="", prompt_ids=[1] * tokens, token_texts=["a"] * tokens)
    record.update(generated_ids=[1] * STEPS, generated_texts=["a"] * STEPS, evidence_tokens=[{"start": 100, "end": 110}])
    oracle, window = texts["observations"][0], texts["observations"][1]
    oracle["token_ids"] = [1] * STEPS
    windows = [dict(window, label=f"last:{ROWS + index}", token_ids=[1] * ROWS) for index in range(WINDOWS)]
    texts["observations"] = [oracle, *windows]
    path = folder / "sample-00000.safetensors"
    written = File(path, tensors(layers, tokens), {"kvlens": json.dumps(texts)})
    shape = {"layers": layers, "query_heads": HEADS, "kv_heads": KV_HEADS, "head_dim": HEAD_DIM}
    manifest["shape"] = dict(shape, sliding_windows=[None] * layers)
    manifest["plan"]["windows"] = [window["label"] for window in windows]
    # manifests of this version carry no hash of their own
    manifest["format_version"] = 2
    manifest.pop("manifest_sha256", None)
    entry = dict(manifest["samples"][0], id="large", state="finished", file=path.name)
    entry.update(sha256=written.sha256, prompt_tokens=tokens, decode_tokens=STEPS)
    manifest["samples"] = [entry]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def small_session(program, folder):
    """What this program writes of one short prompt: a manifest and the texts of its sample."""
    session = folder / "small.kvlens"
    capture = [program, "capture", "--model", "demo", "--data", "facts:length=128,samples=1,seed=1"]
    subprocess.run([*capture, "--windows", "last:8", "--decode", "4", "--out", session], check=True, stdout=subprocess.DEVNULL)
    manifest = json.loads((session / "manifest.json").read_text())
    file = session / next(entry["file"] for entry in manifest["samples"] if "file" in entry)
    raw = file.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return manifest, json.loads(header["__metadata__"]["kvlens"])


def measured(program, session, out):
    budgets = ",".join(str(session.tokens * share // 20 or 1) for share in range(1, 20)) + ",64"
    command = [program, "measure", session.path, "--budgets", budgets, "--no-head-tests", "--csv", "--out", out]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryFile() as words:
        child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=words)
        _, status, usage = os.wait4(child.pid, 0)
        if status != 0:
            words.seek(0)
            raise SystemExit(f"{program} failed:\n{words.read().decode()[-2000:]}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class Session:
    def __init__(self, path, tokens):
        self.path, self.tokens = path, tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--folder", type=pathlib.Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        folder = pathlib.Path(folder)
        session = folder / "large.kvlens"
        session.mkdir()
        write_session(session, asked.layers, asked.tokens, small_session(asked.programs[0], folder))
        size = sum(path.stat().st_size for path in session.iterdir()) / 2**20
        print(f"{asked.layers} x {HEADS} heads, {asked.tokens} tokens, {WINDOWS} windows: {size:,.0f} MiB on the disk")
        for index, program in enumerate(asked.programs):
            wall, processor, peak = measured(program, Session(session, asked.tokens), folder / f"out-{index}")
            print(f"{program}: {wall:.1f} s, {processor:.1f} s of the processor, {peak:,.0f} MiB at most", flush=True)
        tables = [sorted((folder / f"out-{index}").glob("*.csv")) for index in range(len(asked.programs))]
        for first, other in zip(tables[0], tables[-1]):
            same = first.read_bytes() == other.read_bytes()
            print(f"{first.name}: {'the same bytes' if same else 'other bytes'}")


if __name__ == "__main__":
    main()
