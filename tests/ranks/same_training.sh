#!/usr/bin/env bash
# same_training.sh BUILD_FOLDER: twenty steps on two and on four ranks have the losses of one process:
# DINO on three backbones (drop path in one, the centre and a followed teacher in all), SwAV with
# Sinkhorn's balancing and its queue, MoCo with its queue, and with keys shuffled over parts of the batch
# that batch norm sees one at a time.
. "$(dirname "$0")/rank_kit.sh" "$1"

# High temperatures keep DINO from making much of rounding.
even="teacher_temperature = 0.5
teacher_temperature_start = 0.5
student_temperature = 0.5"
write_tiny dino_resnet <<END
[method]
$even
[backbone]
depth = 10
END
write_tiny dino_mobilenet <<END
[method]
$even
[backbone]
use = "mobilenet_v2"
width = 0.125
stem = "cifar"
END
write_tiny dino_vit <<END
[backbone]
use = "vit"
dim = 24
depth = 2
heads = 3
patch_size = 4
image_size = 16
drop_path = 0.3
END
write_tiny swav <<END
[method]
use = "swav"
prototypes = 32
hidden_dim = 64
out_dim = 32
queue_length = 32
queue_start = 1
END
write_tiny moco <<END
[method]
use = "moco"
hidden_dim = 64
out_dim = 32
queue_length = 64
END

write_tiny moco_parts <<END
[method]
use = "moco"
hidden_dim = 64
out_dim = 32
queue_length = 64
batch_norm_groups = 4
END

# trained NAME LR: on one, two and four ranks.
trained() {
    local n
    run 0 run $1.toml optimizer.lr=$2
    for n in 2 4; do
        ranks 0 $n run $1.toml optimizer.lr=$2 run.out=$1.$n
        same_losses $1 $1.$n
    done
}

# Gradients of another size would show: the losses with a rate that is a little higher are others.
for name in dino_resnet dino_vit swav moco moco_parts; do
    lr=1e-2
    case $name in swav) lr=5e-4 ;; moco) lr=1e-3 ;; moco_parts) lr=3e-4 ;; esac
    trained $name $lr
    run 0 run $name.toml optimizer.lr=${lr/e/.1e} run.out=$name.more
    ! (same_losses $name $name.more) >/dev/null 2>&1 || fail "the losses of $name do not depend on training"
done
# So badly conditioned that one process with other kernels differs by 1e-3 in its gradients: here the
# forward pass is compared.
trained dino_mobilenet 1e-6
# Groups of other images have other statistics.
run 0 run moco_parts.toml optimizer.lr=3e-4 run.out=moco_whole method.batch_norm_groups=1
! (same_losses moco_parts moco_whole) >/dev/null 2>&1 || fail "batch_norm_groups changes nothing"
# Else the queue would have been left out unseen.
train_lines swav.4 | grep -q '"queue_used": 1' || fail "the queue was never used"
