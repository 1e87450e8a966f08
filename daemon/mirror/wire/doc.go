// Package wire is mailstork's IMAP client layer, used by the source and the
// destination side of the mirror: lenient in what it reads, strict in what it
// sends.
//
// Owns: dialling, TLS and STARTTLS, login, tagged commands and their pipelining,
// the streaming tokeniser, the names, flags, dates and UID sets of RFC 9051.
// Never does: decide anything about mail; buffer a literal that nobody asked for;
// put foreign bytes or a password between quotes.
//
// Failure behaviour: a reply that cannot be read costs that reply, not the
// connection (it is reported as an Oddity). Everything a server can make large is
// capped, and a crossed cap ends the connection with a CapError. Every read has an
// idle deadline; a cancelled context closes the connection. After an error of the
// connection itself, Err returns it and every later call fails with it.
//
// A Conn is used by one goroutine at a time.
package wire
