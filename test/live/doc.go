// Package live proves live migration (first-login proxy), and first logins that have to wait, with the whole product on real servers, Dovecot 2.3 and 2.4.
//
//   - story_test.go: an owner who never stops working, over the first pass and the switch.
//   - faults_test.go: the daemon is killed at each step of a switch; the source dies in it; the destination does.
//   - logins_test.go: what is not IMAP, who can't be passed on, and the password that is nowhere.
//   - notice_test.go, noticeopen_test.go, noticefaults_test.go: owners who are shown a notice until everything is here
//     (first-login notice).
//   - owner_test.go: the owner: a mail program that remembers what it was told. gate_test.go: where a switch is stopped.
//
// Counts and order are asserted. The time without a connection is printed.
package live
