// Package packaging holds the Debian package: nfpm's file, the maintainer scripts, the sample configuration, and what an
// administrator adds to Dovecot and Postfix. scripts/deb.sh builds it; test/container installs it.
//
// The Dovecot files are generated from those that the test laboratory runs, so that what was proven is what is shipped.
package packaging

//go:generate go test -run TestDovecotFilesAreThoseOfTheLaboratory -update .
