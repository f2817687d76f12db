# Parent of every script. The kernel hands it each orphan of its tree (it is a
# child subreaper) and sends it TERM when the engine dies, so nothing outlives a run.
end() {
  trap '' TERM
  tries=0 before=none
  while [ "$tries" -lt 5000 ]; do
    tries=$((tries + 1)) alive='' left=''
    read -r left 2>/dev/null <"/proc/$$/task/$$/children"
    for p in $left; do
      read -r stat 2>/dev/null <"/proc/$p/stat" || continue
      case ${stat##*) } in
        Z*) ;;
        *) alive=1; kill -KILL "$p" 2>/dev/null ;;
      esac
    done
    # A child that died while the list was read has handed over its own children since:
    # only the same list of dead ones twice means that there are none.
    [ -n "$alive" ] || { [ "$left" = "$before" ] && break; }
    before=$left
    [ -z "$alive" ] || before=none
  done
}
trap 'end; exit 143' TERM
# A background command would read /dev/null: hand it the real input by name.
exec 9<&0 </dev/null
"$@" <&9 9<&- &
wait $!
code=$?
end
exit "$code"
