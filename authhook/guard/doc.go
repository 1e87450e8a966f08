// Package guard decides whether one more password may go to a source, so that nobody can attack the source through us
// and the source never takes us for an attacker: all logins reach it from our one address, so anybody's typing errors add
// up there. It belongs to stage 1 of 7 (login).
//
// Owns: the budgets per account, per network of clients and per source host; the breaker of a source that fails or
// throttles; the cap on new accounts.
//
// Never does: asking a source, waiting, reading a clock, saying that a password is wrong.
//
// Input state → output state: none.
//
// Invariants: no window ever holds more failed logins at a source than its budget, whatever is under way at once; what is
// under way when the process dies counts as failed (Restore). Its Stop is a "try later", never a "wrong password".
//
// Failure behaviour: none; it is arithmetic.
//
// Tables: none; the caller keeps what Restore needs.
package guard
