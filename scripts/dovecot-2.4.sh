#!/bin/sh
# Makes, once, the Debian 13 root whose Dovecot 2.4 the tests run, and leaves it where test/testbed looks for it.
set -eu
root=$("$(dirname "$0")/debian-root.sh" trixie dovecot-core,dovecot-imapd,dovecot-lmtpd,dovecot-pop3d,dovecot-submissiond)
ln -sfn "$root" "$(dirname "$root")/dovecot-2.4"
