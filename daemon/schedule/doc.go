// Package schedule decides which account's pass runs next, and lends it to one worker at a time.
//
// Stage 3 of 7.
// Owns: the lease, priority and due-time columns of the table account; how long a source is left alone.
// Never does: looking at mail; it runs the function that it is given.
// Input state → output state: listed (with an imported credential), joined, copying, following, closing → unchanged (the pass moves it).
// Invariants: one writer per account (DESIGN §8): every ledger write carries the lease's epoch, so that a worker
// that lost its lease can't write any more; no lease outlives its owner by more than its term.
// Failure behaviour: a failed pass is retried later with growing distance; a dead worker's accounts are free again
// when the lease term is over.
// Tables: source_pause; account (lease_owner, lease_until_ms, lease_epoch, next_pass_at_ms, priority, attempt).
package schedule
