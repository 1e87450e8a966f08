// Package compare judges a copy. It reads two accounts over IMAP, with no code of
// the mirror, and says what differs, folder by folder:
//
//   - the multiset of messages: each as digest of its content, system flags
//     without \Recent, keywords, and the instant of its INTERNALDATE;
//   - folders that only one side has;
//   - subscriptions, when asked for.
//
// The digest is that of DESIGN's vocabulary, written a second time: CRLF counts as
// LF however many CRs stand before it, NUL as 0x80, CRs at the very end not at all.
// Messages are hashed as they arrive and never held.
//
//	differences, err := compare.Accounts(sourceClient, destinationClient, compare.Options{})
package compare
