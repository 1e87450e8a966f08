// Package checkpassword lets Dovecot 2.3 (passdb and userdb checkpassword) and other servers that speak DJB's checkpassword
// interface ask the auth hook. It belongs to stage 1 of 7 (login).
//
// Owns: what comes on file descriptor 3, the environment and the exit codes that Dovecot expects, one request to the hook.
//
// Never does: deciding; the hook does. Reading file descriptor 3 to its end: processes of other logins inherit the other
// side, so that the end comes when the slowest of them is done.
//
// Input state → output state: none; a joined account is made by the hook.
//
// Invariants: S1 the password is in no argument, no variable and no line that is written. A refusal is said only after a
// clear no; everything else is a temporary failure (exit code 111).
//
// Failure behaviour: every trouble is one line on standard error, which Dovecot logs, and exit code 111.
//
// Tables: none.
package checkpassword
