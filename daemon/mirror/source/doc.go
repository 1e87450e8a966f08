// Package source reads an account at the old server. It belongs to stage 4 of 7
// (mirror).
//
// Owns: one logged-in IMAP connection to the source and everything asked on it.
// Never does: change anything at the source (L5: EXAMINE and BODY.PEEK only; no
// command that writes exists in this package); hold a message in memory; decide
// what is copied.
// Input state → output state: none; the mirror owns the account's state.
// Invariants: L5 here; L6 by handing bytes on as they came.
// Failure behaviour: oddities of a server are survived and reported, see package
// wire; every UID asked for is reconciled with the UIDs that came.
// Tables: none.
package source
