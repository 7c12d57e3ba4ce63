# tiny_experiments.sh - six small experiments of 20 steps, and their losses side by side; to be sourced
# after run_kit.sh. They are what runs on several ranks and on other devices are compared by.

# write_tiny NAME: NAME.toml, 20 steps in folder NAME/smoke/0, with more lines from the input.
write_tiny() {
    {
        cat <<END
extends = "$base"
[run]
threads = 1
workers = 0
epochs = 5
steps = 20
metric_steps = 1
out = "$1"
[optimizer]
use = "sgd"
weight_decay = 0
lr = 1e-2
END
        cat
    } >$1.toml
}

# same_losses A B [LIMIT]: the losses of two run folders agree within 1e-5, or LIMIT, step by step.
same_losses() {
    paste <(losses "$1") <(losses "$2") | awk -v a="$1" -v b="$2" -v limit="${3:-1e-5}" '
        { d = $1 - $2; if (d < 0) d = -d; d /= $1 < 0 ? -$1 : $1; if (d > most) most = d; n++ }
        END { printf "%s, %s: %d steps, losses differ by %.1e at most\n", a, b, n, most
              exit !(n == 20 && most <= limit) }' ||
        fail "the losses of $1 and $2 differ"
}

losses() {
    sed -n '/"kind": "train"/s/.*"loss": \([^,]*\),.*/\1/p' "$1/smoke/0/metrics.jsonl"
}

# write_all_tiny: each of the six as NAME.toml, with its rate as `rate_NAME`. Those rates are as high as
# lets rounding stay small over 20 steps.
tiny_names="dino_resnet dino_vit swav moco moco_parts dino_mobilenet"
rate_dino_resnet=1e-2 rate_dino_vit=1e-2 rate_swav=5e-4 rate_moco=2e-4 rate_moco_parts=3e-4
# So badly conditioned that one process with other kernels differs by 1e-3 in its gradients: here the
# forward pass is compared.
rate_dino_mobilenet=1e-6

write_all_tiny() {
    # High temperatures keep DINO from making much of rounding.
    local even="teacher_temperature = 0.5
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
}
