// Package provision makes the local account of somebody whose password was proven, and tells Dovecot of it.
//
// Stage 2 of 7: provision.
//
// Owns: Dovecot's passwd-files. The userdb file has every account, so that mail is accepted for it from the first
// day; the passdb file has those whose owner has logged in here, so that the auth hook sees every first login. A third one, for those whose
// logins lead elsewhere: to the source (proxied.go), or to a notice (noticed.go).
//
// Never does: proving passwords (authhook does), making folders or homes (Dovecot does), writing into a file of others.
//
// Input state → output state: no account, or listed → joined, with hash, sealed credential and the first pass due now.
//
// Invariants: A1 the caller has proven the password at the source, and the domain's policy is looked at again here.
// A2 a stored hash stays as it is. A3 the passwd-files let owners in without the daemon. S1 the credential is sealed.
//
// Failure behaviour: the database comes first, the files follow from it. Admit returns nil only when both are durable;
// what a crash leaves in between is healed by Refresh, which costs little when nothing has changed.
//
// Tables: account and credential, through daemon/store.
package provision
