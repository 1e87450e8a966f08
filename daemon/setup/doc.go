// Package setup writes what an administrator adds to Dovecot so that it asks mailstork. The laboratory of the tests runs exactly
// these texts.
//
// Owns: the texts. Never does: changing Dovecot's configuration; it has no state, no invariant and no table.
package setup
