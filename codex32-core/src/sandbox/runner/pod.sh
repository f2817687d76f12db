# Runs a script in a container: pod.sh KEEP RESULT SECONDS PROGRAM [ARGUMENT...].
#
# The log of a container is one stream and may be read twice, so each line is marked
# with what it is and its number: `o` and `e` for the script's stdout and stderr as they
# come, then `r` for its result or else `s` for the last KEEP bytes of its stdout, then
# `x` with its exit code. The result is cut after RESULT bytes. SECONDS of processor
# time are allowed to each process; 0 means no limit.
root=${0%/in/pod.sh}
keep=$1 most=$2 seconds=$3
shift 3
run=$root/run

mark() {
  number=0
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    printf '%s%s %s\n' "$1" "$number" "$line"
  done
}

umask 077
cp -RL "$root/in/work/." "$root/work" && cd "$root/work" || exit 126
mkfifo "$run/out" "$run/lines" "$run/copy" "$run/err" || exit 126
: > "$run/result"

tail -c "$keep" < "$run/copy" > "$run/stdout" &
tail=$!
mark o < "$run/lines" &
lines=$!
tee "$run/copy" < "$run/out" > "$run/lines" &
out=$!
mark e < "$run/err" &
err=$!

(
  ulimit -c 0
  if [ "$seconds" -gt 0 ]; then
    # A second between the signal that can be told apart and the kill.
    ulimit -S -t "$seconds" && ulimit -H -t $((seconds + 1))
  fi
  exec "$@"
) < "$root/in/input.json" > "$run/out" 2> "$run/err" 8< "$root/in/input.json" 9> "$run/result" &
script=$!
# The first process of a container gets no signal that it does not ask for.
trap 'kill -TERM "$script" 2> /dev/null' TERM INT
while :; do
  wait "$script"
  code=$?
  kill -0 "$script" 2> /dev/null || break
done

# What the script has left behind may hold its output open.
(sleep 2; kill "$out" "$err" 2> /dev/null) > /dev/null 2>&1 &
late=$!
wait "$out" "$err" "$lines" "$tail"
kill "$late" 2> /dev/null

if [ -s "$run/result" ]; then
  head -c "$most" "$run/result" | mark r
else
  mark s < "$run/stdout"
fi
printf 'x1 %s\n' "$code"
exit "$code"
