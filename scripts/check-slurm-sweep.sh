#!/usr/bin/env bash
# The same sweep here and on a real Slurm of two nodes (scripts/slurm-two-nodes.sh): one task is killed, one preempted,
# what failed is submitted again, and the tables of the data set must be the same, byte for byte where no clock has a
# part in them. Ends with an error where there is no Slurm: then nothing was checked.
#   scripts/check-slurm-sweep.sh PATH-OF-KVLENS
set -euo pipefail

kvlens=$(realpath "${1:?give the program}")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
finish() {
    "$here/slurm-two-nodes.sh" stop "$work/slurm" || true
    rm -rf "$work"
}
trap finish EXIT

"$here/slurm-two-nodes.sh" start "$work/slurm"
export SLURM_CONF="$work/slurm/slurm.conf"
cd "$work"
cp -r "$here/../sessions/builtin/demo" second
plan() {
    cat <<EOF
model = ["demo", "second"]
data = ["facts:length=1024,samples=8", "niah:length=1024,samples=8"]
windows = ["last:32", "laq"]
decode = 256
ignore-eos = true
samples-per-task = 4
budgets = ["10%", "20%"]
out = "$1"
[slurm]
partition = "small"
cpus = 1
memory = "1500M"
time = "00:30:00"
setup = ["export RAYON_NUM_THREADS=1"]
EOF
}
# both tell the same name of their plan
mkdir local cluster
plan ../at-home >local/plan.toml
plan ../on-slurm >cluster/plan.toml
cp -r second local/second; cp -r second cluster/second

(cd local && "$kvlens" sweep plan.toml)

cd cluster
"$kvlens" sweep plan.toml --slurm
job=$(squeue -h -o %F | sort -u)
runs() { squeue -h -r -t R -o %K | sort -n | sed -n "${1}p"; }
for _ in $(seq 300); do [ -n "$(runs 2)" ] && break; sleep 0.2; done
killed=$(runs 1); preempted=$(runs 2)
# not before they began to write
sleep 2
scancel --signal=KILL --full "${job}_$killed"
scontrol requeue "${job}_$preempted"
"$kvlens" sweep status plan.toml
# the killed one is submitted again, and it alone: the preempted one waits already
wait_for_kill() { for _ in $(seq 50); do [ -z "$(squeue -h -r -o %K -t R,CG | grep -x "$killed")" ] && return; sleep 0.2; done; }
wait_for_kill
again=$("$kvlens" sweep plan.toml --slurm)
echo "$again"
case "$again" in
    *": 1 task") ;;
    *) echo "check-slurm-sweep: the killed task, and it alone, should be submitted again" >&2; exit 1 ;;
esac
wait_for_queue() { while [ -n "$(squeue -h)" ]; do sleep 2; done; }
# a job that was requeued waits for two minutes, unless it is released
scontrol update jobid="${job}_$preempted" starttime=now 2>/dev/null || true
wait_for_queue
"$kvlens" sweep status plan.toml
"$kvlens" sweep plan.toml --slurm
"$kvlens" sweep status plan.toml --json | python3 -c '
import json, sys
tasks = json.load(sys.stdin)
assert len(tasks) == 8, len(tasks)
assert all(task["state"] == "finished" for task in tasks), tasks'
grep -l "stopping after the current step" ../on-slurm/slurm/*.log >/dev/null || echo "note: the preempted task was between steps"
cd ..
for table in overlap agreement complementarity; do
    diff -r "at-home/tables/$table" "on-slurm/tables/$table"
    echo "same: $table ($(find "at-home/tables/$table" -name '*.parquet' | wc -l) files)"
done
echo "check-slurm-sweep: passed"
