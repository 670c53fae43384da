#!/bin/sh
# End the cluster that `up.sh` has started, its jobs first, and remove its folder.
#
#     sh tests/slurm/down.sh [FOLDER]
set -eu
folder=${1:-/tmp/finetuna_slurm}
patience=30 # seconds; more than the KillWait that a job has between SIGTERM and SIGKILL

case $folder in
/*) ;;
*) folder=$(pwd)/$folder ;;
esac
export SLURM_CONF="$folder/slurm.conf"
if [ ! -e "$SLURM_CONF" ]; then
    echo "no SLURM cluster in $folder"
    exit 0
fi
if ! grep -q '^ClusterName=finetuna$' "$SLURM_CONF"; then
    echo "$SLURM_CONF is not from up.sh, so nothing is touched" >&2
    exit 1
fi

runs() { # PID
    case $(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) in
    '' | Z) return 1 ;;
    esac
}

# end PIDFILE NAME: the process that wrote the file, if it is still the one with that number
end() {
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] || return 0
    tr '\0' '\n' <"/proc/$pid/cmdline" | grep -q -F "$folder/" || return 0
    kill "$pid"
    tries=0
    while runs "$pid"; do
        tries=$((tries + 1))
        [ "$tries" -ne 100 ] || kill -KILL "$pid"
        [ "$tries" -lt 200 ] || return 1
        sleep 0.1
    done
}

jobs_left() {
    [ -n "$(timeout 5 squeue --noheader --format=%A 2>/dev/null)" ]
}

if jobs_left; then
    timeout 10 squeue --noheader --format=%A | xargs timeout 10 scancel || true
    deadline=$(($(date +%s) + patience))
    while jobs_left && [ "$(date +%s)" -lt "$deadline" ]; do
        sleep 0.5
    done
fi
end "$folder/slurmd.pid" slurmd
end "$folder/slurmctld.pid" slurmctld
end "$folder/munge/pid" munged
rm -rf "$folder"
echo "SLURM is down"
