// Package notice writes what owners are told of the move: one letter in the inbox, in their language.
//
// Owns: the texts (one file per language) and the letter's form (RFC 5322, RFC 3676, RFC 3834), its Message-IDs.
// Never does: deciding when a letter is put anywhere, or putting it there (daemon/mirror does); it is pure.
// Invariants: none of its own. Everything in a header is a canonical address, a number or a text of ours.
// Failure behaviour: a language without a text is an error; account.ParseLanguage lets none through.
// Tables: none.
package notice
