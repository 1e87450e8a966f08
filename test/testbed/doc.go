// Package testbed starts real servers on loopback for tests and for the demo:
// a source Dovecot, a destination Dovecot, Postfix, authoritative Knot servers
// and an Unbound resolver.
//
//   - Everything lives in one private folder (a Lab) and on ports that the
//     kernel chose, so that several labs can run side by side.
//   - A Lab ends what it started, by process id, and waits until it is gone.
//     Servers also die with the program that started them.
//   - Dovecot is the machine's own 2.3, or 2.4 out of a Debian 13 root that
//     scripts/dovecot-2.4.sh makes: see Version in the options.
//   - The configurations are the readable files in config/; the destination's
//     drop-in is the one that an administrator would get.
//   - Client is an IMAP client of its own: it shares no code with the mirror,
//     so that it can judge it.
//
// A lab needs root: Dovecot and Postfix change their user.
//
//	lab := testbed.NewForTest(t)
//	source, err := lab.StartSource(testbed.SourceOptions{
//		Accounts: map[string]string{"anna@example.org": "old password"},
//	})
//	owner, err := source.Login("anna@example.org", "old password")
package testbed
