#!/usr/bin/env bash
# same_training.sh BUILD_FOLDER: twenty steps on two and on four ranks have the losses of one process:
# DINO on three backbones (drop path in one, the centre and a followed teacher in all), SwAV with
# Sinkhorn's balancing and its queue, MoCo with its queue, and with keys shuffled over parts of the batch
# that batch norm sees one at a time.
. "$(dirname "$0")/rank_kit.sh" "$1"

write_all_tiny

# trained NAME: on one, two and four ranks.
trained() {
    local n rate=rate_$1
    run 0 run $1.toml optimizer.lr=${!rate}
    for n in 2 4; do
        ranks 0 $n run $1.toml optimizer.lr=${!rate} run.out=$1.$n run.bucket_mb=$((n == 2 ? 0 : 1))e-2
        same_losses $1 $1.$n
    done
}

for name in $tiny_names; do
    trained $name
done
# Gradients of another size would show: the losses with a rate that is a little higher are others.
for name in ${tiny_names% dino_mobilenet}; do
    rate=rate_$name
    run 0 run $name.toml optimizer.lr=${!rate/e/.1e} run.out=$name.more
    ! (same_losses $name $name.more) >/dev/null 2>&1 || fail "the losses of $name do not depend on training"
done
# Groups of other images have other statistics.
run 0 run moco_parts.toml optimizer.lr=$rate_moco_parts run.out=moco_whole method.batch_norm_groups=1
! (same_losses moco_parts moco_whole) >/dev/null 2>&1 || fail "batch_norm_groups changes nothing"
# Else the queue would have been left out unseen.
train_lines swav.4 | grep -q '"queue_used": 1' || fail "the queue was never used"
