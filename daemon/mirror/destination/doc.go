// Package destination reads and writes an account at our own Dovecot. It belongs
// to stage 4 of 7 (mirror).
//
// Owns: one logged-in IMAP connection to the destination, the MULTIAPPEND writer,
// and the fence that waits until an old connection's server process is gone.
// Never does: EXPUNGE without UIDs; send an argument that it did not build itself
// (on a BAD, Dovecot would run the message body as commands); decide what is
// written.
// Input state → output state: none; the mirror owns the account's state.
// Invariants: L2 needs Batch's point of no return and Fence; L4 by touching named
// UIDs only; L6 by naming every flag, keyword and date that is not kept.
// Failure behaviour: a refusal is a *Refusal that says what to do and whether the
// point of no return was passed; any BAD and any broken stream ends the connection.
// Tables: none.
package destination
