#!/usr/bin/env bash
# Gates a commit against where it left a branch, in any CI; needs bash, git and capratio.
#
#   ci/gate.sh                                  HEAD against the branch that the CI's change goes into, else main
#   GATE_BASE=release ci/gate.sh --strict       what follows are options of `capratio gate`
#
# GATE_BASE: a branch, tag or commit; its merge base with GATE_HEAD is what is compared with.
# GATE_HEAD: the commit that is judged; HEAD if left out.
# GATE_OUT: the folder that gate.md, gate.html, gate.json, gate.xml and gate.log go to; .asv/gate/report if left out.
#
# The exit code is the gate's: 0 passed, 1 regressed, 2 bad input, 3 undecided under --strict, 4 void, 5 not measured.
set -euo pipefail

# What GitHub, GitLab, Jenkins and Bitbucket call the branch that a change goes into.
target=${GITHUB_BASE_REF:-${CI_MERGE_REQUEST_TARGET_BRANCH_NAME:-}}
target=${target:-${CHANGE_TARGET:-${BITBUCKET_PR_DESTINATION_BRANCH:-main}}}
base=${GATE_BASE:-$target}
head=${GATE_HEAD:-HEAD}
out=${GATE_OUT:-.asv/gate/report}

fail() {
    echo "gate.sh: $1" >&2
    exit 2
}

command -v capratio >/dev/null || fail "there is no command capratio; install it: pip install 'capratio[asv]'."
shallow=$(git rev-parse --is-shallow-repository) || fail "$PWD is in no git repository; run it in a checkout."
if [ "$shallow" = true ]; then
    fail "the clone is shallow, and the merge base may not be in it; fetch the whole history ('git fetch --unshallow';\
 fetch-depth: 0 of actions/checkout; GIT_DEPTH: 0 in GitLab)."
fi
commit_of() { git rev-parse --verify --quiet --end-of-options "$1^{commit}"; }
head_commit=$(commit_of "$head") || fail "GATE_HEAD '$head' is no commit of this repository."
# The checkout of a CI knows other branches as its remote's.
is_branch() { [ "$1" != HEAD ] && git check-ref-format --branch "$1" >/dev/null 2>&1; }
base_tip=$( (is_branch "$base" && commit_of "refs/remotes/origin/$base") || commit_of "$base") ||
    fail "GATE_BASE '$base' is no branch, tag or commit of this clone; fetch it: git fetch origin '$base'."
base_commit=$(git merge-base "$base_tip" "$head_commit") || fail "'$base' and '$head' have no commit in common."
if [ "$base_commit" = "$head_commit" ]; then
    fail "'$base' has $head_commit already; name an earlier commit, such as GATE_BASE=HEAD~1."
fi

mkdir -p "$out"
# What an earlier run left must not be taken for this one's.
rm -f "$out"/gate.{md,html,json,xml,log}
code=0
# The log is a copy of the error stream; what is printed stays what it was.
{
    capratio gate "$(git rev-parse --short=12 "$base_commit")" "$head" --markdown "$out/gate.md" \
        --html "$out/gate.html" --json "$out/gate.json" --junit "$out/gate.xml" "$@" 2>&1 >&3 |
        tee "$out/gate.log" >&2
} 3>&1 || code=$?
if [ ! -e "$out/gate.md" ]; then
    printf '**The gate ended with exit code %s and decided nothing.**\n\n    %s\n' \
        "$code" "$(tail -n 1 "$out/gate.log")" >"$out/gate.md"
fi
exit "$code"
