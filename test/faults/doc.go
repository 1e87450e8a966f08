// Package faults breaks mailstork's work at every boundary on real servers, and counts what was lost, stored twice or
// brought back (L1, L2, L3).
//
// A trial is one account: mailstork copies it as a process of its own, through a faultproxy to each side. At one command,
// literal or reply the connection is cut or the process is killed (kill -9), and the program is started again at once
// or after a while, until it says that nothing is left to do. Meanwhile the account's owner deletes a message and
// moves another one. Then an IMAP client that shares no code with the mirror reads both sides.
//
// The everyday run looks at a part of the boundaries; make faults at each of them, ten times.
package faults
