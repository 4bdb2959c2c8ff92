# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/node/run.sh - the end of what is sent to a node: the verb.
# shellcheck shell=bash
umask 022
verb=$1
shift
# Read as one: what is standard input until here is this text.
{
    exec </dev/null
    "verb_$verb" "$@"
    exit 0
}
