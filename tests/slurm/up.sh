#!/bin/sh
# Start a SLURM cluster of one node, all of it in one folder; `down.sh` ends it.
#
#     sh tests/slurm/up.sh [FOLDER]
#
# Exit code 75: it cannot be had here (not root, or no packages), so what needs it is to be skipped.
#
# Everything listens on loopback alone where the host's name resolves to it. Where it does not,
# SLURM binds to the address behind the name, or to all of them if there is none, and says so here.
set -eu
PATH=$PATH:/usr/sbin:/sbin
down=$(dirname -- "$0")/down.sh
folder=${1:-/tmp/finetuna_slurm}
cores=8
patience=30 # seconds

refuse() {
    echo "NO SLURM CLUSTER: $*" >&2
    exit 75
}

have() {
    for program in munged slurmctld slurmd sbatch srun; do
        command -v "$program" >/dev/null || return 1
    done
}

install_packages() {
    command -v apt-get >/dev/null || return 1
    {
        apt-get update --quiet &&
            DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends \
                slurm-wlm munge
    } >&2
}

node_state() {
    timeout 5 sinfo --noheader --partition=gpu --format=%t 2>&1 || true
}

usage() {
    echo "SLURM runs: partitions gpu (--gres=gpu:1) and cpu on one node of $cores cores"
    echo "    export SLURM_CONF=$SLURM_CONF"
}

case $folder in
/*) ;;
*) folder=$(pwd)/$folder ;;
esac
export SLURM_CONF="$folder/slurm.conf"

if [ -e "$SLURM_CONF" ]; then
    case $(node_state) in
    idle | mix | alloc | comp)
        usage
        exit 0
        ;;
    esac
    sh "$down" "$folder" # it was there once, and is half dead
fi

[ "$(id -u)" = 0 ] || refuse "only root can start it, and this is $(id -un)"
have || install_packages || refuse "apt-get cannot install slurm-wlm munge (see above)"
have || refuse "slurm-wlm and munge are installed but some of their programs are missing"

host=$(hostname -s)
address=$(getent ahostsv4 "$host" | cut -d ' ' -f 1 | head -n 1)
listen=CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
case $address in
127.*) ;;
'')
    address=127.0.0.1 listen=
    echo "$host has no address, so SLURM listens on every interface" >&2
    ;;
*) echo "$host is $address, so SLURM listens there and not on loopback" >&2 ;;
esac

# munged refuses folders that others may write to
mkdir -p "$folder"
chmod 755 "$folder"
mkdir "$folder/munge" "$folder/state" "$folder/spool"
dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 status=none
chmod 600 "$folder/munge/key"
chown -R munge:munge "$folder/munge"

cat >"$SLURM_CONF" <<END
ClusterName=finetuna
SlurmctldHost=$host($address)
SlurmctldPort=16817
SlurmdPort=16818
$listen
SlurmUser=root
AuthInfo=socket=$folder/munge/socket
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdPidFile=$folder/slurmd.pid
SlurmdLogFile=$folder/slurmd.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
PlugStackConfig=$folder/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
DefMemPerCPU=500
GresTypes=gpu
NodeName=$host NodeAddr=$address CPUs=$cores RealMemory=20000 Gres=gpu:1 State=UNKNOWN
PartitionName=gpu Nodes=$host MaxTime=INFINITE State=UP
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
echo "Name=gpu File=/dev/null" >"$folder/gres.conf"
: >"$folder/plugstack.conf"

trap 'sh "$down" "$folder"' EXIT # unless all of it comes up
trap 'exit 1' INT TERM
# each goes to the background and writes its process id itself
runuser -u munge -- "$(command -v munged)" \
    --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF"

deadline=$(($(date +%s) + patience))
until [ "$(node_state)" = idle ]; do
    if [ "$(date +%s)" -ge "$deadline" ]; then
        echo "the node is not idle after $patience s but: $(node_state)" >&2
        tail -n 20 "$folder/slurmctld.log" "$folder/slurmd.log" >&2
        exit 1
    fi
    sleep 0.2
done
trap - EXIT
usage
