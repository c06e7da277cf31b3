#!/usr/bin/env bash
# A Slurm of two nodes on this machine, in a folder of its own, from Debian's packages (slurm-wlm, munge):
#   scripts/slurm-two-nodes.sh start FOLDER    installs what is missing (as root, apt-get) and starts it
#   scripts/slurm-two-nodes.sh stop FOLDER     ends what it started
# Both nodes are this machine; `export SLURM_CONF=FOLDER/slurm.conf` points Slurm's commands to it.
set -euo pipefail

folder=$(realpath -m "${2:?give a folder}")

stop() {
    for pid in "$folder"/run/*.pid; do
        [ -s "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true
    done
}

start() {
    [ "$(id -u)" = 0 ] || { echo "slurm-two-nodes: needs root" >&2; exit 1; }
    command -v slurmctld >/dev/null && command -v munged >/dev/null || {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge
    }
    mkdir -p "$folder"/{run,log,state,spool-n1,spool-n2}
    (umask 077; head -c 1024 /dev/urandom >"$folder/munge.key")
    munged --force --key-file="$folder/munge.key" --socket="$folder/run/munge.socket" \
        --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged.log" \
        --seed-file="$folder/run/munge.seed"
    cat >"$folder/slurm.conf" <<EOF
ClusterName=two-nodes
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=17000
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=300
JobRequeue=1
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
NodeName=n[1-2] NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=2 RealMemory=4000
PartitionName=small Nodes=n[1-2] Default=YES State=UP
EOF
    export SLURM_CONF="$folder/slurm.conf"
    slurmctld -c
    slurmd -N n1
    slurmd -N n2
    for _ in $(seq 60); do
        [ "$(sinfo -h -o %D -t idle 2>/dev/null)" = 2 ] && return
        sleep 1
    done
    echo "slurm-two-nodes: its nodes do not come up, see $folder/log" >&2
    exit 1
}

case "${1:-}" in
    start) start ;;
    stop) stop ;;
    *) echo "usage: $0 start|stop FOLDER" >&2; exit 2 ;;
esac
