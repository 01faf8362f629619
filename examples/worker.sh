#!/usr/bin/env bash
# A rowqueue worker in psql and bash: it hands each job's payload to a command and stores what the command prints.
#
#   ROWQUEUE_DSN=postgresql://… examples/worker.sh [--burst] QUEUE COMMAND [ARGUMENT…]      --burst: end when nothing is due
#
# COMMAND reads the payload from stdin and has JOB_ID and JOB_TYPE in its environment. What it prints, JSON, is the result; if
# it exits with anything but 0, what it said on stderr is the error. A line "CURRENT TOTAL MESSAGE" on descriptor 3 reports
# progress. SIGTERM stops it when the job was cancelled, the lease is lost, or this worker is to end, which gives the job back.
# ROWQUEUE_LEASE is how many seconds the database waits for a sign of life; 60 if not set.
set -u -m  # -m: a job and all that it starts are one process group
burst=; [ "${1-}" = --burst ] && burst=yes && shift
queue=${1:?a queue} && shift
: "${1:?a command}"
name=$(hostname):$$ tab=$(printf '\t') job= stop= lease=${ROWQUEUE_LEASE:-60}
stop_job() { kill -- "-$job" 2>/dev/null; }
export PGCLIENTENCODING=UTF8 dir="$(mktemp -d)"
mkfifo "$dir/progress"
trap 'rm -rf "$dir"' EXIT
trap 'stop=yes; [ -z "$job" ] || stop_job' TERM INT

# Runs SQL from stdin. A value never becomes part of it: psql quotes each :'name' itself, and reads long ones from a file.
sql() { psql "${ROWQUEUE_DSN-}" -XAqt -F "$tab" -v ON_ERROR_STOP=1 -v id="${id-}" -v token="${token-}" \
    -v lease="$lease seconds" "$@"; }

claim() { sql -v worker="$name" -v queue="$queue" <<'SQL'
do $$ begin perform rowqueue.tick(); end $$;
select id, token, job_type, payload from rowqueue.claim_next(:'worker', array[:'queue'], lease => :'lease');
SQL
}
beat() {
    while sleep $((lease / 3)); do
        [ "$(echo "select rowqueue.extend_lease(:'id', :'token', :'lease')" | sql)" = t ] || stop_job
    done
}
report() {
    while read -r current total message; do
        [ "$(sql -v current="$current" -v total="$total" -v message="$message" <<'SQL'
select rowqueue.report_progress(:'id', :'token', :'current', :'total', :'message')
SQL
        )" != f ] || stop_job
    done
}
complete() { sql <<'SQL'
\set result `cat "$dir/result"`
select rowqueue.complete(:'id', :'token', nullif(:'result', '')::jsonb);
SQL
}
fail() { sql -v code="$code" <<'SQL'
\set error `tail -c 4000 "$dir/error" | iconv -c -f UTF-8 -t UTF-8`
select rowqueue.fail_with_backoff(:'id', :'token', coalesce(nullif(:'error', ''), 'exit code ' || :'code'));
SQL
}

while [ -z "$stop" ]; do
    claim >"$dir/job" || exit 3
    if ! IFS=$tab read -r id token type payload <"$dir/job"; then
        [ -z "$burst" ] || exit 0
        sleep 2 & wait $!
        continue
    fi
    printf '%s' "$payload" >"$dir/payload"
    JOB_ID=$id JOB_TYPE=$type "$@" <"$dir/payload" >"$dir/result" 2>"$dir/error" 3>"$dir/progress" & job=$!
    [ -z "$stop" ] || stop_job
    report <"$dir/progress" & reporter=$!
    beat & heart=$!
    while :; do wait "$job" 2>/dev/null; code=$?; kill -0 "$job" 2>/dev/null || break; done  # a signal ends a wait, but not the job
    kill -KILL -- "-$heart"; wait "$heart" "$reporter" 2>/dev/null; job=

    if [ "$code" = 0 ] && complete >/dev/null 2>>"$dir/error"; then
        echo "$id $type completed"
    elif [ -n "$stop" ]; then
        echo "select rowqueue.release(:'id', :'token')" | sql >/dev/null && echo "$id $type released"
    else
        outcome=$(fail) && echo "$id $type $outcome"
    fi
done
