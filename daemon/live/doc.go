// Package live switches accounts whose sessions are passed on to their source (first_login: proxy, DESIGN §4) to this
// server, while their owners work.
//
// Beside the stages: between two passes (stage 4) of such an account.
//
// Owns: the decision when (decide.go, pure), the order of the steps (switch.go), and how Dovecot is asked for its passed
// on sessions and told to end them (sessions.go).
//
// Never does: passes, files, rows; the daemon lends it the hands for these.
//
// Route → route: source → held → here; back to source whenever a step fails. The table is in package account.
//
// Invariants: only one side is ever written by an account's owner. An owner's session is on the side that is the truth:
// the last pass begins after the last passed on session has ended, and logins wait until the route is stored. L1, L3.
//
// Failure behaviour: a failed step rolls back, so that the owner works on at the source; a dead daemon's next start rolls
// back first.
//
// Tables: none; the route is a column of account.
package live
