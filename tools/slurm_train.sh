#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# Trains in a Slurm allocation. When Slurm takes the machine away (preemption, end of the time
# limit), training saves a checkpoint and ends with code 75.
#   GPUS GPUS_PER_NODE CPUS_PER_TASK SRUN_ARGS PORT  as in mmseg
#   REQUEUE=1     submit a batch job instead, which goes back into the queue then and goes on later
#   GRACE         with REQUEUE: seconds before the time limit to stop at (default 120)
#   SBATCH_ARGS   with REQUEUE: such as '--time=4:00:00 --account=me'
set -euo pipefail
tools="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$tools/_launch.sh"
[ $# -ge 3 ] || usage "PARTITION JOB CONFIG [arguments of train.py]"

submit() {
    slurm_request "$1" "$2"
    # shellcheck disable=SC2086
    exec sbatch "${REQUEST[@]}" --requeue --open-mode=append --signal="USR1@${GRACE:-120}" \
        ${SBATCH_ARGS:-} \
        --wrap="REQUEUE=1 exec bash $(printf '%q ' "$tools/slurm_train.sh" "$@")"
}

# resumed ARGUMENTS...: with --resume in the place of one of the first start, in the array AGAIN;
# its checkpoint is taken again if the first start ended before it saved one
resumed() {
    local word skip=0 first=''
    AGAIN=()
    for word in "$@"; do
        case "$skip$word" in
            0--resume) skip=1 ;;
            0--resume=*) first="${word#--resume=}" ;;
            1-* | 0*) AGAIN+=("$word"); skip=0 ;;
            *) first="$word"; skip=0 ;;
        esac
    done
    AGAIN+=(--resume)
    case "$first" in '' | auto) ;; *) AGAIN+=(--resume-else "$first") ;; esac
}

train_and_requeue() {
    local code=0
    AGAIN=("$@")
    if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
        resumed "$@"
    fi
    (launch_slurm train.py "${AGAIN[@]}") || code=$?
    case "$code" in  # 75: saved; 128 + SIGUSR1 or SIGTERM: told before there was anything to save
        75 | 138 | 143)
            echo "slurm_train.sh: code $code, back into the queue"
            scontrol requeue "$SLURM_JOB_ID" || true
            ;;
    esac
    exit "$code"
}

if [ "${REQUEUE:-0}" != 1 ]; then
    launch_slurm train.py "$@"
elif [ -z "${SLURM_JOB_ID:-}" ]; then
    submit "$@"
else
    train_and_requeue "$@"
fi
