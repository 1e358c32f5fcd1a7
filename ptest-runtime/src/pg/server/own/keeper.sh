# The keeper: runs one PostgreSQL server and stops it when nobody has used it for a while. Started by keeper.rs.
#
# Its standard output is keeper.lock, on which it holds an exclusive lock for its life. It works in the data folder, so
# that nothing it does by a relative path can hit data that was made anew. It sleeps until somebody writes a line into
# run/bell: the server's parent (runs, ended), the clock (tick), or a process that wants the server gone (signal).
#
# KEEPER_BIN: the folder of `postgres`; KEEPER_TICK: seconds between two looks; KEEPER_TICKS: how many looks without a
# use make the server idle; KEEPER_MARK: what to write into `clean` after a clean stop.

bin=$KEEPER_BIN tick=$KEEPER_TICK ticks=$KEEPER_TICKS mark=$KEEPER_MARK
unset KEEPER_BIN KEEPER_TICK KEEPER_TICKS KEEPER_MARK
home=$PWD
umask 077

# Whatever the test runner left open, such as the pipe of a make jobserver, would look as if a test were still running.
# dash closes descriptors of one digit only; where it is the shell, bash is there too and was preferred.
close_inherited() {
    highest=9
    (eval 'exec 10>&-') 2>/dev/null && highest=1000000
    for fd in /dev/fd/*; do
        fd=${fd##*/}
        case $fd in
        [0-2] | *[!0-9]*) ;;
        *) [ "$fd" -le "$highest" ] && eval "exec $fd>&-" ;;
        esac
    done
}

# The server's parent, the only process that can wait for it.
serve() {
    "$bin/postgres" -D "$home/data" -c "config_file=$home/postgresql.conf" 3>&- >&2 &
    echo "runs $!" >&3
    wait $!
    echo "ended $?" >&3
}

clock() {
    trap 'kill $!; exit' TERM
    while :; do
        sleep "$tick" 3>&- &
        wait $!
        echo tick >&3 || exit
    done
}

lock() {
    if command -v flock >/dev/null; then
        flock -n "$1"
    else
        perl -e 'open my $file, "<&=$ARGV[0]" or exit 2; exit !flock $file, 6' "$1"
    fi
}

# Runs with use.lock open as descriptor 8. Only under its exclusive lock, and so while no process uses the server nor
# any is about to, the server is stopped; whoever comes meanwhile waits for the lock and then finds it stopped.
look() {
    lock 8 || {
        quiet=0
        return 0
    }
    if [ ../use.lock -nt ../run/looked ]; then quiet=0; else quiet=$((quiet + 1)); fi
    echo >../run/looked
    if [ "$quiet" -gt "$ticks" ]; then
        kill -INT "$server"
        until [ "$event" = ended ]; do read -r event value <&3; done
        finish
    fi
}

finish() {
    kill "$clock"
    [ "$value" = 0 ] && echo "$mark" >clean
    exit 0
}

keep() {
    exec 2>>log
    close_inherited
    cd data || exit
    rm -f clean ../run/bell
    mkfifo ../run/bell || exit
    exec 3<>../run/bell
    # Both write only: when the keeper is killed they end at their next word.
    serve >/dev/null 3>../run/bell &
    clock >/dev/null 3>../run/bell &
    clock=$!
    echo >../run/looked
    server='' quiet=0
    while read -r event value <&3; do
        case $event in
        runs) server=$value ;;
        tick) if [ -e ../use.lock ]; then look 8<../use.lock; else kill -INT "$server"; fi ;;
        signal) [ -n "$server" ] && kill "-$value" "$server" ;;
        ended) finish ;;
        esac
    done
}

# Read to its end before the first command runs, so that the file can be replaced under a running keeper.
keep
exit
