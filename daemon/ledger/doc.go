// Package ledger remembers every source message and what became of it.
//
// Stage 5 of 7.
// Owns: the rows of folders and messages: identity, fate, where a message is kept here; the row of the notice; the tally; the checker.
// Never does: speaking with a server, deciding what happens to a message; the mirror decides and records.
// Input state → output state: none; it is written while an account is copying, following or closing.
// Invariants: L1 (one row with one fate per source message), L2 (no two rows claim one message here; intents are
// durable before the destination is touched), L3 (a row outlives its message), and that nobody writes without a lease.
// Failure behaviour: one transaction per Record, all or nothing; a lost lease is ErrLeaseLost and writes nothing.
// Tables: folder, message, notice, tally.
package ledger
