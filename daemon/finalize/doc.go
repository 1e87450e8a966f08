// Package finalize ends an account and a domain: proof, report, credentials erased.
//
// Stage 7 of 7.
// Owns: the reports of accounts and domains; the last transition of both.
// Never does: copying (the last pass is an ordinary one); deciding about DNS (stage 6 did).
// Input state → output state: closing → done; a draining domain whose accounts are all done → closed.
// Invariants: L1 (done only when every message of the source listing has a fate), S1 (the credential is erased in the
// transaction that makes the account done; the write-ahead log is emptied after it).
// Failure behaviour: an account whose proof has a gap stays in closing and is stuck with the reason; its domain waits.
// Tables: none of its own; account.verified_json and domain.report_json through the store.
package finalize
