// Package dnscheck looks at a mail domain from outside: where does the world send its mail, may we send for it, and
// which records are to be published?
//
// Owns: the way from the parent zone to every authoritative server, the reading of their answers, the evaluation of
// SPF (RFC 7208) and the records to publish. Never does: decide anything (daemon/cutover does), change anything, or
// import another package of ours.
//
// One rule shapes all of it (C1): what is not known is never counted as agreement. A resolver that lies can add
// servers to ask, never take one away; a server that fails, refuses, is lame or says NXDOMAIN makes the verdict
// "unknown"; anything beyond a cap does the same. Read report.go for what comes out, check.go for the order of work.
package dnscheck
