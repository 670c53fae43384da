#!/bin/bash
# Submit a learner and its parent as two batch jobs; each waits for the other, an hour at most.
#
#     bash submit_twins.sh NAME slab.vasp [more words of `finetuna-flows relax`]
#
# By NAME the two know each other, and the run has its folder. An end of one ends the other; the
# same command again goes on, and nothing that was labelled is asked again. To hold no GPU while
# the parent is in the queue, add `--dependency=after:$parent` to the learner's `sbatch`.
set -eu
here=$(dirname -- "$0")
parent=$(sbatch --parsable "$here/twins_parent.sbatch" "$1")
if ! learner=$(sbatch --parsable "$here/twins_learner.sbatch" "$@"); then
    scancel "$parent"
    exit 1
fi
echo "learner $learner, parent $parent"
