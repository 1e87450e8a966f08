// Package account is the vocabulary that every stage shares: Address, Account, Domain, Source and their states.
//
// Owns: the words and the two state machines (an account's and a domain's) as data.
// Never does: input or output of any kind; time comes in as a value.
// Read this package first: the seven stages hand work on through Account.State only.
package account
