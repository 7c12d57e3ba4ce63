#!/usr/bin/env bash
# optimizer_rules.sh BUILD_FOLDER: [[optimizer.rule]] tables do what other settings do, are part of
# the resolved file, and point at their line when they match nothing.
. "$(dirname "$0")/run_kit.sh" "$1"

same() { # A B
    [ -z "$(differing_tensors $1 $2)" ] || fail "$1 and $2 differ: $(differing_tensors $1 $2)"
}

# --- a factor of all parameters is that factor of the whole; these factors are exact ---

all='[[optimizer.rule]]
pattern = "*"
'
train plain </dev/null
train half_rate optimizer.lr=5e-4 </dev/null
train half_decay optimizer.weight_decay=0.02 </dev/null
train half_rate_by_rule <<<"${all}lr = 0.5"
train half_decay_by_rule <<<"${all}weight_decay = 0.5"
train twice <<<"${all}lr = 0.25
${all}lr = 2"
train no_change <<<"$all"
same half_rate half_rate_by_rule
same half_decay half_decay_by_rule
same half_rate twice
same plain no_change
[ -n "$(differing_tensors plain half_rate)" ] || fail "half the learning rate changes nothing"
[ -n "$(differing_tensors plain half_decay)" ] || fail "half the weight decay changes nothing"

# --- only what the pattern names ---

frozen='[[optimizer.rule]]
pattern = "student.backbone.*"
lr = 0.0'
train one_step run.steps=1 <<<"$frozen"
train two_steps run.steps=2 <<<"$frozen"
differing_tensors one_step two_steps >changed
grep -q '^student[.]head[.].*weight' changed || fail "the head is not trained"
grep '^student[.]backbone[.]' changed | grep -v running_ >&2 && fail "the backbone is trained"

# --- overrides; the resolved file is the same run ---

train overridden optimizer.rule.0.lr=0.5 <<<"${all}lr = 3"
same half_rate overridden
train given_whole 'optimizer.rule=[{pattern = "*", lr = 0.5}]' </dev/null
same half_rate given_whole
resolved=overridden/smoke/0/config.toml
grep -A 3 -F '[[optimizer.rule]]' $resolved >rule
diff - rule >&2 <<END || fail "the resolved file says something else"
[[optimizer.rule]]
pattern = "*"
lr = 0.5
weight_decay = 1.0
END
run 0 run $resolved run.out=again
same_runs overridden/smoke/0 again/smoke/0
cmp <(grep -v '^out = ' $resolved) <(grep -v '^out = ' again/smoke/0/config.toml) >&2 ||
    fail "the resolved file resolves to another"

# A rule is part of the configuration of a run.
run 2 run overridden.toml
says "another configuration" "lr = 0.5" "lr = 3.0"

# Stored weights are judged without probes, so a rule for these must not stop it.
train for_probe <<END
[[optimizer.rule]]
pattern = "probe0.*"
lr = 10
[[probe]]
use = "linear"
END
printf '[[task]]\nuse = "knn"\nk = 3\n' >tasks.toml
run 0 eval for_probe/smoke/0 tasks.toml

# --- what may be wrong ---

wrong() { # PLACE WORDS...; lines of the experiment from the input
    local place=$1
    shift
    write_smoke wrong
    run 2 check wrong.toml
    says "$place" "^" "$@"
}
wrong wrong.toml:10:11: 'the pattern "student.bakcbone.*" matches no trained parameter' \
    "student.backbone.conv1.weight" <<END
$all
[[optimizer.rule]]
pattern = "student.bakcbone.*"
END
wrong wrong.toml:7:11: 'the pattern "teacher.*" matches no trained parameter' <<END
[[optimizer.rule]]
pattern = "teacher.*"
END
run 2 check plain.toml 'optimizer.rule=[{pattern="studnt*"}]'
says "override:1:26:" 'the pattern "studnt*" matches no trained parameter'
wrong wrong.toml:6:1: "optimizer.rule.0.pattern is required" <<END
[[optimizer.rule]]
lr = 0.5
END
wrong wrong.toml:8:1: 'unknown key "weight_decy"' "weight_decay" <<END
[[optimizer.rule]]
pattern = "*"
weight_decy = 0.5
END
wrong wrong.toml:8:6: "optimizer.rule.0.lr is out of range" <<END
[[optimizer.rule]]
pattern = "*"
lr = -0.5
END
wrong wrong.toml:6: "must be an array of tables" "[[optimizer.rule]]" <<END
[optimizer.rule]
pattern = "*"
END
wrong wrong.toml:7:9: "optimizer.rule.0 must be a table" <<END
[optimizer]
rule = ["*"]
END
