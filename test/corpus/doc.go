// Package corpus makes mail accounts out of nothing: the same ones every time,
// byte for byte, so that a test that fails today fails tomorrow.
//
//   - Standard: 12 folders and 1,000 messages with everything that a copy must
//     survive: nested and non-ASCII names, keywords, odd dates, a 30 MB message,
//     8-bit headers, messages without headers, bare LF, NUL, long lines,
//     duplicate and missing Message-IDs, identical twins.
//   - Small: 3 folders and 40 messages with names that a person likes to read,
//     for the demo.
//   - Awkward: what not every server keeps as it came: dates before 1970 or in the
//     future, more keywords than Maildir has letters for, quotes in names. Kept
//     apart, because here a difference may be right.
//   - Kinds: some 170 single messages that servers and programs get wrong, to be put
//     into a Maildir as files.
//
// Seed writes an account to a server.
package corpus
