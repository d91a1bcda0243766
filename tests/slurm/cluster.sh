#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# A Slurm of one controller and one node on the loopback address, for tests. Needs root and the
# packages slurm-wlm and munge (tried with Debian's 22.05). Touches nothing outside its folder.
#   cluster.sh start FOLDER   FOLDER must not exist; then: export SLURM_CONF=FOLDER/slurm.conf
#   cluster.sh stop FOLDER
# Exit code 3 says that no cluster can be had here, with the reason on stderr.
set -euo pipefail
command="${1:?start or stop}" folder="${2:?a folder}"
export SLURM_CONF="$folder/slurm.conf"
give_up() { echo "no Slurm here: $*" >&2; exit 3; }

free_ports() {  # as many as asked for, none of them in use
    python3 -c 'import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))' "$1"
}

start_munge() {
    install -d -m 700 -o munge "$folder/munge"
    head -c 1024 /dev/urandom > "$folder/munge/key"
    chown munge "$folder/munge/key"
    chmod 600 "$folder/munge/key"
    install -d -m 755 -o munge "$folder/socket"
    setpriv --reuid=munge --regid=munge --clear-groups munged --force \
        --key-file="$folder/munge/key" --seed-file="$folder/munge/seed" \
        --log-file="$folder/munge/log" --pid-file="$folder/munge/pid" \
        --socket="$folder/socket/munge" > "$folder/munged.out" 2>&1 ||
        give_up "munged: $(tail -n 1 "$folder/munged.out")"
}

write_config() {
    read -r controller node < <(free_ports 2)
    cat > "$SLURM_CONF" << END
ClusterName=toy
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$node
SlurmUser=root
AuthInfo=socket=$folder/socket/munge,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=20
NodeName=localhost NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=toy Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

start() {
    [ "$(id -u)" = 0 ] || give_up 'the daemons take root'
    for program in munged slurmctld slurmd srun sbatch scontrol setpriv; do
        command -v "$program" > /dev/null || give_up "$program is missing (apt-get install \
slurm-wlm munge)"
    done
    mkdir "$folder"
    chmod 755 "$folder"
    mkdir "$folder/state" "$folder/spool"
    start_munge
    write_config
    slurmctld -c > "$folder/slurmctld.out" 2>&1 || give_up "slurmctld, see $folder/slurmctld.log"
    slurmd > "$folder/slurmd.out" 2>&1 || give_up "slurmd, see $folder/slurmd.log"
    for _ in $(seq 100); do
        [ "$(sinfo -h -o %t 2> /dev/null)" = idle ] && return
        sleep 0.2
    done
    give_up "the node did not come up: $(sinfo -h -o '%t %E' 2>&1 | head -n 1)"
}

stop() {
    local file pid
    scancel --user=root > /dev/null 2>&1 || true
    for file in "$folder"/slurmd.pid "$folder"/slurmctld.pid "$folder"/munge/pid; do
        [ -e "$file" ] || continue
        pid="$(cat "$file")"
        kill "$pid" 2> /dev/null || true
        for _ in $(seq 50); do
            [ -e "$file" ] && [ -e "/proc/$pid/exe" ] || break
            sleep 0.1
        done
    done
}

"$command"
