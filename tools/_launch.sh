# Copyright (c) mmseg_ctt contributors.
# Sourced by dist_*.sh and slurm_*.sh, which work from any directory.
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PYTHON="${PYTHON:-python}"

usage() {
    echo "usage: bash $(basename "$0") $1" >&2
    exit 2
}

# with_launcher NAME ARGUMENTS...: arguments of a script, and its launcher if it is not there, in the
# array ARGUMENTS; no option may be given twice
with_launcher() {
    ARGUMENTS=("${@:2}")
    case " ${*:2} " in
        *" --launcher $1 "* | *" --launcher=$1 "*) ;;
        *) ARGUMENTS+=(--launcher "$1") ;;
    esac
}

# launch_local SCRIPT GPUS ARGUMENTS...; environment: NNODES NODE_RANK MASTER_ADDR PORT
launch_local() {
    with_launcher pytorch "${@:3}"
    exec "$PYTHON" -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node-rank="${NODE_RANK:-0}" \
        --master-addr="${MASTER_ADDR:-127.0.0.1}" \
        --master-port="${PORT:-29500}" \
        --nproc-per-node="$2" \
        "$TOOLS/$1" "${ARGUMENTS[@]}"
}

# slurm_request PARTITION JOB: what srun and sbatch are asked for, in the array REQUEST
# environment: GPUS GPUS_PER_NODE CPUS_PER_TASK
slurm_request() {
    REQUEST=(--partition="$1" --job-name="$2" --gres="gpu:${GPUS_PER_NODE:-4}"
             --ntasks="${GPUS:-4}" --ntasks-per-node="${GPUS_PER_NODE:-4}"
             --cpus-per-task="${CPUS_PER_TASK:-5}")
}

# launch_slurm SCRIPT PARTITION JOB ARGUMENTS...
# environment: that of slurm_request, SRUN_ARGS (several, separated by blanks) PORT
launch_slurm() {
    if [ -n "${PORT:-}" ]; then
        export MASTER_PORT="$PORT"
    fi
    slurm_request "$2" "$3"
    with_launcher slurm "${@:4}"
    # shellcheck disable=SC2086
    exec srun "${REQUEST[@]}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "$PYTHON" -u "$TOOLS/$1" "${ARGUMENTS[@]}"
}
