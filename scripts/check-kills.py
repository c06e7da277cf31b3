#!/usr/bin/env python3
"""Kills the program at random moments and goes on: nothing that was said to be done is lost, and what comes out in the
end is, byte for byte, what a run comes to that nobody killed. Then faults of disks, and two writers.

    scripts/check-kills.py PATH-OF-KVLENS [--kills 100] [--seed 0] [--faults]

--faults also mounts a small tmpfs, for which it has to run as root. Needs Python's standard library alone."""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CAPTURE = ["capture", "--model", "demo", "--data", "demo:length=512", "--windows", "last:32", "knorm", "laq",
           "--decode", "24", "--ignore-eos", "--out", "s.kvlens"]
MEASURE = ["measure", "s.kvlens", "--out", "tables", "--importance"]
FIDELITY = ["fidelity", "s.kvlens", "--out", "fidelity", "--budgets", "10%", "--decode", "8"]
TRAIN = ["train", "demo-model", "--plan", "plan.json", "--out", "model"]
PLAN = {
    "seed": 3, "planted": False, "step_tokens": 320, "warmup_steps": 1, "clip_norm": 1.0,
    "matrix_learning_rate": 0.01, "vector_learning_rate": 0.003, "mixture": [["facts", 1]],
    "shape": {"vocabulary": 3072, "hidden_size": 16, "intermediate_size": 24, "layers": 2, "query_heads": 2,
              "kv_heads": 1, "head_dim": 8, "rope_theta": 10000.0, "max_positions": 256},
    "loss_weights": {"text": 0.1, "wording": 0.3, "values": 1.0, "text_share": 0.5},
    "stages": [{"sequence_tokens": 160, "steps": 40, "first_rate": 1.0, "last_rate": 0.5, "repeated_share": 0.0,
                "opening_percent": 50, "most_questions": 2}],
}
# tables that no clock has a part in
TABLES = ["overlap", "agreement", "summary", "difference", "winner", "complementarity", "importance"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", action="store_true")
    arguments = parser.parse_args()
    program = arguments.program.resolve()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as broken:
        whole, broken = Path(whole), Path(broken)
        for folder in (whole, broken):
            (folder / "plan.json").write_text(json.dumps(PLAN))
        kills = max(arguments.kills // 4, 1)
        capture_kills(program, whole, broken, chance, kills)
        measure_kills(program, whole, broken, chance, kills)
        fidelity_kills(program, whole, broken, chance, kills)
        training_kills(program, whole, broken, chance, kills)
        two_writers(program, broken)
        clock_set_back(program, broken)
        removed_folder(program, broken)
        if arguments.faults:
            full_disk(program, broken)
            read_only(program, broken)
    print("check-kills: passed")


def run(program, folder, words, code=0):
    ran = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True)
    if ran.returncode != code:
        sys.exit(f"{words}: exit {ran.returncode} instead of {code}\n{ran.stdout}\n{ran.stderr}")
    if "panicked" in ran.stderr:
        sys.exit(f"{words}: {ran.stderr}")
    return ran


def timed(program, folder, words):
    begin = time.monotonic()
    run(program, folder, words)
    return time.monotonic() - begin


def killed(program, folder, words, seconds):
    """Whether a kill after so long came before the end, which must be a good one."""
    child = subprocess.Popen([program, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, said = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.communicate()
        return True
    if child.returncode != 0:
        sys.exit(f"{words}: exit {child.returncode}\n{said}")
    return False


def finished(program, session):
    """Samples that the session says are done, each of which must be whole; none before it has a manifest."""
    if not (session / "manifest.json").exists():
        return 0
    checked = json.loads(run(program, session.parent, ["session", "check", session.name, "--json"]).stdout)
    if checked["damaged"]:
        sys.exit(f"damaged: {checked}")
    return checked["whole"]


def capture_kills(program, whole, broken, chance, wanted):
    seconds = timed(program, whole, CAPTURE)
    kills = rounds = 0
    while kills < wanted:
        shutil.rmtree(broken / "s.kvlens", ignore_errors=True)
        done = 0
        while True:
            is_begun = (broken / "s.kvlens" / "manifest.json").exists()
            words = ["capture", "--resume", "s.kvlens"] if is_begun else [*CAPTURE, "--resume"]
            was_killed = killed(program, broken, words, chance.uniform(0, seconds))
            now = finished(program, broken / "s.kvlens")
            if now < done:
                sys.exit(f"{done} samples were done, and {now} are left")
            done = now
            kills += was_killed
            if not was_killed:
                break
        rounds += 1
        for folder in (whole, broken):
            shutil.rmtree(folder / "tables", ignore_errors=True)
            run(program, folder, MEASURE)
        same(whole, broken, "tables")
    print(f"capture: {kills} kills over {rounds} captures, same tables")


def measure_kills(program, whole, broken, chance, wanted):
    """A measurement begins anew each time."""
    for folder in (whole, broken):
        shutil.rmtree(folder / "tables", ignore_errors=True)
    seconds = timed(program, whole, MEASURE)
    kills = rounds = 0
    while kills < wanted:
        was_killed = killed(program, broken, MEASURE, chance.uniform(0, 1.1 * seconds))
        kills += was_killed
        if not was_killed:
            rounds += 1
            same(whole, broken, "tables")
    run(program, broken, MEASURE)
    same(whole, broken, "tables")
    nothing_left(broken / "tables")
    print(f"measure: {kills} kills, {rounds + 1} ends, same tables")


def fidelity_kills(program, whole, broken, chance, wanted):
    """What was made of a window at a budget is not made again."""
    seconds = timed(program, whole, FIDELITY)
    state = broken / "fidelity.fidelity-state"
    kills = rounds = kept = 0
    while kills < wanted:
        shutil.rmtree(broken / "fidelity", ignore_errors=True)
        lines = 0
        while killed(program, broken, [*FIDELITY, "--resume"], chance.uniform(0, seconds)):
            kills += 1
            now = whole_lines(state)
            # killed behind the end of its work: the tables are there, and the state is not needed any more
            is_done = not state.exists() and (broken / "fidelity" / "fidelity.parquet").exists()
            if now < lines and not is_done:
                sys.exit(f"{lines} lines were written, and {now} are left")
            kept += max(now - lines, 0)
            lines = now
        rounds += 1
        same(whole, broken, "fidelity")
        nothing_left(broken / "fidelity")
        if state.exists():
            sys.exit("the state of a fidelity run is left behind")
    print(f"fidelity: {kills} kills over {rounds} runs, {kept} lines kept from kills, same tables")


def whole_lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def nothing_left(folder):
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    if left:
        sys.exit(f"left behind: {left}")


def training_kills(program, whole, broken, chance, wanted):
    seconds = timed(program, whole, TRAIN)
    kills = rounds = 0
    while kills < wanted:
        shutil.rmtree(broken / "model", ignore_errors=True)
        while killed(program, broken, [*TRAIN, "--resume"], chance.uniform(0, seconds)):
            kills += 1
        rounds += 1
        for name in ("model.safetensors", "training-log.json", "tokenizer.json"):
            if (whole / "model" / name).read_bytes() != (broken / "model" / name).read_bytes():
                sys.exit(f"the training came to another {name}")
    print(f"training: {kills} kills over {rounds} trainings, same weights")


def same(whole, broken, out):
    names = sorted(path.name for path in (whole / out).glob("*.parquet"))
    if names != sorted(path.name for path in (broken / out).glob("*.parquet")):
        sys.exit(f"other tables in {out}")
    compared = [name for name in names if name.split(".")[0] in TABLES or out == "fidelity"]
    for name in compared:
        if (whole / out / name).read_bytes() != (broken / out / name).read_bytes():
            sys.exit(f"{out}/{name} differs")


def two_writers(program, folder):
    shutil.rmtree(folder / "s.kvlens", ignore_errors=True)
    first = subprocess.Popen([program, *CAPTURE], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "s.kvlens" / "manifest.json").exists():
        time.sleep(0.01)
    second = run(program, folder, ["capture", "--resume", "s.kvlens"], code=2)
    if "another capture" not in second.stderr:
        sys.exit(f"two writers: {second.stderr}")
    if first.wait() != 0:
        sys.exit("the first of two writers did not end well")
    finished(program, folder / "s.kvlens")
    print("two writers: the second was refused, the first went on")


def clock_set_back(program, folder):
    later = time.time() + 10 * 365 * 86400
    for path in (folder / "s.kvlens").iterdir():
        os.utime(path, (later, later))
    run(program, folder, ["session", "check", "s.kvlens"])
    run(program, folder, ["capture", "--resume", "s.kvlens"])
    run(program, folder, MEASURE)
    print("files of a later clock: read, resumed, measured")


def removed_folder(program, folder):
    shutil.rmtree(folder / "s.kvlens", ignore_errors=True)
    child = subprocess.Popen([program, *CAPTURE], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (folder / "s.kvlens" / "manifest.json").exists():
        time.sleep(0.01)
    shutil.rmtree(folder / "s.kvlens", ignore_errors=True)
    _, said = child.communicate()
    if child.returncode not in (1, 2) or "panicked" in said or "cannot write" not in said:
        sys.exit(f"removed folder: exit {child.returncode}: {said}")
    shutil.rmtree(folder / "s.kvlens", ignore_errors=True)
    run(program, folder, CAPTURE)
    print("removed folder: a sentence, and the same command begins anew")


def full_disk(program, folder):
    """A disk that fills up leaves a session that goes on once there is room."""
    mount = folder / "small"
    mount.mkdir()
    size = sum(path.stat().st_size for path in (folder / "s.kvlens").iterdir())
    words = [*CAPTURE[:-1], "small/s.kvlens"]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size // 2}", "tmpfs", mount], check=True)
    try:
        full = run(program, folder, words, code=1)
        if "No space" not in full.stderr:
            sys.exit(f"full disk: {full.stderr}")
        done = finished(program, mount / "s.kvlens")
        subprocess.run(["mount", "-o", f"remount,size={size * 3}", mount], check=True)
        run(program, folder, ["capture", "--resume", "small/s.kvlens"])
        print(f"full disk: a sentence after {done} samples, and gone on with once there was room")
    finally:
        subprocess.run(["umount", mount], check=True)


def read_only(program, folder):
    mount = folder / "fixed"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount], check=True)
    try:
        shutil.copytree(folder / "s.kvlens", mount / "s.kvlens")
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        run(program, folder, ["measure", "fixed/s.kvlens", "--out", "t2"])
        refused = run(program, folder, [*CAPTURE[:-1], "fixed/new.kvlens"], code=2)
        again = run(program, folder, ["capture", "--resume", "fixed/s.kvlens"], code=2)
        for said in (refused.stderr, again.stderr):
            if "ead-only" not in said:
                sys.exit(f"read-only: {said}")
        print("read-only: measured, and captures refused with a sentence")
    finally:
        subprocess.run(["umount", mount], check=True)


if __name__ == "__main__":
    main()
