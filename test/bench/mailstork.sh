#!/bin/bash
# mailstork as a plug-in of the benchmark harness: one pass of `mailstork copy`, with the ledger in STATE_DIR.
# Environment: see the harness (SRC_*, DST_*, CA_FILE, STATE_DIR). MAILSTORK names the program.
export MAILSTORK_FROM_PASSWORD=$SRC_PASS MAILSTORK_TO_PASSWORD=$DST_PASS
if [ "${SRC_TLS:-0}" = 1 ]; then
  from="imaps://$SRC_USER@localhost:$SRC_TLS_PORT"
  tls=(--from-ca-file "$CA_FILE")
else
  from="imap://$SRC_USER@$SRC_HOST:$SRC_PORT"
  tls=(--from-no-tls)
fi
exec "${MAILSTORK:-mailstork}" copy --from "$from" "${tls[@]}" --to "imap://$DST_USER@$DST_HOST:$DST_PORT" --to-no-tls \
  --mirror --state "$STATE_DIR/ledger" --doveadm "doveadm,-c,$DST_CONF"
