#!/bin/sh
# Stands before rustc: builds trybuild's cases as tests, since `#[test]` functions exist in no other build.
case " $* " in
*" --crate-name trybuild"[0-9]*) exec "$@" --test ;;
*) exec "$@" ;;
esac
