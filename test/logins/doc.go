// Package logins proves what the first two stages promise, on real servers: an old Dovecot, this server's Dovecot 2.3 and
// 2.4 asking by every transport, Postfix, and the hook between them.
//
//   - story_test.go: the first login by IMAP, POP3 and submission.
//   - onward_test.go: first logins that Dovecot passes on to the source.
//   - waiting_test.go: logins that wait for a slow source hold up nobody else, and none is dropped.
//   - accounts_test.go: whoever comes often, guesses or misspells makes one account or none.
//   - storm_test.go: an old server that punishes failures sees as few as the guard promises.
//
// Counts and order are asserted. Times are printed, and bounded only against what the same test measured before.
package logins
