// Package mirror copies an account from the source to the destination and keeps following it.
//
// Stage 4 of 7.
// Owns: the pass (listing, plan, copying, recording), the folder map, settling what is in doubt, the verification.
// Never does: deciding when a pass runs, changing an account's state, speaking IMAP (source, destination and wire do).
// Input state → output state: joined, copying, following, closing → unchanged; the caller moves it by the Result.
// Invariants: L1 to L4 and L6. plan.go decides and touches nothing; apply.go does and decides nothing.
// Failure behaviour: every error says what next and how far it reaches (Error); a pass may be stopped at any moment
// and the next one goes on; one bad folder or message never ends a pass.
// Tables: none; it writes through the ledger only.
package mirror
