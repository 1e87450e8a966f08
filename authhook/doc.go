// Package authhook answers Dovecot's question "may this person log in?" for people whose account is not here yet.
//
// Stage 1 of 7: login.
//
// Owns: the endpoint that Dovecot asks, the order of decisions, the guard of the source, the proof of a password at the
// source, the hash that Dovecot verifies afterwards.
//
// Never does: storing (Provisioner does), copying, writing to the source (L5), keeping a password longer than a decision
// takes, choosing a source from DNS.
//
// Input state → output state: an account that is unknown or listed → joined, by Provisioner.Admit.
//
// Invariants: A1 an account is admitted only after EXAMINE INBOX worked at the source with its password. A2 a wrong
// password never replaces a stored hash. A3 a stored hash decides without the source. S1 passwords are in no line that
// the Journal gets.
//
// Failure behaviour: "wrong password" is said only after a clear no. Everything else that goes wrong (source down, guard,
// too many waiting, a panic) is HTTP 503: Dovecot answers UNAVAILABLE, and mail programs do not ask for a new password.
//
// Tables: none.
package authhook
