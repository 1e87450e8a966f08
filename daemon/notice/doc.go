// Package notice writes what owners are told of the move: one letter, in their language.
//
// Owns: the texts (one file per language) and the letter's form (RFC 5322, RFC 3676, RFC 3834), its Message-IDs; the
// folders that hold such a letter alone, for owners who have to wait (first_login: notice).
// Never does: deciding when a letter is put anywhere, or putting it into an inbox (daemon/mirror does).
// Invariants: none of its own. Everything in a header is a canonical address, a number or a text of ours. Nobody but the
// daemon can change a folder of a notice, and no mail of anybody is in one (L1).
// Failure behaviour: a language without a text is an error; account.ParseLanguage lets none through.
// Tables: none.
package notice
